from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from datasync_core.model.entries import Capabilities, Delete, Entry, Put
from datasync_core.model.errors import (
    Conflict,
    ConnectionLost,
    DatasyncError,
    StoreError,
    Unsupported,
    UsageError,
)
from datasync_core.model.runtime import RealRuntime
from datasync_core.spec.transport import Writer
from datasync_core.sync.publisher import StorePublisher
from datasync_core.sync.store import Store
from datasync_transports.memory import MemoryTransport

SOON = 60.0


class Opened(MemoryTransport):
    """A memory store that counts its writers and lets them fail."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = 0
        self.closed = 0
        self.failure: BaseException | None = None
        self.failure_to_open: Exception | None = None
        self.failure_to_close: Exception | None = None

    def writer(self) -> Writer:
        if self.failure_to_open is not None:
            raise self.failure_to_open
        self.opened += 1
        return _Writer(self, super().writer())


class _Writer(Writer):
    def __init__(self, transport: Opened, inner: Writer) -> None:
        self.transport = transport
        self.inner = inner

    def commit(self, ops: Sequence[Put | Delete], *, expect: Mapping[str, int] = {}) -> int:
        if self.transport.failure is not None:
            raise self.transport.failure
        return self.inner.commit(ops, expect=expect)

    def close(self) -> None:
        self.transport.closed += 1
        if self.transport.failure_to_close is not None:
            raise self.transport.failure_to_close


@pytest.fixture
def transport() -> Opened:
    return Opened()


@pytest.fixture
def publisher(transport: Opened) -> StorePublisher:
    return StorePublisher(Store("main", transport), RealRuntime())


def test_what_is_written_is_in_the_store_when_the_call_returns(
    transport: Opened, publisher: StorePublisher
) -> None:
    assert publisher.put("a", b"\xff") == 1
    assert publisher.put("b", "ü") == 2
    assert publisher.commit([Put("c", b"3"), Delete("a")]) == 3
    assert publisher.delete("nothing") == 3
    assert transport.entries == {"b": "ü".encode(), "c": b"3"}
    assert transport.opened == 1


def test_whoever_asked_is_told_of_each_write_that_succeeded(
    transport: Opened, publisher: StorePublisher
) -> None:
    told: list[tuple[Sequence[Put | Delete], int]] = []
    publisher.wrote = lambda ops, revision: told.append((ops, revision))
    publisher.put("a", b"1")
    with pytest.raises(Conflict):
        publisher.put("a", b"2", expect=0)
    publisher.delete("a")
    assert told == [([Put("a", b"1")], 1), ([Delete("a")], 2)]


def test_a_conflict_writes_nothing_and_keeps_the_writer(transport: Opened, publisher: StorePublisher) -> None:
    revision = publisher.put("a", b"1", expect=0)
    with pytest.raises(Conflict):
        publisher.put("a", b"2", expect=0)
    with pytest.raises(Conflict):
        publisher.delete("a", expect=revision + 1)
    with pytest.raises(Conflict):
        publisher.commit([Put("b", b"1"), Put("a", b"2")], expect={"a": 0})
    assert transport.entries == {"a": b"1"}
    publisher.delete("a", expect=revision)
    assert transport.entries == {}
    assert (transport.opened, transport.closed) == (1, 0)


def test_a_store_that_is_away_raises_and_drops_nothing(transport: Opened, publisher: StorePublisher) -> None:
    publisher.put("a", b"1")
    transport.lose()
    for _ in range(3):
        with pytest.raises(ConnectionLost):
            publisher.put("a", b"2")
    transport.back()
    assert transport.entries == {"a": b"1"}, "nothing is queued behind the caller's back"
    publisher.put("a", b"3")
    assert transport.entries == {"a": b"3"}


def test_a_writer_that_failed_is_closed_and_opened_anew(transport: Opened, publisher: StorePublisher) -> None:
    for failure in (ConnectionLost("gone"), KeyError("bug"), KeyboardInterrupt()):
        transport.failure = failure
        with pytest.raises((StoreError, KeyboardInterrupt)):
            publisher.put("a", b"1")
    assert (transport.opened, transport.closed) == (3, 3)
    transport.failure = None
    publisher.put("a", b"1")
    assert (transport.opened, transport.closed) == (4, 3)


@pytest.mark.parametrize("where", ["failure", "failure_to_open"])
def test_a_transports_own_mistake_is_a_store_error_that_is_named(
    transport: Opened, publisher: StorePublisher, where: str
) -> None:
    setattr(transport, where, ValueError("odd"))
    with pytest.raises(StoreError, match="^store main: ValueError: odd$") as error:
        publisher.put("a", b"1")
    assert isinstance(error.value.__cause__, ValueError)


def test_a_writer_that_fails_to_close_hides_no_error(transport: Opened, publisher: StorePublisher) -> None:
    transport.failure = ConnectionLost("gone")
    transport.failure_to_close = OSError("closed already")
    with pytest.raises(ConnectionLost, match="^gone$"):
        publisher.put("a", b"1")
    publisher.close()


def test_a_closed_publisher_says_why(transport: Opened, publisher: StorePublisher) -> None:
    publisher.put("a", b"1")
    publisher.close()
    publisher.close()
    assert transport.closed == 1
    with pytest.raises(StoreError, match="^store main is closed: the host has stopped$"):
        publisher.put("a", b"2")
    assert transport.entries == {"a": b"1"}


def test_a_publisher_opens_nothing_until_it_writes(transport: Opened, publisher: StorePublisher) -> None:
    publisher.close()
    assert (transport.opened, transport.closed) == (0, 0)


@pytest.mark.parametrize(
    ("ops", "kind", "sentence"),
    [
        ([], UsageError, "there is nothing to write: give at least one Put or Delete"),
        ([Put("", b"1")], UsageError, "a key is empty; give one like routes/10.0.0.0"),
        ([Delete("/a")], UsageError, "key '/a' starts or ends with a slash; write 'a'"),
        ([Put("a", b"1"), Delete("a")], UsageError, "key 'a' is written twice in one transaction"),
        ([Put("a", "text")], UsageError, "the value of 'a' is bytes, got str"),  # type: ignore[arg-type]  # wrong on purpose
        ([Put("a", b"1", 0.0)], UsageError, "ttl of 'a' is a number of seconds above 0, got 0.0"),
        ([Put("a", b"1", -1.0)], UsageError, "ttl of 'a' is a number of seconds above 0, got -1.0"),
        ([Put("a", b"1", float("nan"))], UsageError, "ttl of 'a' is a number of seconds above 0, got nan"),
        (
            [Put("a", b"1", alive=True)],
            Unsupported,
            "store main has no leases to bind entries to the host's life",
        ),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is(
    transport: Opened, publisher: StorePublisher, ops: list[Any], kind: type[Exception], sentence: str
) -> None:
    with pytest.raises(kind) as error:
        publisher.commit(ops)
    assert str(error.value) == sentence
    assert transport.opened == 0


def test_what_is_no_value_is_refused(publisher: StorePublisher) -> None:
    with pytest.raises(UsageError, match="^the value of 'a' is bytes or text, got dict$"):
        publisher.put("a", {"x": 1})  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(UsageError, match="^the value of 'a' is no UTF-8 text; give bytes$"):
        publisher.put("a", "\udc80")


def test_a_key_that_is_expected_is_checked_too(publisher: StorePublisher) -> None:
    with pytest.raises(UsageError, match="starts or ends with a slash"):
        publisher.commit([Put("a", b"1")], expect={"/a": 0})


@pytest.mark.parametrize(
    ("ops", "expect", "sentence"),
    [
        ([Put("a", b"1", 3.0)], None, "store aux has no time to live"),
        ([Put("a", b"1")], {"a": 0}, "store aux cannot compare revisions (expect=)"),
        ([Put("a", b"1"), Put("b", b"1")], None, "store aux has no transactions: write one key at a time"),
        (
            [Put("a" * 12, b"1")],
            None,
            "store aux takes keys of at most 14 bytes with their prefix; 'aaaaaaaaaaaa'… is longer",
        ),
    ],
)
def test_what_a_store_cannot_do_is_unsupported(
    ops: list[Put | Delete], expect: dict[str, int] | None, sentence: str
) -> None:
    class Weak(MemoryTransport):
        capabilities = Capabilities(key_bytes=14)

    transport = Weak()
    publisher = StorePublisher(Store("aux", transport, prefix="me/"), RealRuntime())
    with pytest.raises(Unsupported) as error:
        publisher.commit(ops, expect=expect)
    assert str(error.value) == sentence
    publisher.put("a" * 11, b"1")
    assert transport.entries == {"me/" + "a" * 11: b"1"}


def test_any_thread_may_write_and_one_does_at_a_time() -> None:
    inside, most, guard = 0, 0, threading.Lock()

    class Counted(MemoryTransport):
        def writer(self) -> Writer:
            inner = super().writer()

            class Slow(Writer):
                def commit(self, ops: Sequence[Put | Delete], *, expect: Mapping[str, int] = {}) -> int:
                    nonlocal inside, most
                    with guard:
                        inside += 1
                        most = max(most, inside)
                    revision = inner.commit(ops, expect=expect)
                    with guard:
                        inside -= 1
                    return revision

            return Slow()

    transport = Counted()
    publisher = StorePublisher(Store("main", transport), RealRuntime())
    failed: list[DatasyncError] = []

    def write(name: str) -> None:
        try:
            for number in range(200):
                publisher.put(f"{name}/{number}", b"1")
        except DatasyncError as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(f"w{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    assert failed == []
    assert len(transport.entries) == 800
    assert most == 1


class Comparing(Opened):
    """A memory store that numbers nothing and compares values, as Redis does; a value stands for itself plus 1000."""

    capabilities = Capabilities(transactions=True, compare=True, raw=True)

    def revision_of(self, value: bytes) -> int:
        return 1000 + int(value)

    def writer(self) -> Writer:
        transport, inner = self, MemoryTransport.writer(self)

        class Compares(Writer):
            def commit(self, ops: Sequence[Put | Delete], *, expect: Mapping[str, int] = {}) -> int:
                for key, number in expect.items():
                    value = transport.entries.get(key)
                    if number != (0 if value is None else transport.revision_of(value)):
                        raise Conflict(key)
                inner.commit(ops)
                return 0

        return Compares()


@pytest.fixture
def counting() -> tuple[Comparing, StorePublisher, dict[str, Entry]]:
    transport = Comparing()
    publisher = StorePublisher(Store("main", transport, prefix="me/"), RealRuntime())
    read: dict[str, Entry] = {}
    publisher.peek = read.get
    return transport, publisher, read


def test_a_revision_that_the_host_counted_stands_for_its_value(
    counting: tuple[Comparing, StorePublisher, dict[str, Entry]],
) -> None:
    """A write that expects such a revision is compared by the value that the host read with it."""
    transport, publisher, read = counting
    publisher.put("a", b"1", expect=0)
    read["a"] = Entry("a", b"1", 7)
    publisher.put("a", b"2", expect=7)
    assert transport.entries == {"me/a": b"2"}
    with pytest.raises(
        Conflict, match="^me/a$"
    ):  # the store has another value than the one that 7 stands for
        publisher.put("a", b"3", expect=7)
    with pytest.raises(Conflict):
        publisher.put("a", b"3", expect=0)
    read["a"] = Entry("a", b"2", 8)
    publisher.delete("a", expect=8)
    assert transport.entries == {}


def test_a_revision_other_than_the_read_one_is_a_conflict(
    counting: tuple[Comparing, StorePublisher, dict[str, Entry]],
) -> None:
    """The conflict is raised without a request to the store."""
    transport, publisher, read = counting
    read["a"] = Entry("a", b"1", 8)
    with pytest.raises(Conflict, match="a has revision 8, expected 7"):
        publisher.put("a", b"2", expect=7)
    with pytest.raises(Conflict, match="b is not there, or not watched here, expected 7"):
        publisher.commit([Put("c", b"2")], expect={"b": 7})
    assert transport.entries == {}


def test_where_nothing_is_read_what_is_expected_is_the_store_s_own_number() -> None:
    transport = Comparing()
    publisher = StorePublisher(Store("main", transport), RealRuntime())
    publisher.put("a", b"1")
    with pytest.raises(Conflict):
        publisher.put("a", b"2", expect=1)
    publisher.put("a", b"2", expect=1001)
    assert transport.entries == {"a": b"2"}
