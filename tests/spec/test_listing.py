"""A transport of one method: what it hands on, when it reads, and what it makes of a read that fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from datasync_core import Event, Host, Watch, hookimpl
from datasync_core.plugins.arguments import arguments
from datasync_core.transport import (
    Batch,
    Capabilities,
    ConnectionLost,
    Cursor,
    CursorExpired,
    Entry,
    ListingTransport,
    Misconfigured,
    Reader,
    StoreError,
    Subscription,
    Unchanged,
    Unsupported,
    Url,
)

Read = Callable[[], Mapping[str, bytes]]
LONG = 120.0
"""Seconds of waits that something ends long before their time."""


class Directory(ListingTransport):
    """What an author writes."""

    held: Mapping[str, bytes]
    reads = 0
    before: Callable[[], None] = staticmethod(lambda: None)

    def read(self) -> Mapping[str, bytes]:
        self.reads += 1
        self.before()
        return self.held


def directory(interval: float = 0.001, **held: bytes) -> Directory:
    made = Directory(Url("directory"), interval=interval)
    made.held = held
    return made


def read(subscription: Subscription) -> dict[str, bytes]:
    return {entry.key: entry.value for chunk in subscription.snapshot() for entry in chunk}


def followed(subscription: Subscription) -> Batch:
    """The next batch, which comes long before the poll would end without one."""
    began = time.monotonic()
    batch = subscription.poll(LONG)
    assert batch is not None
    assert time.monotonic() - began < LONG / 2
    return batch


def test_what_is_new_changed_and_gone_comes_as_one_batch() -> None:
    made = directory(a=b"1", b=b"1", c=b"1")
    subscription = made.subscribe([""])
    assert read(subscription) == {"a": b"1", "b": b"1", "c": b"1"}
    made.held = {"b": b"2", "c": b"1", "d": b""}
    rest = [Entry("b", b"2"), Entry("c", b"1"), Entry("d", b"")]
    assert followed(subscription) == Batch(rest, cleared=True)
    made.held = {**made.held, "e": b"1"}
    assert followed(subscription) == Batch([Entry("e", b"1")])
    assert subscription.poll(0.01) is None


def test_the_author_may_keep_and_change_one_mapping() -> None:
    made = directory()
    mine = {"a": b"1"}
    made.held = mine
    subscription = made.subscribe([""])
    assert read(subscription) == {"a": b"1"}
    mine["a"] = b"2"
    assert followed(subscription).changes == [Entry("a", b"2")]


def test_only_watched_keys_are_handed_on() -> None:
    made = directory()
    made.held = dict.fromkeys(("a", "a/1", "a2/1", "b", "b/1", "c"), b"1")
    subscription = made.subscribe(["a/", "b"])
    assert read(subscription) == {"a/1": b"1", "b": b"1"}
    made.held = dict.fromkeys(("a", "a/1", "a2/1", "b", "b/1", "c"), b"2")
    assert followed(subscription).changes == [Entry("a/1", b"2"), Entry("b", b"2")]


def test_G1_a_read_that_fails_is_a_lost_connection_and_no_deletion() -> None:
    made = directory(a=b"1")
    subscription = made.subscribe([""])
    read(subscription)

    def fail() -> None:
        raise ZeroDivisionError("by none")

    made.before = fail
    for _ in range(2):
        with pytest.raises(
            ConnectionLost, match="directory: cannot be read: ZeroDivisionError: by none"
        ) as lost:
            subscription.poll(LONG)
        assert isinstance(lost.value.__cause__, ZeroDivisionError)
    with pytest.raises(ConnectionLost):
        read(made.subscribe([""]))
    made.before = lambda: None
    assert subscription.poll(0.01) is None


def test_an_error_of_the_spi_is_handed_on_as_it_is() -> None:
    made = directory()

    def refuse() -> None:
        raise Misconfigured("no such realm; write another")

    made.before = refuse
    with pytest.raises(Misconfigured, match="no such realm"):
        read(made.subscribe([""]))


@pytest.mark.parametrize("held", [{"a": "text"}, {1: b"1"}, {"a": None}])
def test_what_is_no_key_or_no_value_is_named(held: Any) -> None:
    made = directory()
    made.held = held
    with pytest.raises(StoreError, match=r"read\(\) gave \w+ → \w+ for .*; keys are str and values bytes"):
        read(made.subscribe([""]))


def test_it_is_read_once_an_interval_however_often_it_is_asked() -> None:
    made = directory(interval=60.0, a=b"1")
    subscription = made.subscribe([""])
    read(subscription)
    made.held = {}
    for _ in range(100):
        assert subscription.poll(0.0) is None
    assert made.reads == 1


def test_a_subclass_has_a_default_interval_and_the_url_another() -> None:
    class Slow(Directory):
        interval = 60.0

    assert Slow(Url("slow")).interval == 60.0
    assert Slow(Url("slow"), **arguments(Slow, {"interval": "5"}, {"interval"}, {"url"})).interval == 5.0  # type: ignore[arg-type]  # arguments as read from a URL
    assert Directory(Url("directory")).interval == 1.0


@pytest.mark.parametrize("interval", [0.0, -1.0, float("nan"), float("inf"), 1e300])
def test_an_interval_that_cannot_be_is_refused(interval: float) -> None:
    with pytest.raises(Misconfigured, match="directory:: interval is a number of seconds above 0, got"):
        directory(interval)


@pytest.mark.parametrize("name", ["wake", "close"])
def test_a_wait_ends_at_once_when_another_thread_says_so(name: str) -> None:
    subscription = directory(interval=LONG).subscribe([""])
    read(subscription)
    thread = threading.Thread(target=getattr(subscription, name))
    began = time.monotonic()
    thread.start()
    if name == "wake":
        assert subscription.poll(LONG) is None
    else:
        with pytest.raises(ConnectionLost, match="was closed"):
            subscription.poll(LONG)
    thread.join()
    assert time.monotonic() - began < LONG / 2


def test_a_wake_before_a_poll_ends_the_next_one_and_no_more() -> None:
    made = directory(a=b"1")
    subscription = made.subscribe([""])
    subscription.wake()
    read(subscription)
    subscription.wake()
    subscription.wake()
    began = time.monotonic()
    assert subscription.poll(LONG) is None
    assert time.monotonic() - began < LONG / 2
    made.held = {}
    assert followed(subscription) == Batch([], cleared=True)


def test_a_read_that_takes_its_time_is_not_used_after_a_close() -> None:
    made = directory(a=b"1")
    subscription = made.subscribe([""])
    read(subscription)
    reading, closed = threading.Event(), threading.Event()

    def slowly() -> None:
        reading.set()
        assert closed.wait(60)

    made.held = {}
    made.before = slowly

    def close() -> None:
        assert reading.wait(60)
        subscription.close()
        closed.set()

    thread = threading.Thread(target=close)
    thread.start()
    with pytest.raises(ConnectionLost, match="was closed"):
        subscription.poll(LONG)
    thread.join()


def test_a_wake_during_a_slow_read_ends_the_poll_after_it() -> None:
    made = directory(a=b"1")
    subscription = made.subscribe([""])
    read(subscription)
    made.before = subscription.wake
    began = time.monotonic()
    made.interval = LONG
    assert subscription.poll(LONG) is None
    assert time.monotonic() - began < LONG / 2


def test_close_may_come_twice_first_and_in_a_snapshot() -> None:
    made = directory()
    made.held = {str(i): b"" for i in range(2500)}
    unused = made.subscribe([""])
    unused.close()
    unused.close()
    unused.wake()
    with pytest.raises(ConnectionLost):
        read(unused)
    subscription = made.subscribe([""])
    chunks = subscription.snapshot()
    assert len(next(chunks)) == 1000
    subscription.close()
    with pytest.raises(ConnectionLost):
        next(chunks)


def test_poll_comes_after_a_whole_snapshot() -> None:
    made = directory()
    made.held = {str(i): b"" for i in range(2500)}
    subscription = made.subscribe([""])
    with pytest.raises(StoreError, match="poll comes after a snapshot"):
        subscription.poll(0.0)
    read(subscription)
    next(subscription.snapshot())
    with pytest.raises(StoreError, match="poll comes after a snapshot"):
        subscription.poll(0.0)


def test_it_declares_nothing_and_does_nothing_else() -> None:
    made = directory()
    assert made.capabilities == Capabilities()
    with pytest.raises(Unsupported, match="read-only"):
        made.writer()
    subscription = made.subscribe([""])
    read(subscription)
    assert subscription.cursor is None
    with pytest.raises(CursorExpired):
        subscription.resume(Cursor("", ""))


def test_each_subscription_has_entries_of_its_own() -> None:
    made = directory(a=b"1")
    [[one]], [[two]] = (list(made.subscribe([""]).snapshot()) for _ in range(2))
    assert one is not two


def test_G10_a_listing_that_becomes_empty_is_held() -> None:
    class Notes:
        WATCH = Watch("", bytes)
        watches = [WATCH]

        def __init__(self) -> None:
            self.count = 0

        @hookimpl
        def on_resync(self, event: Event) -> None:
            self.count = len(event[self.WATCH])

    made = directory()
    made.held = {f"key{number}": b"1" for number in range(20)}
    plugin = Notes()
    with Host(made, {"notes": plugin}) as host:
        assert host.wait(60)
        made.held = {}
        while host.status()["plugins"][0]["state"] != "held":
            host.wait_changed(0.1)
        assert plugin.count == 20


class Answers(Reader):
    """Gives the whole where its number is not that of the store, as an ETag does."""

    def __init__(self, transport: Numbered) -> None:
        self._transport = transport
        self._seen = 0
        self.closed = 0

    def read(self) -> Mapping[str, bytes] | Unchanged:
        self._transport.reads += 1
        if self._seen == self._transport.number:
            return Unchanged()
        self._seen = self._transport.number
        return self._transport.held

    def close(self) -> None:
        self.closed += 1


class Numbered(ListingTransport):
    held: Mapping[str, bytes] = {"a": b"1"}
    number = 1
    reads = 0

    def __init__(self) -> None:
        super().__init__(Url("numbered"), interval=0.001)
        self.readers: list[Answers] = []

    def reader(self) -> Reader:
        self.readers.append(Answers(self))
        return self.readers[-1]


def test_a_store_that_says_unchanged_is_not_compared() -> None:
    made = Numbered()
    first, second = made.subscribe([""]), made.subscribe([""])
    for subscription in (first, second):
        assert read(subscription) == {"a": b"1"}
    made.held = {"a": b"2", "b": b"1"}
    while made.reads < 5:
        assert first.poll(0.01) is None
    made.number = 2
    for subscription in (first, second):
        assert followed(subscription) == Batch([Entry("a", b"2"), Entry("b", b"1")])
    assert first.poll(0.01) is None


def test_a_reader_lives_from_its_snapshot_to_the_next_or_the_end() -> None:
    made = Numbered()
    subscription = made.subscribe([""])
    for _ in range(2):
        assert read(subscription) == {"a": b"1"}
    assert [one.closed for one in made.readers] == [1, 0]
    subscription.close()
    assert [one.closed for one in made.readers] == [1, 1]
    with pytest.raises(ConnectionLost, match="was closed"):
        read(subscription)
    assert len(made.readers) == 2


def test_unchanged_before_anything_was_read_is_an_error() -> None:
    made = Numbered()
    made.number = 0
    with pytest.raises(StoreError, match=r"read\(\) gave Unchanged before it gave anything"):
        read(made.subscribe([""]))


def test_a_transport_that_cannot_read_is_named() -> None:
    with pytest.raises(ConnectionLost, match=r"ListingTransport has neither read\(\) nor reader\(\)"):
        read(ListingTransport(Url("none")).subscribe([""]))


def test_a_reader_that_cannot_be_made_is_a_lost_connection() -> None:
    class Broken(Numbered):
        def reader(self) -> Reader:
            raise OSError("no session")

    with pytest.raises(ConnectionLost, match="numbered: cannot be read: OSError: no session"):
        read(Broken().subscribe([""]))
