"""What our own stores do beyond what the shipped suite (`test_conformance`) asks of every one."""

from __future__ import annotations

import threading
import time

import pytest

from datasync_core.transport import (
    Conflict,
    Cursor,
    CursorExpired,
    Delete,
    Gone,
    Put,
    StoreError,
    Subtree,
)
from tests.transports.stores import Held, Store, apply, cursor_of, drain, follow, keys, read, values

ODD_KEYS = ["new\nline", "a//x", "a/" + "long" * 5000, "\U0010ffff/x", "a\U0010ffff"]


@pytest.mark.parametrize(
    "prefix", ["a/", "agent-", "agent1", "a\uffff", "a\ud7ff", "a\U0010ffff", "\U0010ffff", "a%_"]
)
def test_a_prefix_that_ends_in_no_slash_covers_what_begins_with_it(store: Store, prefix: str) -> None:
    """So the host watches everything below a prefix of the store's own."""
    inside = [prefix, prefix + "x", prefix + "/x", prefix + "\U0010ffff"]
    outside = ["agen", "agent.", "agent/x", "agent2", "a", "a\ud7fe", "a\ue000", "a%x", "b"]
    outside = [key for key in outside if not key.startswith(prefix)]
    store.commit(*(Put(key, b"1") for key in [*inside, *outside]))
    subscription = store.subscribe(Subtree(prefix))
    held = read(subscription)
    assert sorted(held) == sorted(inside)
    store.commit(*(Put(key, b"2") for key in [*inside, *outside]))
    follow(subscription, held, lambda: set(values(held).values()) == {b"2"})
    assert sorted(held) == sorted(inside)


def test_overlapping_paths_give_each_change_once(store: Store) -> None:
    store.commit(Put("a/b/1", b"x"), Put("c", b"x"))
    subscription = store.subscribe("a/", "a/b/", "a/b/1", "c")
    assert values(read(subscription)) == {"a/b/1": b"x", "c": b"x"}
    store.commit(Put("a/b/1", b"y"))
    assert keys(drain(subscription)) == ["a/b/1"]


@pytest.mark.slow
def test_ten_thousand_paths_are_served(store: Store) -> None:
    store.commit(*(Put(f"p{i}/x", b"") for i in range(10_000)), Put("other", b""))
    subscription = store.subscribe(*(f"p{i}/" if i % 2 else f"p{i}/x" for i in range(10_000)))
    assert len(read(subscription)) == 10_000
    store.commit(Put("p17/x", b"1"), Put("p18/x", b"1"), Put("p18/y", b"1"))
    assert sorted(keys(drain(subscription))) == ["p17/x", "p18/x"]


def test_keys_come_back_as_they_were_written(store: Store) -> None:
    store.commit(*(Put(key, key.encode()) for key in ODD_KEYS))
    subscription = store.subscribe("")
    assert values(read(subscription)) == {key: key.encode() for key in ODD_KEYS}
    store.commit(*(Delete(key) for key in ODD_KEYS))
    assert sorted(keys(drain(subscription))) == sorted(ODD_KEYS)


def test_a_snapshot_holds_whole_transactions(store: Store) -> None:
    stop = threading.Event()
    store.commit(*(Put(f"t/{k}", b"0") for k in range(3000)))

    def write() -> None:
        writer = store.transport().writer()
        for i in range(1_000_000):
            if stop.is_set():
                break
            writer.commit([Put(f"t/{k}", str(i).encode()) for k in range(3000)])
        writer.close()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(5):
            assert len(set(read(store.subscribe("t/")).values())) == 1
    finally:
        stop.set()
        thread.join()


def test_the_last_of_several_operations_on_a_key_counts(store: Store) -> None:
    store.commit(Put("there", b"0"))
    subscription = store.subscribe("")
    read(subscription)
    store.commit(
        Put("a", b"1"), Put("a", b"2"), Put("b", b"1"), Delete("b"), Delete("there"), Put("there", b"1")
    )
    held: Held = {}
    for batch in drain(subscription):
        apply(held, batch)
    assert values(held) == {"a": b"2", "there": b"1"} == values(read(store.subscribe("")))


