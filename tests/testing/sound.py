"""A sound transport in small parts, for broken ones to break: a memory store with leases that can also freeze.

What it does follows from its class's ``capabilities``, so one without any is as sound as one with all.
"""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence

from datasync_core.testing import OutsideStore
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
    Put,
    Subscription,
    Transport,
    Unsupported,
    Url,
    Writer,
)
from datasync_transports.memory import MemoryTransport

ALL = Capabilities(
    resumable=True,
    transactions=True,
    revisions=True,
    expiry=True,
    leases=True,
    compare=True,
    raw=True,
    key_bytes=300,
)
UNWRITABLE = "\x01"


class World:
    """One store and what befalls it."""

    def __init__(self) -> None:
        self.memory = MemoryTransport()
        self.frozen = threading.Event()
        self.entries: dict[tuple[str, int], Entry] = {}  # for who hands out the same ones twice

    def outside(self) -> OutsideStore:
        memory = self.memory
        return OutsideStore(
            "sound://ann:hunter2@server",
            put=lambda key, value: memory.writer().commit([Put(key, value)]),
            delete=lambda key: memory.writer().commit([Delete(key)]),
            commit=lambda values: memory.writer().commit(
                [Delete(key) if value is None else Put(key, value) for key, value in values.items()]
            ),
            clear=memory.clear,
            vanish=memory.lose,
            stop=self.frozen.set,
            go=self.frozen.clear,
            lose=memory.lose,
            back=memory.back,
        )


class SoundSubscription(Subscription):
    def __init__(self, transport: Sound, paths: Sequence[str]) -> None:
        self.transport = transport
        self.can = transport.capabilities
        self.world = transport.world
        self.inner = self.world.memory.subscribe(paths)

    def snapshot(self) -> Iterator[Sequence[Entry]]:
        self.answers()
        for chunk in self.inner.snapshot():
            yield [self.entry(entry) for entry in chunk]

    def resume(self, cursor: Cursor) -> None:
        if not self.can.resumable:
            raise CursorExpired("cannot resume")
        self.inner.resume(cursor)

    def poll(self, timeout: float) -> Batch | None:
        self.answers()
        batch = self.inner.poll(timeout)
        return None if batch is None else Batch([self.change(one) for one in batch.changes], batch.cleared)

    @property
    def cursor(self) -> Cursor | None:
        return self.inner.cursor if self.can.resumable else None

    @property
    def revision(self) -> int:
        return self.inner.revision if self.can.revisions else 0

    def wake(self) -> None:
        self.inner.wake()

    def close(self) -> None:
        self.inner.close()

    def answers(self) -> None:
        if self.world.frozen.is_set():
            raise ConnectionLost("no answer")

    def change(self, change: Entry | Gone) -> Entry | Gone:
        return Gone(change.key) if change.gone else self.entry(change)

    def entry(self, entry: Entry) -> Entry:
        if not self.can.revisions:
            entry.revision = 0
        return entry


class SoundWriter(Writer):
    def __init__(self, transport: Sound) -> None:
        self.can = transport.capabilities
        self.inner = transport.world.memory.writer()
        self.mortal: set[str] = set()

    def commit(self, ops: Sequence[Put | Delete], *, expect: Mapping[str, int] = {}) -> int:
        self.check(ops, expect)
        self.mortal.update(op.key for op in ops if isinstance(op, Put) and op.alive)
        plain = [Put(op.key, op.value, op.ttl) if isinstance(op, Put) else op for op in ops]
        revision = self.inner.commit(plain, expect=expect)
        return revision if self.can.revisions else 0

    def check(self, ops: Sequence[Put | Delete], expect: Mapping[str, int]) -> None:
        puts = [op for op in ops if isinstance(op, Put)]
        undeclared = {
            "compare": bool(expect),
            "transactions": len(ops) > 1,
            "expiry": any(op.ttl is not None for op in puts),
            "leases": any(op.alive for op in puts),
            "raw": not all(is_json(op.value) for op in puts),
            "empty": not all(op.value for op in puts),
        }
        for name, wanted in undeclared.items():
            if wanted and not getattr(self.can, name):
                raise Unsupported(name)
        if any(len(op.key.encode()) > (self.can.key_bytes or 10_000) for op in ops):
            raise Unsupported("key_bytes")
        if any(UNWRITABLE in op.key for op in ops):
            raise Unsupported("no such key")

    def close(self) -> None:
        while self.mortal:
            self.inner.commit([Delete(self.mortal.pop())])


class Sound(Transport):
    capabilities = ALL
    subscription: type[SoundSubscription] = SoundSubscription
    writes: type[SoundWriter] = SoundWriter

    def __init__(self, world: World) -> None:
        super().__init__(Url.parse("sound://ann:hunter2@server"))
        self.world = world

    def subscribe(self, paths: Sequence[str]) -> Subscription:
        return self.subscription(self, paths)

    def writer(self) -> Writer:
        return self.writes(self)


class NeverEmpty(Sound):
    """A store where a value without bytes is none."""

    capabilities = Capabilities(raw=True, empty=False)


class Bare(Sound):
    """Sound, and able to do nothing beyond what every store does."""

    capabilities = Capabilities()


class ReadOnly(Sound):
    capabilities = Capabilities(resumable=True, transactions=True, revisions=True)

    def writer(self) -> Writer:
        raise Unsupported("read-only")


class DocumentsSubscription(SoundSubscription):
    def entry(self, entry: Entry) -> Entry:
        entry.value = compact(entry.value)
        return super().entry(entry)


class DocumentsWriter(SoundWriter):
    """Compares values in the form that readers see."""

    def __init__(self, transport: Sound) -> None:
        super().__init__(transport)
        self.transport = transport

    def commit(self, ops: Sequence[Put | Delete], *, expect: Mapping[str, int] = {}) -> int:
        for key, expected in expect.items():
            value = self.transport.world.memory.entries.get(key)
            if expected != (0 if value is None else self.transport.revision_of(compact(value))):
                raise Conflict(key)
        return super().commit(ops)


class Documents(Sound):
    """A store of JSON documents that keeps them in a form of its own, and compares them by that."""

    capabilities = Capabilities(transactions=True, compare=True)
    subscription = DocumentsSubscription
    writes = DocumentsWriter

    def revision_of(self, value: bytes) -> int:
        return 1 + zlib.crc32(value)


def compact(document: bytes) -> bytes:
    return json.dumps(json.loads(document), separators=(",", ":")).encode()


def is_json(value: bytes) -> bool:
    try:
        json.loads(value)
    except ValueError:
        return False
    return True
