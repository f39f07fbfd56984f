"""An audit compares the copy with the store, repairs only what differs, and says what had been missed."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from datasync_core import Delete, Event, Host, Put, Watch, hookimpl
from datasync_core.config import HostSettings, Settings
from datasync_core.model.entries import Batch, Entry
from datasync_core.spec.transport import Subscription
from datasync_transports.memory import MemoryTransport

SOON = 60.0


class Deaf(MemoryTransport):
    """A store whose stream swallows changes while ``deaf``."""

    deaf = False

    def subscribe(self, paths: Sequence[str]) -> Subscription:
        return _Deaf(self, super().subscribe(paths))


class _Deaf(Subscription):
    def __init__(self, transport: Deaf, inner: Subscription) -> None:
        self._transport, self._inner = transport, inner

    def snapshot(self) -> Iterator[Sequence[Entry]]:
        return self._inner.snapshot()

    def poll(self, timeout: float) -> Batch | None:
        batch = self._inner.poll(timeout)
        return None if self._transport.deaf else batch

    def wake(self) -> None:
        self._inner.wake()

    def close(self) -> None:
        self._inner.close()


class Notes:
    def __init__(self) -> None:
        self.watch = Watch("a/", str)
        self.watches = [self.watch]
        self.calls: list[tuple[str, list[tuple[str, str]]]] = []
        self.values: dict[str, str] = {}
        self.heard = threading.Event()

    @hookimpl
    def on_resync(self, event: Event) -> None:
        self._note(event)

    @hookimpl
    def on_change(self, event: Event) -> None:
        self._note(event)

    def _note(self, event: Event) -> None:
        self.calls.append(
            (event.reason, [(change.kind, change.name) for change in event.changes(self.watch)])
        )
        self.values = dict(event[self.watch])
        self.heard.set()


class Endless(MemoryTransport):
    """A store that has news whenever it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.compared = 0, threading.Event()

    def subscribe(self, paths: Sequence[str]) -> Subscription:
        return _Endless(self, super().subscribe(paths))


class _Endless(_Deaf):
    def __init__(self, transport: Endless, inner: Subscription) -> None:
        self._store, self._inner = transport, inner

    def snapshot(self) -> Iterator[Sequence[Entry]]:
        self._store.read += 1
        if self._store.read == 3:
            self._store.compared.set()
        return self._inner.snapshot()

    def poll(self, timeout: float) -> Batch | None:
        return self._inner.poll(0.0) or Batch([])


def audited(store: MemoryTransport, plugin: Notes) -> Host:
    settings = Settings(HostSettings("audited", audit=0.05), {}, {}, Path.cwd())
    return Host(store, {"p": plugin}, settings=settings)


def test_what_the_stream_missed_is_found_repaired_and_said() -> None:
    store, plugin = Deaf(), Notes()
    with audited(store, plugin) as host:
        host.publisher().put("a/1", "x")
        host.publisher().put("a/2", "x")
        assert host.wait(SOON)
        plugin.heard.clear()
        store.deaf = True
        writer = store.writer()
        writer.commit([Put("a/1", b"y"), Delete("a/2"), Put("a/3", b"z")])
        assert plugin.heard.wait(SOON)
        store.deaf = False
        assert host.wait(SOON)
        faults = [fault for fault in host.status()["faults"] if fault["kind"] == "audit"]
    assert plugin.values == {"1": "y", "3": "z"}
    reason, changes = next(call for call in plugin.calls if call[0] == "audit")
    assert (reason, changes[0]) == ("audit", ("DELETE", "2"))
    assert faults[0]["store"] == "main"
    assert faults[0]["text"].startswith("store main: an audit found 3 keys that differ from the copy")