def test_revisions_grow_and_are_those_that_readers_see(store: Store) -> None:
    first = store.commit(Put("a", b"1"))
    second = store.commit(Put("b", b"1"), Put("c", b"1"))
    third = store.commit(Put("a", b"1"))
    assert 0 < first < second < third
    subscription = store.subscribe("")
    assert read(subscription) == {"a": (b"1", third), "b": (b"1", second), "c": (b"1", second)}
    fourth = store.commit(Delete("b"))
    assert [list(batch.changes) for batch in drain(subscription)] == [[Gone("b", fourth)]]
    assert fourth > third


def test_removing_what_is_not_there_is_no_error_and_no_change(store: Store) -> None:
    revision = store.commit(Put("a", b"1"))
    subscription = store.subscribe("")
    read(subscription)
    assert store.commit(Delete("b")) == revision
    assert store.commit() == revision
    assert drain(subscription) == []


def test_a_cursor_goes_on_after_each_batch(store: Store) -> None:
    subscription = store.subscribe("x/")
    assert subscription.cursor is None
    read(subscription)
    store.commit(Put("x/1", b""))
    drain(subscription)
    seen = cursor_of(subscription)
    store.commit(Put("x/2", b""))
    again = store.subscribe("x/")
    again.resume(seen)
    assert keys(drain(again)) == ["x/2"]


def test_a_snapshot_that_was_not_read_to_its_end_gives_no_cursor(store: Store) -> None:
    store.commit(*(Put(f"k{i}", b"") for i in range(2500)))
    subscription = store.subscribe("")
    chunks = subscription.snapshot()
    next(chunks)
    chunks.close()  # type: ignore[attr-defined]
    assert subscription.cursor is None
    with pytest.raises(StoreError):
        subscription.poll(0.0)
    assert len(read(subscription)) == 2500
    cursor_of(subscription)


@pytest.mark.parametrize(
    "position", ["", "x", "-1", "99", "99:abc", "1:abc:d", "1:abc", "0x1", "9" * 99, "1\n"]
)
def test_a_cursor_of_another_history_expires(store: Store, position: str) -> None:
    store.commit(Put("a", b""))
    subscription = store.subscribe("")
    read(subscription)
    cursor = cursor_of(subscription)
    with pytest.raises(CursorExpired):
        store.subscribe("").resume(Cursor(cursor.epoch, position))
    with pytest.raises(CursorExpired):
        store.subscribe("").resume(Cursor("another", cursor.position))
    again = store.subscribe("")
    again.resume(cursor)
    assert again.cursor == cursor


def test_poll_before_a_snapshot_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="poll comes after"):
        store.subscribe("").poll(0.0)


def test_compare_and_set_names_key_and_revisions(store: Store) -> None:
    writer = store.writer()
    first = writer.commit([Put("a", b"1")], expect={"a": 0})
    with pytest.raises(Conflict, match=rf"^a has revision {first} in .*, expected 0$"):
        writer.commit([Put("a", b"2"), Put("b", b"2")], expect={"a": 0})
    with pytest.raises(Conflict, match=r"^b has revision 0 in .*, expected 7$"):
        writer.commit([Put("a", b"2")], expect={"a": first, "b": 7})
    assert values(read(store.subscribe(""))) == {"a": b"1"}
    second = writer.commit([Put("a", b"2"), Delete("b")], expect={"a": first, "b": 0})
    writer.commit([Delete("a")], expect={"a": second})
    writer.commit([Put("a", b"3")], expect={"a": 0})
    assert values(read(store.subscribe(""))) == {"a": b"3"}


def test_of_many_who_compare_and_set_each_counts_once(store: Store) -> None:
    store.commit(Put("n", b"0"))

    def count() -> None:
        writer = store.transport().writer()
        done = 0
        while done < 50:
            value, revision = read_one(store, "n")
            try:
                writer.commit([Put("n", str(int(value) + 1).encode())], expect={"n": revision})
            except Conflict:
                continue
            done += 1
        writer.close()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read_one(store, "n")[0] == b"200"


