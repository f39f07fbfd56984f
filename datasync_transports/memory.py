"""``memory:`` and ``memory:NAME``: a store in this process, for tests, embedding and simulations.

`_Store` is the data: the entries, and a history that names which keys each revision touched. A subscription
is a place in that history; what it is given is read from the entries, so values in between collapse and the
history costs no values. The history is bounded: who falls out of it is told so (`CursorExpired`) and reads a
snapshot. Nothing runs in the background: time to live is served by whoever polls, reads or writes.
"""

from __future__ import annotations

import heapq
import re
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import ClassVar, Protocol
from weakref import WeakSet, WeakValueDictionary

from datasync_core.transport import (
    Batch,
    Capabilities,
    Conflict,
    ConnectionLost,
    Cursor,
    CursorExpired,
    Delete,
    Entry,
    Gone,
    Misconfigured,
    Owner,
    Put,
    StoreError,
    Subscription,
    Transport,
    Unsupported,
    Url,
    Writer,
    is_subtree,
)

_CHUNK = 1000
_POSITION = re.compile(r"[0-9]{1,18}\Z")
_Value = tuple[bytes, int, float | None]  # value, revision, when it expires on the store's clock

_Record = tuple[
    int, tuple[str, ...] | None
]  # revision, the keys that it touched (None: it cleared everything)


class Doorbell(Protocol):
    """What a waiting `poll` waits on; a simulation brings its own (`MemoryTransport.doorbell`)."""

    def ring(self) -> None: ...
    def wait(self, timeout: float | None = None) -> bool: ...


class _Doorbell:
    def __init__(self) -> None:
        self._event = threading.Event()

    def ring(self) -> None:
        self._event.set()

    def wait(self, timeout: float | None = None) -> bool:
        heard = self._event.wait(timeout)
        self._event.clear()
        return heard


def _ring(bells: Sequence[Doorbell]) -> None:
    """Outside the store's lock: in a simulation a ring may let another thread run."""
    for bell in bells:
        bell.ring()