def test_an_audit_that_finds_nothing_tells_nobody() -> None:
    store, plugin = MemoryTransport(), Notes()
    with audited(store, plugin) as host:
        host.publisher().put("a/1", "x")
        assert host.wait(SOON)
        main = host.inspect().stores["main"]
        calls, pause = len(plugin.calls), threading.Event()
        snapshots = main.snapshots
        while main.snapshots < snapshots + 5:
            pause.wait(0.02)
        assert host.wait(SOON)
        assert len(plugin.calls) == calls
        assert host.status()["faults"] == []


def test_changes_under_an_audit_are_told_once_and_in_order() -> None:
    store, plugin = MemoryTransport(), Notes()
    with audited(store, plugin) as host:
        assert host.wait(SOON)
        main = host.inspect().stores["main"]
        number = 0
        while main.snapshots < 6:
            number += 1
            host.publisher().put("a/1", str(number))
        assert host.wait(SOON)
    assert plugin.values == {"1": str(number)}


class Busy(MemoryTransport):
    """A store in which somebody deletes just before an audit's snapshot is read, and writes while it is."""

    snapshots = 0

    def subscribe(self, paths: Sequence[str]) -> Subscription:
        return _Busy(self, super().subscribe(paths))


class _Busy(_Deaf):
    def __init__(self, transport: Busy, inner: Subscription) -> None:
        self._store, self._inner = transport, inner

    def poll(self, timeout: float) -> Batch | None:
        return self._inner.poll(timeout)

    def snapshot(self) -> Iterator[Sequence[Entry]]:
        store = self._store
        store.snapshots += 1
        writer = store.writer()
        if store.snapshots == 2:
            writer.commit([Delete(f"a/{number}") for number in range(15)])
        for chunk in self._inner.snapshot():
            yield chunk
            if store.snapshots == 2:
                writer.commit([Put("a/late", b"x"), Delete("a/19"), Put("a/18", b"again")])


def test_G10_what_is_deleted_around_an_audit_is_a_delete_and_no_alarm() -> None:
    store, plugin = Busy(), Notes()
    with audited(store, plugin) as host:
        host.publisher().commit([Put(f"a/{number}", b"x") for number in range(20)])
        pause = threading.Event()
        while store.snapshots < 4:
            pause.wait(0.01)
        assert host.wait(SOON)
        [said] = host.status()["plugins"]
        assert (said["state"], host.status()["faults"]) == ("in_sync", [])
    assert plugin.values == {"15": "x", "16": "x", "17": "x", "18": "again", "late": "x"}


def test_a_stream_without_an_end_does_not_put_an_audit_off() -> None:
    store = Endless()
    with audited(store, Notes()):
        assert store.compared.wait(SOON)


class Flushed(MemoryTransport):
    """A store that is flushed while its second snapshot is read."""

    def __init__(self) -> None:
        super().__init__()
        self.subscriptions, self.closed, self.third = 0, list[int](), threading.Event()

    def subscribe(self, paths: Sequence[str]) -> Subscription:
        self.subscriptions += 1
        if self.subscriptions == 3:
            self.third.set()
        return _Flushed(self, super().subscribe(paths))


class _Flushed(_Deaf):
    def __init__(self, transport: Flushed, inner: Subscription) -> None:
        self._store, self._inner, self._number = transport, inner, transport.subscriptions

    def snapshot(self) -> Iterator[Sequence[Entry]]:
        yield from self._inner.snapshot()
        if self._number == 2:
            self._store.clear()

    def poll(self, timeout: float) -> Batch | None:
        return self._inner.poll(timeout)

    def close(self) -> None:
        self._inner.close()
        self._store.closed.append(self._number)


def test_a_flush_beside_an_audit_is_told_once() -> None:
    """The stream that was about to go on would begin before the flush, and tell it after what was written since."""
    store = Flushed()
    with audited(store, Notes()) as host:
        assert host.wait(SOON)
        host.publisher().put("a/1", "x")
        assert store.third.wait(SOON)
        assert store.closed[0] == 2, "the stream that told of the flush goes on"
