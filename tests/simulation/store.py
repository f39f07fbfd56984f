"""The store of the simulation: a transport whose data, history and failures are in the hands of a seed.

The log names what each commit changed; a subscription is a place in the log. An *exact* store (like etcd) has
transactions: a snapshot shows one state, and a commit is streamed whole. Any other (like Redis) reads its snapshot
key by key while others write, and streams changes one by one; where it numbers nothing it streams the value that
a key has when it is read.

Only one thread of a `VirtualRuntime` runs at a time and none hands over but at `pause` and `block`, so the data
needs no lock.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from datasync_core.testing import VirtualRuntime
from datasync_core.transport import (
    Batch,
    Capabilities,
    ConnectionLost,
    Cursor,
    CursorExpired,
    Delete,
    Entry,
    Gone,
    Put,
    StoreError,
    Subscription,
    Transport,
    Url,
    Writer,
    covers,
)

State = dict[str, tuple[bytes, int]]


class Record(NamedTuple):
    """One commit: the changes (None: deleted), or a flush. ``silent``: no subscriber is ever told."""

    revision: int
    changes: Mapping[str, bytes | None]
    cleared: bool = False
    silent: bool = False


class SimulatedStore(Transport):
    """One store that several hosts may read, one after the other. ``flaky``: how likely a read breaks off."""

    def __init__(
        self,
        name: str,
        runtime: VirtualRuntime,
        rng: random.Random,
        *,
        exact: bool,
        resumable: bool,
        revisions: bool,
    ) -> None:
        super().__init__(Url("simulated", path=name))
        self.capabilities = Capabilities(  # type: ignore[misc]  # a class has one, a simulation draws one
            resumable=resumable, transactions=exact, revisions=revisions, raw=True
        )
        self.name = name
        self.runtime = runtime
        self.rng = rng
        self.exact = exact
        self.revisions = revisions
        self.entries: State = {}
        self.revision = 0
        self.epoch = 0
        self.log: list[Record] = []
        self.floor = 0
        """The oldest place in the log to go on from."""
        self.life = 0
        """Grows when connections are lost."""
        self.away = False
        self.flaky = 0.0
        self.states: dict[frozenset[tuple[str, bytes]], list[int]] = {frozenset(): [0]}
        """Every state the store was ever in, and when, as numbers that grow: what an exact store's readers may see."""
        self.begun = 0
        """The place in the log where the newest snapshot began."""
        self.begun_in = 0
        """The epoch then."""
        self.subscriptions: list[_Subscription] = []
        self.breaks = 0
        """How many reads broke off."""
        self._count = 0
        self._backups: list[tuple[State, int]] = []

    def subscribe(self, paths: Sequence[str]) -> Subscription:
        subscription = _Subscription(self, paths)
        self.subscriptions.append(subscription)
        return subscription

    def writer(self) -> Writer:
        return _Writer(self)

    # For whoever steers

    def values(self) -> dict[str, bytes]:
        """Key → bytes, now."""
        return {key: value for key, (value, _) in self.entries.items()}

    def commit(self, changes: Mapping[str, bytes | None], *, silent: bool = False) -> int:
        """Write (None: delete) several keys together; ``silent``: and tell no subscriber, as a store should not."""
        changes = {key: value for key, value in changes.items() if value is not None or key in self.entries}
        if changes:
            self.revision += 1
            for key, value in changes.items():
                if value is None:
                    del self.entries[key]
                else:
                    self.entries[key] = (value, self.revision)
            self._record(Record(self.revision, changes, silent=silent))
        return self.revision

    def swap(self) -> None:
        """Put the oldest backup in the place of everything, as Redis' SWAPDB does: in silence."""
        state = self._backups[0][0] if self._backups else {}
        fresh = {
            key: value for key, (value, _) in state.items() if self.entries.get(key, (None, 0))[0] != value
        }
        self.commit({**dict.fromkeys(self.entries.keys() - state.keys()), **fresh}, silent=True)

    def untold(self, place: int) -> set[str]:
        """Keys of whose latest change, from a place in the log on, no subscriber is told."""
        untold: set[str] = set()
        for record in self.log[place:]:
            if record.cleared:
                untold.clear()
            elif record.silent:
                untold |= record.changes.keys()
            else:
                untold -= record.changes.keys()
        return untold

    def place_of(self, values: Mapping[str, str | None]) -> int:
        """Where in the log the newest commit of these values ends."""
        wanted = {key: None if text is None else text.encode() for key, text in values.items()}
        for place in range(len(self.log), 0, -1):
            found = self.log[place - 1].changes
            if found.items() <= wanted.items() and all(
                key in found for key in wanted if wanted[key] is not None
            ):
                return place
        return len(self.log)

    def streamed(self) -> int:
        """Where in the log the oldest subscription is."""
        return min((one._place for one in self.subscriptions if one._following), default=len(self.log))

    def removed(self, place: int) -> set[str]:
        """Keys that were removed in silence from a place in the log on."""
        silent = [record.changes for record in self.log[place:] if record.silent]
        return {key for changes in silent for key, value in changes.items() if value is None}

    def lost(self, place: int) -> set[str]:
        """Keys that were changed in silence from a place in the log on."""
        return {key for record in self.log[place:] if record.silent for key in record.changes}

    def clear(self) -> None:
        """Flush everything; subscribers are told as a flush."""
        self.revision += 1
        self.entries = {}
        self._record(Record(self.revision, {}, cleared=True))

    def lose(self, *, away: bool = True) -> None:
        """Break every connection; ``away``: and let nobody in until `back`."""
        self.life += 1
        self.away = self.away or away

    def back(self) -> None:
        """Answer again."""
        self.away = False

    def forget(self) -> None:
        """Lose the history: no cursor that was given out is good any more."""
        self.floor = len(self.log)
        self.life += 1

    def back_up(self) -> None:
        """Keep what is there, to be restored some day."""
        self._backups.append((dict(self.entries), self.revision))

    def restore(self, *, empty: bool = False) -> None:
        """Come back from the oldest backup, or from none (``empty``): another history, with lower revisions."""
        state, revision = ({}, 0) if empty or not self._backups else self._backups[0]
        self.entries, self.revision = dict(state), revision
        self.epoch += 1
        self.forget()
        self._remember()

    def is_read(self) -> bool:
        """Whether every subscription that lives has been given all there is."""
        return all(one.is_at_the_end() for one in self.subscriptions)

    def is_being_read(self) -> bool:
        """Whether somebody is in the middle of a snapshot."""
        return any(one.reading for one in self.subscriptions)

    def _record(self, record: Record) -> None:
        self.log.append(record)
        self._remember()

    def _remember(self) -> None:
        if self.exact:
            self._count += 1
            self.states.setdefault(frozenset(self.values().items()), []).append(self._count)


