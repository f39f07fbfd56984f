"""The store in this process: who shares it, and what its test hooks do."""

from __future__ import annotations

import gc
import threading
import time

import pytest

from datasync_core.transport import (
    Batch,
    ConnectionLost,
    CursorExpired,
    Delete,
    Entry,
    Gone,
    Misconfigured,
    Put,
    Transport,
    Url,
)
from datasync_transports.memory import MemoryTransport
from tests.transports.stores import cursor_of, drain, keys, read, values


def memory(text: str = "memory:", history: int = 100_000) -> MemoryTransport:
    return MemoryTransport(Url.parse(text), history=history)


def put(transport: Transport, *keys: str) -> int:
    return transport.writer().commit([Put(key, b"1") for key in keys])


def test_a_store_without_a_name_is_private_to_its_object() -> None:
    one, two = MemoryTransport(), memory()
    put(one, "a")
    assert one.entries == {"a": b"1"}
    assert two.entries == {}
    assert values(read(one.subscribe([""]))) == {"a": b"1"}


@pytest.mark.slow
def test_a_named_store_is_shared_until_its_last_user_is_gone() -> None:
    one, two, other = memory("memory:shared"), memory("memory:shared"), memory("memory:other")
    put(one, "a")
    assert two.entries == {"a": b"1"}
    assert other.entries == {}
    del one
    gc.collect()
    subscription = two.subscribe([""])
    del two
    gc.collect()
    assert memory("memory:shared").entries == {"a": b"1"}, "a subscription is a user"
    del subscription
    gc.collect()
    assert memory("memory:shared").entries == {}


def test_a_server_is_refused() -> None:
    with pytest.raises(Misconfigured, match="write memory: or memory:NAME"):
        memory("memory://name")


def test_G3_lose_breaks_everything_until_back() -> None:
    transport = memory()
    subscription, unused, half = (transport.subscribe([""]) for _ in range(3))
    writer = transport.writer()
    read(subscription)
    put(transport, *(f"k{i}" for i in range(1500)))
    chunks = half.snapshot()
    next(chunks)
    transport.lose()
    for use in (
        lambda: subscription.poll(10.0),
        lambda: read(unused),
        lambda: next(chunks),
        lambda: transport.subscribe([""]),
        lambda: writer.commit([Put("a", b"2")]),
    ):
        with pytest.raises(ConnectionLost):
            use()
    transport.back()
    assert len(transport.entries) == 1500
    for broken in (subscription, unused):
        with pytest.raises(ConnectionLost):
            broken.poll(0.0)
    writer.commit([Put("a", b"2")])
    again = transport.subscribe([""])
    again.resume(cursor_of(subscription))
    assert len(keys(drain(again))) == 1501


def test_lose_ends_a_waiting_poll() -> None:
    transport = memory()
    subscription = transport.subscribe([""])
    read(subscription)
    thread = threading.Thread(target=transport.lose)
    began = time.monotonic()
    thread.start()
    with pytest.raises(ConnectionLost):
        subscription.poll(120.0)
    thread.join()
    assert time.monotonic() - began < 60


def test_back_without_history_expires_every_cursor() -> None:
    transport = memory()
    subscription = transport.subscribe([""])
    read(subscription)
    cursor = cursor_of(subscription)
    transport.lose()
    transport.back(history=False)
    with pytest.raises(CursorExpired):
        transport.subscribe([""]).resume(cursor)
    again = transport.subscribe([""])
    read(again)
    put(transport, "a")
    assert keys(drain(again)) == ["a"]


def test_clear_is_a_cleared_batch_with_what_came_after() -> None:
    transport = memory()
    put(transport, "a", "b")
    subscription, narrow = transport.subscribe([""]), transport.subscribe(["x/"])
    read(subscription), read(narrow)
    put(transport, "c")
    transport.clear()
    assert subscription.poll(0.0) == Batch([], cleared=True)
    put(transport, "d")
    transport.clear()
    revision = put(transport, "a", "e")
    transport.writer().commit([Delete("e")])
    [batch] = drain(subscription)
    assert batch == Batch([Entry("a", b"1", revision), Gone("e", revision + 1)], cleared=True)
    assert [batch.cleared for batch in drain(narrow)] == [True]


def test_G3_who_falls_out_of_the_history_is_told_so() -> None:
    transport = memory(history=10)
    subscription, late = transport.subscribe([""]), transport.subscribe([""])
    read(subscription), read(late)
    put(transport, *(f"k{i}" for i in range(100)))
    assert len(keys(drain(subscription))) == 100, "the newest commit is kept, whatever its size"
    for i in range(20):
        put(transport, f"a{i}")
    with pytest.raises(CursorExpired):
        late.poll(1.0)
    with pytest.raises(CursorExpired):
        transport.subscribe([""]).resume(cursor_of(late))
    assert len(read(late)) == 120
    put(transport, "z")
    assert keys(drain(late)) == ["z"]


def test_times_to_live_go_by_the_clock_that_was_given() -> None:
    now = 0.0
    transport = memory()
    transport.clock = lambda: now
    subscription = transport.subscribe([""])
    read(subscription)
    revision = transport.writer().commit([Put("a", b"1", ttl=5.0), Put("b", b"1", ttl=500.0), Put("c", b"1")])
    drain(subscription)
    now = 4.9
    assert subscription.poll(0.0) is None
    now = 5.0
    assert subscription.poll(0.0) == Batch([Gone("a", revision + 1)])
    now = 501.0
    assert transport.entries == {"c": b"1"}
    assert keys(drain(subscription)) == ["b"]


def test_a_poll_ends_though_its_clock_stands_still() -> None:
    transport = memory()
    transport.clock = lambda: 0.0
    subscription = transport.subscribe([""])
    read(subscription)
    transport.writer().commit([Put("a", b"1", ttl=0.05)])
    drain(subscription)
    assert subscription.poll(0.2) is None


def test_G9_rewritten_times_to_live_do_not_pile_up() -> None:
    transport = memory(history=10)
    writer = transport.writer()
    for _ in range(5000):
        writer.commit([Put("a", b"1", ttl=1000.0)])
    assert len(transport._store.deadlines) < 2000
    assert len(transport._store.history) < 10


def test_a_waiting_poll_waits_on_the_doorbell_that_was_given() -> None:
    class Bell:
        waits: list[float | None] = []

        def ring(self) -> None:
            raise AssertionError("nobody else is here")

        def wait(self, timeout: float | None = None) -> bool:
            self.waits.append(timeout)
            return False

    transport = memory()
    transport.clock = lambda: 0.0
    transport.doorbell = Bell
    subscription = transport.subscribe([""])
    read(subscription)
    assert subscription.poll(7.5) is None
    assert Bell.waits == [7.5]


def test_closed_subscriptions_cost_a_writer_nothing() -> None:
    transport = memory()
    for _ in range(10):
        transport.subscribe([""]).close()
    assert len(transport._store.subscriptions) == 0


def test_changes_come_in_the_order_of_the_writes() -> None:
    transport = memory()
    subscription = transport.subscribe([""])
    read(subscription)
    put(transport, "c", "a", "b")
    put(transport, "a", "d")
    assert keys(drain(subscription)) == ["c", "b", "a", "d"]