class _Store:
    """What is in one memory store. Every attribute belongs to ``lock``; rings happen outside of it."""

    def __init__(self, name: str, history: int) -> None:
        self.name = name
        self.owner = Owner(f"the store {name}")
        self.limit = history
        self.lock = threading.Lock()
        self.epoch = uuid.uuid4().hex
        self.entries: dict[str, _Value] = {}
        self.revision = 0
        self.floor = 0  # the oldest revision to go on from
        self.history: deque[_Record] = deque()
        self.kept = 0  # how many changes the history names
        self.deadlines: list[tuple[float, str]] = []  # a heap; those of rewritten keys are skipped
        self.subscriptions: WeakSet[_MemorySubscription] = WeakSet()
        self.life = 0  # grows when connections are lost
        self.away = False
        self.clock: Callable[[], float] = time.monotonic

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Hold the lock of a swept store; afterwards, those who wait hear if there was a new revision.

        A forked child has a copy, of which its parent learns nothing: there it raises `UsageError`.
        """
        self.owner.check()
        bells: list[Doorbell] = []
        try:
            with self.lock:
                before = self.revision
                try:
                    self._sweep()
                    yield
                finally:
                    if self.revision != before:
                        bells = self.bells()
        finally:
            _ring(bells)

    def check(self, life: int) -> None:
        if self.away or life != self.life:
            raise ConnectionLost(f"{self.name}: the connection was lost")

    def record(self, keys: tuple[str, ...] | None) -> None:
        """Count a revision and remember what it touched; the newest is kept whatever its size."""
        self.revision += 1
        self.history.append((self.revision, keys))
        self.kept += len(keys or ()) + 1
        while self.kept > self.limit and len(self.history) > 1:
            self.floor, dropped = self.history.popleft()
            self.kept -= len(dropped or ()) + 1

    def forget(self) -> None:
        """Expire every cursor that was given out."""
        self.revision += 1
        self.floor = self.revision
        self.history.clear()
        self.kept = 0

    def _sweep(self) -> None:
        heap, now = self.deadlines, self.clock()
        expired: dict[str, None] = {}
        while heap and heap[0][0] <= now:
            deadline, key = heapq.heappop(heap)
            found = self.entries.get(key)
            if found is not None and found[2] == deadline:
                del self.entries[key]
                expired[key] = None
        if expired:
            self.record(tuple(expired))

    def bells(self) -> list[Doorbell]:
        return [subscription.bell for subscription in self.subscriptions]


class _MemorySubscription(Subscription):
    """A place in the store's history. One thread uses it; `wake` and `close` are for any."""

    def __init__(self, store: _Store, paths: Sequence[str], bell: Doorbell) -> None:
        self.bell = bell
        self._store = store
        self._keys = frozenset(path for path in paths if not is_subtree(path))
        self._prefixes = tuple(path for path in paths if is_subtree(path))
        self._position: int | None = None
        self._woken = False
        self._closed = False
        store.owner.check()
        with store.lock:
            store.check(store.life)
            self._life = store.life
            store.subscriptions.add(self)

    def snapshot(self) -> Iterator[Sequence[Entry]]:
        store = self._store
        self._position = None
        with store.opened():
            self._check()
            position = store.revision
            found = [(key, value) for key, value in store.entries.items() if self._covers(key)]
        for start in range(0, len(found), _CHUNK):
            with store.lock:
                self._check()
            yield [Entry(key, value[0], value[1]) for key, value in found[start : start + _CHUNK]]
        self._position = position

    def resume(self, cursor: Cursor) -> None:
        store = self._store
        store.owner.check()
        with store.lock:
            self._check()
            position = int(cursor.position) if _POSITION.match(cursor.position) else -1
            if cursor.epoch != store.epoch or not store.floor <= position <= store.revision:
                raise CursorExpired(f"{store.name} cannot go on from {cursor.position}; read a snapshot")
            self._position = position

    def poll(self, timeout: float) -> Batch | None:
        store = self._store
        while True:
            before = self.revision
            with store.opened():
                self._check()
                batch = self._collect()
                began = store.clock()
                pause = min(timeout, store.deadlines[0][0] - began) if store.deadlines else timeout
            if batch is not None or self._woken or timeout <= 0 or self.revision > before:
                self._woken = False
                return batch
            heard = self.bell.wait(max(pause, 0.0))
            timeout -= store.clock() - began if heard else pause  # a clock under test may stand still

    @property
    def cursor(self) -> Cursor | None:
        return None if self._position is None else Cursor(self._store.epoch, str(self._position))

    @property
    def revision(self) -> int:
        return self._position or 0

    def wake(self) -> None:
        self._woken = True
        self.bell.ring()

    def close(self) -> None:
        if not self._store.owner.is_here:
            return
        with self._store.lock:
            self._closed = True
            self._store.subscriptions.discard(self)
        self.bell.ring()

    def _check(self) -> None:
        if self._closed:
            raise ConnectionLost(f"{self._store.name}: the subscription was closed")
        self._store.check(self._life)

    def _covers(self, key: str) -> bool:
        return key.startswith(self._prefixes) or key in self._keys

    def _collect(self) -> Batch | None:
        """What happened since the position, as it is now; under the store's lock."""
        store = self._store
        if self._position is None:
            raise StoreError(f"{store.name}: poll comes after a snapshot or resume")
        if self._position < store.floor:
            raise CursorExpired(f"{store.name}: more changes came than its history keeps; read a snapshot")
        news: dict[str, int] = {}
        cleared = False
        for revision, keys in reversed(store.history):
            if revision <= self._position:
                break
            if keys is None:
                cleared = True
                break
            for key in reversed(keys):
                if self._covers(key):
                    news.setdefault(key, revision)
        self._position = store.revision
        if not news and not cleared:
            return None
        changes: list[Entry | Gone] = []
        for key, revision in news.items():
            found = store.entries.get(key)
            changes.append(Gone(key, revision) if found is None else Entry(key, found[0], found[1]))
        changes.reverse()
        return Batch(changes, cleared)


