"""What `Host.wait` waits for, and that it ends (G11), whenever a store is read and answers."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from datasync_core import Event, Host, Put, hookimpl
from datasync_core.transport import Delete, Writer
from datasync_transports.memory import MemoryTransport
from tests.sync.test_reflector import Odd
from tests.test_host import SOON, Notes, Slow


class LateAnswers(Odd):
    """It is read after the first write, and answers that only when the reader has all."""

    def __init__(self) -> None:
        super().__init__(subscribe=self._wait_for_the_write)
        self.was_written, self.was_read = threading.Event(), threading.Event()

    def _wait_for_the_write(self) -> None:
        assert self.was_written.wait(SOON)

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


def test_G11_a_wait_ends_when_a_write_is_read_before_its_answer() -> None:
    """The snapshot already shows the write when the store answers it, so the stream does not repeat it."""
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


def test_G11_a_wait_ends_though_another_flushed_what_was_written() -> None:
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


def test_G11_a_wait_ends_when_another_client_deletes_the_written_key() -> None:
    """Another client deletes the key before the store is read.

    The snapshot shows nothing of it; only its revision says that it was read.
    """
    inside, go, plugin = threading.Event(), threading.Event(), Notes()

    def stop_there() -> None:
        inside.set()
        assert go.wait(SOON)

    store = Odd(snapshot=stop_there)
    with Host(store, {"notes": plugin}) as host:
        assert inside.wait(SOON)
        host.publisher().put("a/1", "x")
        store.writer().commit([Delete("a/1")])
        go.set()
        assert host.wait(SOON)
        assert plugin.values == {}
        host.publisher().delete("a/1")
        store.writer().commit([Put("elsewhere", b"x")])
        host.publisher().delete("a/1")
        assert host.wait(SOON), "of a delete of nothing the stream says nothing"
