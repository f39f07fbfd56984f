"""What `Host.wait` waits for, and that it ends (G11), whenever a store is read and answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence

from datasync_core import Event, Host, Put, hookimpl
from datasync_core.transport import Batch, Delete, Entry, Subscription, Writer
from datasync_transports.memory import MemoryTransport
from tests.test_host import SOON, Notes, Slow


class LateAnswers(MemoryTransport):
    """It is read after the first write, and answers that only when the reader has all."""

    def __init__(self) -> None:
        super().__init__()
        self.was_written, self.was_read = threading.Event(), threading.Event()

    def subscribe(self, paths: Sequence[str]) -> Subscription:
        assert self.was_written.wait(SOON)
        return super().subscribe(paths)

    def writer(self) -> Writer:
        return _LateWriter(self, super().writer())


class _LateWriter(Writer):
    def __init__(self, store: LateAnswers, inner: Writer) -> None:
        self.store, self.inner = store, inner

    def commit(self, ops: Sequence[Put | Delete], *, expect: Mapping[str, int] = {}) -> int:
        revision = self.inner.commit(ops, expect=expect)
        self.store.was_written.set()
        assert self.store.was_read.wait(SOON)
        return revision

    def close(self) -> None:
        self.inner.close()


def test_G11_a_wait_ends_though_all_was_read_between_a_write_and_its_answer():
    store = LateAnswers()

    class Quick(Notes):
        @hookimpl
        def on_resync(self, event: Event) -> None:
            super().on_resync(event)
            store.was_read.set()

    plugin = Quick()
    with Host(store, {"quick": plugin}) as host:
        host.publisher().put("a/1", "x")
        assert host.wait(SOON)
        assert plugin.values == {"1": "x"}


def test_G11_a_wait_ends_though_another_flushed_what_was_written():
    """The stream tells of the flush, and of nothing before it."""
    slow, store = Slow(), MemoryTransport()
    with Host(store, {"slow": slow}) as host:
        assert host.wait(SOON)
        host.publisher().put("a/1", "x")
        assert slow.inside.wait(SOON)
        host.publisher().put("a/2", "x")
        store.clear()
        slow.go.set()
        assert host.wait(SOON)


class Slowly(MemoryTransport):
    """Its snapshot waits between its chunks, of which the last is empty."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.go = threading.Event(), threading.Event()

    def subscribe(self, paths: Sequence[str]) -> Subscription:
        return _SlowSubscription(self, super().subscribe(paths))


class _SlowSubscription(Subscription):
    def __init__(self, store: Slowly, inner: Subscription) -> None:
        self.store, self.inner = store, inner

    def snapshot(self) -> Iterator[Sequence[Entry]]:
        self.store.inside.set()
        assert self.store.go.wait(SOON)
        yield from self.inner.snapshot()

    def poll(self, timeout: float) -> Batch | None:
        return self.inner.poll(timeout)

    @property
    def revision(self) -> int:
        return self.inner.revision

    def wake(self) -> None:
        self.inner.wake()

    def close(self) -> None:
        self.inner.close()


def test_G11_a_wait_ends_though_another_removed_what_was_written_before_the_store_was_read():
    """The snapshot shows nothing of it; only its revision says that it was read."""
    store, plugin = Slowly(), Notes()
    with Host(store, {"notes": plugin}) as host:
        assert store.inside.wait(SOON)
        host.publisher().put("a/1", "x")
        store.writer().commit([Delete("a/1")])
        store.go.set()
        assert host.wait(SOON)
        assert plugin.values == {}
        host.publisher().delete("a/1")
        store.writer().commit([Put("elsewhere", b"x")])
        host.publisher().delete("a/1")
        assert host.wait(SOON), "of a delete of nothing the stream says nothing"