class _MemoryWriter(Writer):
    def __init__(self, store: _Store) -> None:
        self._store = store

    def commit(self, ops: Sequence[Put | Delete], *, expect: Mapping[str, int] = {}) -> int:
        store = self._store
        if any(isinstance(op, Put) and op.alive for op in ops):
            raise Unsupported(f"{store.name} cannot bind a key to the life of a host")
        with store.opened():
            store.check(store.life)
            self._expect(expect)
            self._apply(ops)
            return store.revision

    def _expect(self, expect: Mapping[str, int]) -> None:
        entries = self._store.entries
        for key, expected in expect.items():
            found = entries[key][1] if key in entries else 0
            if found != expected:
                raise Conflict(f"{key} has revision {found} in {self._store.name}, expected {expected}")

    def _apply(self, ops: Sequence[Put | Delete]) -> None:
        store = self._store
        entries, revision, now = store.entries, store.revision + 1, store.clock()
        touched: dict[str, None] = {}
        for op in ops:
            if isinstance(op, Put):
                deadline = None if op.ttl is None else now + op.ttl
                if deadline is not None:
                    heapq.heappush(store.deadlines, (deadline, op.key))
                entries[op.key] = (op.value, revision, deadline)
            elif entries.pop(op.key, None) is None:
                continue
            touched[op.key] = None
        if touched:
            store.record(tuple(touched))
        if len(store.deadlines) > 2 * len(entries) + _CHUNK:
            store.deadlines = [(value[2], key) for key, value in entries.items() if value[2] is not None]
            heapq.heapify(store.deadlines)


class MemoryTransport(Transport):
    """A store in this process; any thread may use it, with any number of subscriptions and writers.

    ``memory:`` is private to its object; ``memory:NAME`` is one store for all that say the name, until the
    last of them is gone. A forked child cannot use its parent's: it makes its own.
    ``history``: how many changes are kept for subscriptions that are behind or resume.
    `lose`, `back` and `clear` do what befalls stores elsewhere, for tests of what rests on them.
    """

    capabilities = Capabilities(
        resumable=True, transactions=True, revisions=True, expiry=True, compare=True, raw=True
    )
    _shared: ClassVar[WeakValueDictionary[str, _Store]] = WeakValueDictionary()
    _shared_lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, url: Url | None = None, *, history: int = 100_000) -> None:
        super().__init__(url or Url("memory"))
        if self.url.hosts:
            raise Misconfigured(f"{self.url} names a server; write memory: or memory:NAME")
        if not self.url.path:
            self._store = _Store("memory:", history)
        else:
            with self._shared_lock:
                found = self._shared.get(self.url.path)
                if found is None or not found.owner.is_here:
                    found = _Store(f"memory:{self.url.path}", history)
                self._shared[self.url.path] = self._store = found
            with found.lock:
                found.limit = max(found.limit, history)
        self.doorbell: Callable[[], Doorbell] = _Doorbell
        """Makes what a subscription of this object waits on; a simulation gives its runtime's."""

    @property
    def clock(self) -> Callable[[], float]:
        """Seconds; times to live and the timeouts of `poll` go by it. One for all that share the store."""
        return self._store.clock

    @clock.setter
    def clock(self, clock: Callable[[], float]) -> None:
        self._store.clock = clock

    @property
    def entries(self) -> dict[str, bytes]:
        """A copy of what the store holds now, key → value."""
        with self._store.opened():
            return {key: value[0] for key, value in self._store.entries.items()}

    def subscribe(self, paths: Sequence[str]) -> Subscription:
        return _MemorySubscription(self._store, paths, self.doorbell())

    def writer(self) -> Writer:
        return _MemoryWriter(self._store)

    def lose(self) -> None:
        """Break every subscription; until `back`, whatever is tried raises `ConnectionLost`."""
        with self._store.lock:
            self._store.away = True
            self._store.life += 1
            bells = self._store.bells()
        _ring(bells)

    def back(self, history: bool = True) -> None:
        """Answer again; without ``history`` no cursor from before can be resumed."""
        with self._store.lock:
            self._store.away = False
            if not history:
                self._store.forget()

    def clear(self) -> None:
        """Remove everything at once, as a flush does: subscriptions get ``Batch(cleared=True)``."""
        with self._store.opened():
            self._store.entries.clear()
            self._store.deadlines.clear()
            self._store.record(None)