class _Subscription(Subscription):
    """A place in the log. Owned by its reflector's thread."""

    def __init__(self, store: SimulatedStore, paths: Sequence[str]) -> None:
        self._store = store
        self._paths = paths
        self._life = store.life
        self._epoch = store.epoch
        self._place = 0  # how many records were delivered
        self._part = 0  # how many changes of the next record were
        self._since = 0  # where this subscription began: nothing before it is delivered again
        self._read_at = 0  # the revision of its snapshot
        self.reading = False
        self._following = False
        self._woken = False
        self._closed = False

    def snapshot(self) -> Iterator[Sequence[Entry]]:
        store, rng = self._store, self._store.rng
        self._break()
        self._place = self._since = store.begun = len(store.log)
        store.begun_in = store.epoch
        self._read_at = store.revision
        self.reading = True
        listed = [
            (key, value, revision)
            for key, (value, revision) in store.entries.items()
            if any(covers(path, key) for path in self._paths)
        ]
        if not store.exact:
            rng.shuffle(listed)
        while listed:
            store.runtime.pause()
            self._break()
            count = rng.randrange(1, 5)
            chunk, listed = listed[:count], listed[count:]
            if store.exact:
                yield [Entry(key, value, self._number(revision)) for key, value, revision in chunk]
            else:
                found = [(key, store.entries[key]) for key, _, _ in chunk if key in store.entries]
                yield [Entry(key, value, self._number(revision)) for key, (value, revision) in found]
        store.runtime.pause()
        self._break()
        self.reading, self._following = False, True

    def resume(self, cursor: Cursor) -> None:
        store = self._store
        store.runtime.pause()
        self._break()
        place, part = map(int, cursor.position.split("."))
        if cursor.epoch != str(store.epoch) or place < store.floor:
            raise CursorExpired(f"{store.name}: the history from {cursor.position} on is gone")
        self._place = self._since = place
        self._part = part
        self._following = True

    def poll(self, timeout: float) -> Batch | None:
        store = self._store
        store.runtime.block(self._has_news, timeout)
        self._woken = False
        self._break()
        while self._place < len(store.log) and store.log[self._place].silent:
            self._place += 1
        if self._place >= len(store.log):
            return None
        return self._next_commits() if store.exact else self._next_changes()

    @property
    def cursor(self) -> Cursor | None:
        if not self._store.capabilities.resumable:
            return None
        return Cursor(str(self._epoch), f"{self._place}.{self._part}")

    @property
    def revision(self) -> int:
        moved = self._place > self._since
        return self._number(self._store.log[self._place - 1].revision if moved else self._read_at)

    def wake(self) -> None:
        self._woken = True

    def close(self) -> None:
        self._closed = True
        if self in self._store.subscriptions:
            self._store.subscriptions.remove(self)

    def is_at_the_end(self) -> bool:
        return self._following and self._life == self._store.life and self._place >= len(self._store.log)

    def _has_news(self) -> bool:
        store = self._store
        return (
            self._place < len(store.log)
            or self._woken
            or self._life != store.life
            or store.away
            or self._closed
        )

    def _break(self) -> None:
        store = self._store
        if store.away or self._life != store.life or self._closed:
            raise ConnectionLost(f"{store.name}: the connection was lost")
        if store.rng.random() < store.flaky:
            store.breaks += 1
            raise store.rng.choice(
                [
                    ConnectionLost(f"{store.name}: the connection broke"),
                    CursorExpired(f"{store.name}: too slow"),
                    StoreError(f"{store.name}: out of order"),
                    ValueError("a mistake of the transport"),
                ]
            )

    def _next_commits(self) -> Batch:
        """Whole commits, some of them perhaps for the second time; a flush begins a batch."""
        store, rng = self._store, self._store.rng
        first = self._place
        while first > self._since and rng.random() < 0.1 and not store.log[first - 1].cleared:
            first -= 1
        if store.log[first].cleared or not store.revisions:
            first = self._place
        latest: dict[str, Entry | Gone] = {}
        cleared = False
        place = first
        while place < len(store.log):
            record = store.log[place]
            if record.cleared and place > first:
                break
            cleared = cleared or record.cleared
            for key, value in () if record.silent else record.changes.items():
                self._put(latest, key, value, record.revision)
            place += 1
            if place > self._place and rng.random() < 0.6:
                break
        self._place = max(place, self._place)
        return Batch(list(latest.values()), cleared)

    def _next_changes(self) -> Batch:
        """Change after change, commits divided; without revisions each key as it is now."""
        store, rng = self._store, self._store.rng
        latest: dict[str, Entry | Gone] = {}
        cleared = False
        while self._place < len(store.log):
            record = store.log[self._place]
            if record.cleared:
                if latest:
                    break
                cleared = True
            changes = [] if record.silent else list(record.changes.items())
            while self._part < len(changes):
                key, value = changes[self._part]
                if not store.revisions:
                    value = store.entries[key][0] if key in store.entries else None
                self._put(latest, key, value, record.revision)
                self._part += 1
                if rng.random() < 0.2:
                    break
            if self._part < len(changes):
                break
            self._place, self._part = self._place + 1, 0
            if rng.random() < 0.4:
                break
        return Batch(list(latest.values()), cleared)

    def _put(self, latest: dict[str, Entry | Gone], key: str, value: bytes | None, revision: int) -> None:
        if any(covers(path, key) for path in self._paths):
            number = self._number(revision)
            latest[key] = Gone(key, number) if value is None else Entry(key, value, number)

    def _number(self, revision: int) -> int:
        return revision if self._store.revisions else 0


class _Writer(Writer):
    def __init__(self, store: SimulatedStore) -> None:
        self._store = store

    def commit(self, ops: Sequence[Put | Delete], *, expect: Mapping[str, int] = {}) -> int:
        if self._store.away:
            raise ConnectionLost(f"{self._store.name}: the connection was lost")
        changes = {op.key: op.value if isinstance(op, Put) else None for op in ops}
        store, life = self._store, self._store.life
        revision = store.commit(changes)
        store.runtime.block(lambda: store.life != life, store.rng.choice([0.0, 0.1, 3.0]))
        if store.life != life:
            raise ConnectionLost(f"{store.name}: the connection was lost before it answered")
        return self._number(revision)

    def _number(self, revision: int) -> int:
        return revision if self._store.revisions else 0
