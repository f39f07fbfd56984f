"""A transport in a few lines: `read` says what the store holds now, and a polling subscription does the rest.

It serves stores that can only be listed: a REST resource, a directory service, the output of a program. Each
``interval`` the whole is read, compared with what was read before, and the difference handed on as one batch.
A read that fails is a lost connection, never a deletion; and a key that is missing in a later read was not deleted
explicitly by anybody, so that the brake may hold what vanishes in masses. A store that can say that nothing changed
is spared both: `Unchanged` instead of the whole. What that takes to know (an ETag, a session) belongs to a `Reader`.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from datasync_core.model.entries import Batch, Entry
from datasync_core.model.errors import ConnectionLost, Misconfigured, StoreError, said
from datasync_core.model.keys import is_subtree
from datasync_core.model.url import Url
from datasync_core.spec.transport import Subscription, Transport

_CHUNK = 1000


class Unchanged:
    """Says, in the place of the whole, that all is as it was at the read before (status 304 of HTTP)."""

    __slots__ = ()


class Reader(ABC):
    """Reads for one subscription, from one snapshot on: the place for an ETag, a session, an open connection."""

    @abstractmethod
    def read(self) -> Mapping[str, bytes] | Unchanged:
        """Return what `ListingTransport.read` returns; the first time the whole.

        Called on the subscription's thread.
        """

    def close(self) -> None:  # noqa: B027 - nothing to let go of is a fair default
        """Let go of what reading took. Any thread, also during a read, any number of times."""


class _PlainReader(Reader):
    """Reads for those who need nothing of their own."""

    def __init__(self, transport: ListingTransport) -> None:
        self._transport = transport

    def read(self) -> Mapping[str, bytes] | Unchanged:
        return self._transport.read()


class ListingTransport(Transport):
    """Reaches a store by listing it; authors implement `read`. Each subscription reads for itself.

    Where a read needs something from the one before it, implement `reader` instead.

    ``interval``: seconds from the end of one read to the next; a subclass sets another default as an attribute.
    """

    interval: float = 1.0

    def __init__(self, url: Url, *, interval: float | None = None) -> None:
        super().__init__(url)
        if interval is not None:
            self.interval = interval
        if not 0 < self.interval <= threading.TIMEOUT_MAX:
            raise Misconfigured(f"{url}: interval is a number of seconds above 0, got {self.interval:g}")

    def read(self) -> Mapping[str, bytes] | Unchanged:
        """Return all that the store holds now, key → value; called on the thread of each subscription.

        `Unchanged` instead says that it is what the same reader read before.
        Whatever it raises is a lost connection (a `StoreError` is handed on as it is), so it must not return a part.
        It returns or raises within ``liveness`` seconds: give the client that it uses that as its timeout.
        """

        raise NotImplementedError(f"{type(self).__name__} has neither read() nor reader()")

    def reader(self) -> Reader:
        """Return what reads for one subscription, anew for each snapshot; it opens nothing before it reads.

        Here it calls `read`.
        """
        return _PlainReader(self)

    def subscribe(self, paths: Sequence[str]) -> Subscription:
        return _ListingSubscription(self, paths)


class _ListingSubscription(Subscription):
    """What was read last, to compare with. One thread uses it; `wake` and `close` are for any."""

    def __init__(self, transport: ListingTransport, paths: Sequence[str]) -> None:
        self._transport = transport
        self._keys = frozenset(path for path in paths if not is_subtree(path))
        self._prefixes = tuple(path for path in paths if is_subtree(path))
        self._known: dict[str, bytes] | None = None
        self._lock = threading.Lock()  # of _reader: who closes it, and that none is made afterwards
        self._reader: Reader | None = None
        self._due = 0.0  # when to read next
        self._bell = threading.Event()
        self._woken = False
        self._closed = False

    def snapshot(self) -> Iterator[Sequence[Entry]]:
        self._known = None
        found = self._read(self._begin())
        if found is None:
            raise StoreError(f"{self._transport.url}: read() gave Unchanged before it gave anything")
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
        with self._lock:
            if self._reader is not None:
                self._reader.close()

    def _check(self) -> None:
        if self._closed:
            raise ConnectionLost(f"{self._transport.url}: the subscription was closed")

    def _news(self, known: dict[str, bytes]) -> Batch | None:
        reader = self._reader
        found = None if reader is None else self._read(reader)
        if found is None:
            return None
        self._known = found
        if (
            not known.keys() <= found.keys()
        ):  # nobody said "delete": absence is all that is known (the brake's case)
            return Batch([Entry(key, value) for key, value in found.items()], cleared=True)
        changes = [Entry(key, value) for key, value in found.items() if known.get(key) != value]
        return Batch(changes) if changes else None

    def _begin(self) -> Reader:
        """Make the reader of a snapshot, in the place of one before."""
        with self._lock:
            self._check()
            if self._reader is not None:
                self._reader.close()
            try:
                self._reader = self._transport.reader()
            except StoreError:
                raise
            except Exception as error:
                raise ConnectionLost(
                    f"{self._transport.url} cannot be read: {type(error).__name__}: {error}"
                ) from error
            return self._reader

    def _read(self, reader: Reader) -> dict[str, bytes] | None:
        """Read all that is watched; None where nothing changed."""
        self._check()
        url = self._transport.url
        try:
            told = reader.read()
            held: dict[Any, Any] | None = None
            if not isinstance(told, Unchanged):
                held = dict(told)  # what it says is not what all authors do
        except StoreError:
            raise
        except Exception as error:
            raise ConnectionLost(f"{url} cannot be read: {said(error)}") from error
        self._check()  # it may have been closed while that took its time
        self._due = time.monotonic() + self._transport.interval
        if held is None:
            return None
        for key, value in held.items():
            if not (isinstance(key, str) and isinstance(value, bytes)):
                kinds = f"{type(key).__name__} → {type(value).__name__}"
                raise StoreError(f"{url}: read() gave {kinds} for {key!r}; keys are str and values bytes")
        return {k: v for k, v in held.items() if k.startswith(self._prefixes) or k in self._keys}