def read_one(store: Store, key: str) -> tuple[bytes, int]:
    subscription = store.transport().subscribe([key])
    try:
        return read(subscription)[key]
    finally:
        subscription.close()


def test_expiry_is_seen_by_compare_and_by_snapshots(store: Store) -> None:
    now = time.time()
    transport = store.transport()
    transport.clock = lambda: now  # type: ignore[attr-defined]
    writer = transport.writer()
    writer.commit([Put("a", b"1", ttl=10.0)])
    revision = writer.commit([Put("b", b"1", ttl=10.0), Put("c", b"1", ttl=10.0)])
    now += 11.0
    with pytest.raises(Conflict, match=r"^b has revision 0 in"):
        writer.commit([Put("b", b"2")], expect={"b": revision})
    writer.commit([Put("b", b"2"), Delete("b")], expect={"b": 0})
    subscription = transport.subscribe([""])
    assert read(subscription) == {}
    assert writer.commit([Put("a", b"2")], expect={"a": 0}) > revision
    assert values(read(subscription)) == {"a": b"2"}
    subscription.close()
    writer.close()


def test_writing_anew_ends_a_time_to_live(store: Store) -> None:
    now = time.time()
    transport = store.transport()
    transport.clock = lambda: now  # type: ignore[attr-defined]
    writer = transport.writer()
    writer.commit([Put("a", b"1", ttl=10.0), Put("b", b"1", ttl=10.0)])
    subscription = transport.subscribe([""])
    read(subscription)
    writer.commit([Put("a", b"2"), Put("b", b"2", ttl=20.0)])
    drain(subscription)
    now += 11.0
    assert drain(subscription) == []
    now += 10.0
    assert keys(drain(subscription)) == ["b"]
    subscription.close()
    writer.close()


def test_everything_else_is_declared(store: Store) -> None:
    found = store.transport().capabilities
    assert all((found.resumable, found.transactions, found.revisions, found.expiry, found.compare, found.raw))
    assert found.key_bytes is None


def test_wake_before_a_poll_ends_the_next_one_and_no_more(store: Store) -> None:
    subscription = store.subscribe("")
    subscription.wake()
    read(subscription)
    subscription.wake()
    subscription.wake()
    began = time.monotonic()
    assert subscription.poll(120.0) is None
    assert time.monotonic() - began < 60
    store.commit(Put("a", b""))
    assert subscription.poll(120.0) is not None


def test_values_in_between_may_collapse_but_the_last_one_stays(store: Store) -> None:
    subscription = store.subscribe("")
    read(subscription)
    writer = store.writer()
    for i in range(300):
        writer.commit([Put("a", str(i).encode()), Put(f"b{i}", b"")])
        writer.commit([Delete(f"b{i}")])
    held: Held = {}
    batches = drain(subscription)
    for batch in batches:
        apply(held, batch)
    assert values(held) == {"a": b"299"}


@pytest.mark.slow
def test_hundred_thousand_keys_come_in_chunks(store: Store) -> None:
    store.commit(*(Put(f"k/{i:06}", b"v") for i in range(100_000)))
    subscription = store.subscribe("k/")
    chunks = [len(chunk) for chunk in subscription.snapshot()]
    assert sum(chunks) == 100_000
    assert max(chunks) <= 1000
    store.commit(*(Delete(f"k/{i:06}") for i in range(0, 100_000, 2)))
    assert len(keys(drain(subscription))) == 50_000


def test_several_writers_and_readers_agree(store: Store) -> None:
    def write(number: int) -> None:
        writer = store.transport().writer()
        for i in range(100):
            writer.commit([Put(f"w{number}/{i % 10}", str(i).encode()), Put("last", str(number).encode())])
        writer.close()

    subscriptions = [store.subscribe("") for _ in range(3)]
    helds = [read(subscription) for subscription in subscriptions]
    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    truth = read(store.subscribe(""))
    assert len(truth) == 41
    for subscription, held in zip(subscriptions, helds, strict=True):
        for batch in drain(subscription):
            apply(held, batch)
        assert held == truth
