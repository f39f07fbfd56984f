"""The transport: options, and who shares what."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Literal

from datasync_core.transport import Capabilities, Misconfigured, Subscription, Transport, Url, Writer
from datasync_transports.sqlite.database import Place
from datasync_transports.sqlite.subscription import SqliteSubscription
from datasync_transports.sqlite.writer import SqliteWriter


class SqliteTransport(Transport):
    """A file of this machine; any thread may use it, and any number of processes the file.

    ``create``: a subscription makes the file where there is none (a writer always does); who only wants to
    read what is there says ``create=false``. ``retention``: seconds for which deletes are remembered, for
    subscriptions that resume. ``synchronous``: ``full`` survives a loss of power without losing the last
    commits, ``normal`` is twice as fast and survives all else. A lock is waited for up to ``liveness``
    seconds.
    """

    capabilities = Capabilities(
        resumable=True, transactions=True, revisions=True, expiry=True, compare=True, raw=True
    )

    def __init__(
        self,
        url: Url,
        *,
        create: bool = True,
        retention: float = 3600.0,
        synchronous: Literal["normal", "full"] = "normal",
    ) -> None:
        super().__init__(url)
        if url.hosts:
            raise Misconfigured(f"{url} names a server; write sqlite:FILE or sqlite:///FOLDER/FILE")
        if url.path in ("", ":memory:"):
            raise Misconfigured(
                f"{url} names no file; write sqlite:FILE, or use memory: for what need not last"
            )
        self._create = create
        self._place = Place(url.file().absolute(), retention, synchronous, self.liveness, time.time)

    @property
    def clock(self) -> Callable[[], float]:
        """Gives seconds since the Unix epoch; times to live and retention go by it."""
        return self._place.clock

    @clock.setter
    def clock(self, clock: Callable[[], float]) -> None:
        self._place.clock = clock

    def subscribe(self, paths: Sequence[str]) -> Subscription:
        self._place.busy_timeout = self.liveness
        return SqliteSubscription(self._place, paths, create=self._create)

    def writer(self) -> Writer:
        self._place.busy_timeout = self.liveness
        return SqliteWriter(self._place)
