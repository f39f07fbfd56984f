"""A transport in a few lines: `read` says what the store holds now, and a polling subscription does the rest.

It serves stores that can only be listed: a REST resource, a directory service, the output of a program. Each
``interval`` the whole is read, compared with what was read before, and the difference handed on as one batch.
A read that fails is a lost connection, never a deletion; and a key that is missing in a later read was not deleted
explicitly by anybody, so that the brake may hold what vanishes in masses.
"""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from datasync_core.model.entries import Batch, Entry
from datasync_core.model.errors import ConnectionLost, Misconfigured, StoreError, said
from datasync_core.model.keys import is_subtree
from datasync_core.model.url import Url
from datasync_core.spec.transport import Subscription, Transport

_CHUNK = 1000


class ListingTransport(Transport):
    """Reaches a store by listing it; authors implement `read`. Each subscription reads for itself.

    ``interval``: seconds from the end of one read to the next; a subclass sets another default as an attribute.
    """

    interval: float = 1.0

    def __init__(self, url: Url, *, interval: float | None = None) -> None:
        super().__init__(url)
        if interval is not None:
            self.interval = interval
        if not 0 < self.interval <= threading.TIMEOUT_MAX:
            raise Misconfigured(f"{url}: interval is a number of seconds above 0, got {self.interval:g}")

    @abstractmethod
    def read(self) -> Mapping[str, bytes]:
        """All that the store holds now, key → value; called on the thread of each subscription.

        Whatever it raises is a lost connection (a `StoreError` is handed on as it is), so it must not return a part.
        It returns or raises within ``liveness`` seconds: give the client that it uses that as its timeout.
        """

    def subscribe(self, paths: Sequence[str]) -> Subscription:
        return _ListingSubscription(self, paths)


class _ListingSubscription(Subscription):
    """What was read last, to compare with. One thread uses it; `wake` and `close` are for any."""

    def __init__(self, transport: ListingTransport, paths: Sequence[str]) -> None:
        self._transport = transport
        self._keys = frozenset(path for path in paths if not is_subtree(path))
        self._prefixes = tuple(path for path in paths if is_subtree(path))
        self._known: dict[str, bytes] | None = None
        self._due = 0.0  # when to read next
        self._bell = threading.Event()
        self._woken = False
        self._closed = False

    def snapshot(self) -> Iterator[Sequence[Entry]]:
        self._known = None
        found = self._read()
        keys = list(found)
        for start in range(0, len(keys), _CHUNK):
            self._check()
            yield [Entry(key, found[key]) for key in keys[start : start + _CHUNK]]
        self._known = found

    def poll(self, timeout: float) -> Batch | None:
        deadline = time.monotonic() + timeout
        while True:
            self._bell.clear()
            self._check()
            if self._known is None:
                raise StoreError(f"{self._transport.url}: poll comes after a snapshot")
            now = time.monotonic()
            batch = self._news(self._known) if now >= self._due else None
            if batch is not None or self._woken or now >= deadline:
                self._woken = False
                return batch
            self._bell.wait(min(deadline, self._due) - now)

    def wake(self) -> None:
        self._woken = True
        self._bell.set()

    def close(self) -> None:
        self._closed = True
        self._bell.set()

    def _check(self) -> None:
        if self._closed:
            raise ConnectionLost(f"{self._transport.url}: the subscription was closed")

    def _news(self, known: dict[str, bytes]) -> Batch | None:
        found = self._known = self._read()
        if (
            not known.keys() <= found.keys()
        ):  # nobody said "delete": absence is all that is known (the brake's case)
            return Batch([Entry(key, value) for key, value in found.items()], cleared=True)
        changes = [Entry(key, value) for key, value in found.items() if known.get(key) != value]
        return Batch(changes) if changes else None

    def _read(self) -> dict[str, bytes]:
        self._check()
        url = self._transport.url
        try:
            held: dict[Any, Any] = dict(self._transport.read())  # what it says is not what all authors do
        except StoreError:
            raise
        except Exception as error:
            raise ConnectionLost(f"{url} cannot be read: {said(error)}") from error
        self._check()  # it may have been closed while that took its time
        self._due = time.monotonic() + self._transport.interval
        for key, value in held.items():
            if not (isinstance(key, str) and isinstance(value, bytes)):
                kinds = f"{type(key).__name__} → {type(value).__name__}"
                raise StoreError(f"{url}: read() gave {kinds} for {key!r}; keys are str and values bytes")
        return {k: v for k, v in held.items() if k.startswith(self._prefixes) or k in self._keys}
