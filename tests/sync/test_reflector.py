from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from datasync_core.model.entries import Batch, Capabilities, Cursor, Delete, Entry, Put
from datasync_core.model.errors import (
    AuthenticationFailed,
    ConnectionLost,
    CursorExpired,
    Misconfigured,
)
from datasync_core.model.faults import FaultKind
from datasync_core.model.runtime import RealRuntime
from datasync_core.spec.transport import Subscription
from datasync_core.sync import reflector
from datasync_core.sync.backoff import Backoff
from datasync_core.sync.inbox import Inbox
from datasync_core.sync.reflector import HEALTHY, Reflector
from datasync_core.sync.store import Store
from datasync_transports.memory import MemoryTransport
from tests.sync.reading import SOON, Reading

LOST, BACK = FaultKind.STORE_LOST, FaultKind.STORE_BACK


class Wrapped(Subscription):
    """A subscription of a memory store that does what `Odd` says before it does its own work."""

    def __init__(self, odd: Odd, inner: Subscription) -> None:
        self.odd = odd
        self.inner = inner

    def snapshot(self) -> Iterator[Sequence[Entry]]:
        self.odd.step("snapshot")
        for chunk in self.inner.snapshot():
            yield chunk
            self.odd.step("chunk")

    def resume(self, cursor: Cursor) -> None:
        self.odd.step("resume")
        self.inner.resume(cursor)

    def poll(self, timeout: float) -> Batch | None:
        self.odd.step("poll")
        return self.inner.poll(timeout)

    @property
    def cursor(self) -> Cursor | None:
        return self.inner.cursor

    @property
    def revision(self) -> int:
        return self.inner.revision

    def wake(self) -> None:
        self.inner.wake()

    def close(self) -> None:
        self.inner.close()
        self.odd.step("close")


class Odd(MemoryTransport):
    """A memory store with mistakes: ``at`` says what happens when; ``steps`` is what was done."""

    def __init__(self, **at: BaseException | Callable[[], None]) -> None:
        super().__init__()
        self.at = at
        self.steps: list[str] = []

    def step(self, name: str) -> None:
        self.steps.append(name)
        what = self.at.get(name)
        if isinstance(what, BaseException):
            raise what
        if what is not None:
            what()

    def subscribe(self, paths: Sequence[str]) -> Subscription:
        self.step("subscribe")
        return Wrapped(self, super().subscribe(paths))


def write(transport: MemoryTransport, **values: bytes) -> None:
    transport.writer().commit([Put(key, value) for key, value in values.items()])


def once(error: BaseException) -> Callable[[], None]:
    """Raise an error the first time only."""
    left = [error]

    def step() -> None:
        if left:
            raise left.pop()

    return step


def test_a_store_is_read_and_then_followed() -> None:
    transport = MemoryTransport()
    write(transport, a=b"1")
    with Reading(transport) as reading:
        reading.until(lambda: reading.held() == {"a": b"1"})
        write(transport, b=b"2")
        transport.writer().commit([Delete("a")])
        reading.until(lambda: reading.held() == {"b": b"2"})
        reading.until(lambda: reading.health.connected)
        assert (reading.health.snapshots, reading.health.resumes, reading.health.error) == (1, 0, None)
        assert abs(time.time() - reading.health.since) < SOON
    assert reading.faults == []
    assert not reading.health.connected


def test_only_the_paths_are_read() -> None:
    transport = MemoryTransport()
    transport.writer().commit([Put("a/x", b"1"), Put("b", b"1"), Put("c", b"1")])
    with Reading(transport, ["a/", "b"]) as reading:
        reading.until(lambda: reading.held() == {"a/x": b"1", "b": b"1"})


def connections(reading: Reading) -> int:
    return reading.health.snapshots + reading.health.resumes


def half(held: dict[str, bytes], directory: str) -> dict[str, bytes]:
    return {key.removeprefix(directory): value for key, value in held.items() if key.startswith(directory)}


@pytest.mark.parametrize("history", [True, False], ids=["resumed", "read again"])
def test_G2_no_change_slips_through_however_often_a_store_is_lost(history: bool) -> None:
    """A writer commits pairs all the while; a pair is never seen divided, and in the end nothing is missing."""
    transport = MemoryTransport(history=10**9)
    done = threading.Event()

    def churn() -> None:
        number = 0
        writer = transport.writer()
        while not done.is_set():
            number += 1
            value, key = str(number).encode(), number % 7
            ops: list[Put | Delete] = [Put(f"left/{key}", value), Put(f"right/{key}", value)]
            if number % 5 == 0:
                ops = [Delete(f"left/{key}"), Delete(f"right/{key}")]
            try:
                writer.commit(ops)
            except ConnectionLost:
                continue

    thread = threading.Thread(target=churn)
    with Reading(transport) as reading:
        try:
            thread.start()
            for number in range(1, 41):
                reading.until(lambda number=number: connections(reading) >= number)
                held = reading.held()
                assert half(held, "left/") == half(held, "right/")
                transport.lose()
                transport.back(history)
        finally:
            done.set()
            thread.join(SOON)
        reading.until(lambda: connections(reading) > 40)
        reading.until(lambda: reading.held() == transport.entries)
        if not history:
            assert reading.health.snapshots >= 40
        else:
            assert reading.health.resumes >= 40
            assert reading.health.snapshots == 1
    assert transport.entries


def test_G2_what_was_written_while_away_comes_with_the_resume() -> None:
    transport = MemoryTransport()
    write(transport, a=b"1", b=b"1")
    with Reading(transport) as reading:
        reading.until(lambda: len(reading.held()) == 2)
        transport.lose()
        reading.until(lambda: not reading.health.connected)
        transport.back()
        write(transport, a=b"2")
        transport.writer().commit([Delete("b")])
        reading.until(lambda: reading.held() == {"a": b"2"})
        assert (reading.health.snapshots, reading.health.resumes) == (1, 1)
        assert reading.replica.snapshots == 1


def test_a_store_that_cannot_resume_is_read_again() -> None:
    class Forgetful(MemoryTransport):
        capabilities = Capabilities(transactions=True, revisions=True, raw=True)

    transport = Forgetful()
    with Reading(transport) as reading:
        for number in range(1, 4):
            reading.until(lambda number=number: reading.health.snapshots == number)
            transport.lose()
            transport.back()
            write(transport, a=b"%d" % number)
        reading.until(lambda: reading.held() == {"a": b"3"})
        assert reading.health.resumes == 0


def test_a_cursor_that_expired_is_followed_by_a_snapshot_at_once() -> None:
    """The only wait is that after the loss; the expired cursor adds none."""
    transport = Odd()
    with Reading(transport) as reading:
        for number in range(1, 4):
            reading.until(lambda number=number: reading.health.snapshots == number)
            transport.lose()
            transport.back(history=False)
        reading.until(lambda: reading.health.snapshots == 4)
        assert reading.backoff.attempts == 3
        assert transport.steps.count("resume") == 3


def test_a_history_that_is_too_short_is_told_and_read_again() -> None:
    transport = Odd(poll=once(CursorExpired("more changes came than are kept")))
    write(transport, a=b"1")
    with Reading(transport, first=600.0) as reading:
        reading.until(lambda: reading.health.snapshots == 2)
        reading.until(lambda: reading.kinds == [LOST, BACK])
        assert reading.faults[0].text == "store main: more changes came than are kept"
        assert "resume" not in transport.steps


def test_a_cursor_that_expires_again_and_again_is_no_reason_to_hurry() -> None:
    transport = Odd(poll=CursorExpired("more changes came than are kept"))
    with Reading(transport, first=600.0) as reading:
        reading.until(lambda: reading.backoff.attempts == 1)
        assert transport.steps.count("snapshot") == 2
    assert transport.steps.count("snapshot") == 2


def test_a_snapshot_may_meet_an_expired_cursor_too() -> None:
    transport = Odd(snapshot=once(CursorExpired("compacted while reading")))
    write(transport, a=b"1")
    with Reading(transport) as reading:
        reading.until(lambda: reading.held() == {"a": b"1"})
        assert reading.backoff.attempts == 1


@pytest.mark.parametrize("where", ["subscribe", "snapshot", "chunk", "poll"])
@pytest.mark.parametrize("error", [ConnectionLost("away"), ValueError("odd"), SystemExit("bye")])
def test_G3_a_failure_anywhere_is_a_loss_that_is_named(where: str, error: BaseException) -> None:
    transport = Odd(**{where: once(error)})
    write(transport, a=b"1")
    with Reading(transport) as reading:
        reading.until(lambda: reading.kinds == [LOST, BACK])
        reading.until(lambda: reading.held() == {"a": b"1"})
        assert reading.faults[0].text == f"store main: {error}"
        assert reading.faults[0].cause is error
        assert reading.faults[1].text == "store main answers again"
        assert {fault.store for fault in reading.faults} == {"main"}


def test_G9_a_loss_that_is_named_does_not_keep_what_was_read() -> None:
    read: list[weakref.ref[frozenset[str]]] = []

    def fail() -> None:
        burden = frozenset(["a large chunk"])
        read.append(weakref.ref(burden))
        raise ConnectionLost("away")

    transport = Odd(poll=fail)
    with Reading(transport) as reading:
        reading.until(lambda: LOST in reading.kinds)
        assert reading.faults[0].cause is not None
        assert read[0]() is None
    assert read[0]() is None


def test_a_resume_that_is_broken_is_not_tried_for_ever() -> None:
    transport = Odd(resume=ValueError("cannot read my own cursor"))
    with Reading(transport) as reading:
        reading.until(lambda: reading.health.snapshots == 1)
        transport.lose()
        transport.back()
        write(transport, a=b"1")
        reading.until(lambda: reading.held() == {"a": b"1"})
        assert transport.steps.count("resume") == 1


def test_a_resume_that_is_refused_for_the_moment_is_tried_again() -> None:
    transport = Odd(resume=once(ConnectionLost("not yet")))
    with Reading(transport) as reading:
        reading.until(lambda: reading.health.snapshots == 1)
        transport.lose()
        transport.back()
        reading.until(lambda: reading.health.resumes == 1)
        assert reading.health.snapshots == 1


def test_what_fails_to_close_is_left() -> None:
    transport = Odd(close=OSError("closed already"))
    with Reading(transport) as reading:
        reading.until(lambda: reading.health.snapshots == 1)
        transport.lose()
        transport.back()
        reading.until(lambda: reading.health.resumes == 1)
    assert transport.steps.count("close") == 2


def test_G4_nothing_of_a_snapshot_that_breaks_off_is_seen() -> None:
    transport = Odd()
    write(transport, a=b"1")
    with Reading(transport) as reading:
        reading.until(lambda: reading.held() == {"a": b"1"})
        transport.at["chunk"] = ConnectionLost("in the middle")
        transport.lose()
        transport.back(history=False)
        write(transport, b=b"2")
        tries = transport.steps.count("chunk")
        reading.until(lambda: transport.steps.count("chunk") > tries + 3)
        assert reading.held() == {"a": b"1"}
        del transport.at["chunk"]
        reading.until(lambda: reading.held() == {"a": b"1", "b": b"2"})


def test_a_loss_is_told_once_and_its_end_once() -> None:
    transport = MemoryTransport()
    with Reading(transport) as reading:
        reading.until(lambda: reading.health.connected)
        for number in range(1, 4):
            transport.lose()
            attempts = reading.backoff.attempts
            reading.until(lambda attempts=attempts: reading.backoff.attempts > attempts + 3)
            assert reading.kinds == [LOST, BACK] * (number - 1) + [LOST]
            transport.back()
            reading.until(lambda number=number: reading.kinds == [LOST, BACK] * number)


def test_health_says_since_when_and_why() -> None:
    transport = MemoryTransport()
    with Reading(transport) as reading:
        reading.until(lambda: reading.health.connected)
        transport.lose()
        reading.until(lambda: not reading.health.connected)
        since = reading.health.since
        attempts = reading.backoff.attempts
        reading.until(lambda: reading.backoff.attempts > attempts + 3)
        assert reading.health.since == since
        assert str(reading.health.error) == "memory:: the connection was lost"
        transport.back()
        reading.until(lambda: reading.health.connected)
        assert (reading.health.error, reading.health.refused) == (None, False)
        assert reading.health.since > since


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (AuthenticationFailed("no such user"), True),
        (Misconfigured("no such database"), True),
        (ConnectionLost("away"), False),
        (ValueError("odd"), False),
    ],
)
def test_health_says_whether_trying_again_can_help(error: Exception, refused: bool) -> None:
    transport = Odd(subscribe=error)
    with Reading(transport) as reading:
        reading.until(lambda: reading.health.error is error)
        reading.until(lambda: reading.backoff.attempts > 2)
        assert reading.health.refused is refused
        transport.at.clear()
        reading.until(lambda: reading.health.connected)
        assert not reading.health.refused


def test_a_loss_after_a_healthy_while_is_the_first_again() -> None:
    transport = MemoryTransport()
    with Reading(transport) as reading:
        reading.until(lambda: reading.health.connected)
        for expected in (1, 2):
            transport.lose()
            transport.back()
            reading.until(lambda expected=expected: reading.health.resumes == expected)
            reading.until(lambda: reading.health.connected)
            assert reading.backoff.attempts == expected
        reading.runtime.ahead += HEALTHY
        transport.lose()
        transport.back()
        reading.until(lambda: reading.health.resumes == 3)
        assert reading.backoff.attempts == 1


def test_attempts_that_never_connected_do_not_count_as_healthy() -> None:
    transport = Odd()
    transport.lose()
    with Reading(transport) as reading:

        def wait_long() -> None:
            reading.runtime.ahead += HEALTHY

        transport.at["subscribe"] = wait_long
        reading.until(lambda: reading.backoff.attempts > 5)


def stops_at_once(reading: Reading) -> None:
    reading.reflector.stop()
    assert reading.reflector.join(SOON), "its waits take ten times as long"


def test_it_stops_at_once_while_it_backs_off() -> None:
    transport = MemoryTransport()
    transport.lose()
    with Reading(transport, first=600.0) as reading:
        reading.until(lambda: reading.backoff.attempts == 1)
        stops_at_once(reading)


def test_it_stops_at_once_while_it_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reflector, "POLL", 600.0)
    transport = Odd()
    with Reading(transport) as reading:
        reading.until(lambda: "poll" in transport.steps)
        stops_at_once(reading)
        assert transport.steps[-1] == "close"


def test_it_stops_at_once_while_it_reads_a_long_snapshot() -> None:
    class Endless(MemoryTransport):
        def subscribe(self, paths: Sequence[str]) -> Subscription:
            odd = Odd()
            subscription = odd.subscribe(paths)

            def snapshot() -> Iterator[Sequence[Entry]]:
                number = 0
                while True:
                    number += 1
                    yield [Entry(f"key/{number % 1000}", b"1", number)]

            subscription.snapshot = snapshot  # type: ignore[method-assign]  # a store without end
            return subscription

    with Reading(Endless()) as reading:
        reading.until(lambda: not reading.inbox.is_empty())
        reading.take()
        stops_at_once(reading)
        assert reading.held() == {}
        assert len(reading.replica) == 0, "what broke off is forgotten"


def test_a_wait_for_a_lost_store_is_told_and_ended_by_who_hurries(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "datasync")
    transport = MemoryTransport()
    transport.lose()
    with Reading(transport, first=600.0) as reading:
        reading.until(lambda: reading.health.retry_at is not None)
        retry_at = reading.health.retry_at
        assert retry_at is not None
        assert 500 < retry_at - reading.runtime.monotonic() <= 600
        transport.back()
        reading.reflector.hurry()
        reading.until(lambda: reading.health.connected)
        assert reading.health.retry_at is None
    [said] = [record.getMessage() for record in caplog.records if "waiting" in record.getMessage()]
    assert said == "store main: waiting for it: tried again in 600.0 s, later at least every 600 s"


def test_who_hurries_is_served_by_an_attempt_that_begins_after_it() -> None:
    inside, go = threading.Event(), threading.Event()

    def slow() -> None:
        inside.set()
        assert go.wait(SOON)
        transport.at.clear()
        raise ConnectionLost("away")

    transport = Odd(subscribe=slow)
    with Reading(transport, first=600.0) as reading:
        assert inside.wait(SOON)
        reading.reflector.hurry()
        go.set()
        reading.until(lambda: reading.health.connected)


def test_who_hurried_in_vain_ends_no_later_wait() -> None:
    inside, go = threading.Event(), threading.Event()

    def slow() -> None:
        inside.set()
        assert go.wait(SOON)

    transport = Odd(subscribe=slow)
    with Reading(transport, first=600.0) as reading:
        assert inside.wait(SOON)
        reading.reflector.hurry()
        go.set()
        reading.until(lambda: reading.health.connected)
        reading.reflector.hurry()
        again = threading.Event()
        transport.at["subscribe"] = again.set
        transport.lose()
        reading.until(lambda: reading.backoff.attempts == 1)
        assert not again.wait(0.1)


def test_a_reflector_that_was_never_started_has_ended() -> None:
    runtime = RealRuntime()
    transport = Odd()
    inbox = Inbox(runtime, runtime.doorbell())
    made = Reflector(
        Store("main", transport), [""], inbox, runtime, lambda fault: None, Backoff(1, 1, runtime.random)
    )
    assert made.join()
    made.stop()
    made.start()
    assert made.join(SOON)
    assert transport.steps == []


def test_a_refusal_after_a_loss_is_told_too() -> None:
    transport = Odd(subscribe=ConnectionLost("away"))
    with Reading(transport) as reading:
        reading.until(lambda: reading.backoff.attempts > 1)
        transport.at["subscribe"] = AuthenticationFailed("no such user")
        reading.until(lambda: reading.health.refused)
        reading.until(lambda: len(reading.faults) == 2)
        attempts = reading.backoff.attempts
        reading.until(lambda: reading.backoff.attempts > attempts + 1)
        assert [fault.text for fault in reading.faults] == ["store main: away", "store main: no such user"]


def test_what_is_no_entry_in_a_snapshot_is_its_own_stores_loss() -> None:
    transport = Odd()
    write(transport, a=b"1")
    honest = Wrapped.snapshot
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Wrapped, "snapshot", lambda self: iter([[Entry("a", b"1", 1), ("b", b"2")]]))
        with Reading(transport) as reading:
            reading.until(lambda: bool(reading.faults))
            assert reading.faults[0].text == (
                "store main: its transport's snapshot has a tuple among the entries"
            )
            patch.setattr(Wrapped, "snapshot", honest)
            reading.until(lambda: reading.held() == {"a": b"1"})


def test_a_revision_that_is_no_number_is_a_loss_of_that_store() -> None:
    class Worded(Wrapped):
        @property
        def revision(self) -> Any:
            return "7"

    class Wordy(Odd):
        def subscribe(self, paths: Sequence[str]) -> Subscription:
            return Worded(self, MemoryTransport.subscribe(self, paths))

    with Reading(Wordy()) as reading:
        reading.until(lambda: bool(reading.faults))
        assert reading.faults[0].text == "store main: its transport's revision is no number but a str"
        assert reading.held() == {}


def test_G11_what_a_stream_tells_beside_an_audit_is_told_with_its_revision() -> None:
    transport = MemoryTransport()
    reading = Reading(transport)
    subscription = transport.subscribe([""])
    assert list(subscription.snapshot()) == []
    write(transport, a=b"1")
    reading.reflector.drain(subscription)
    reading.take()
    assert reading.replica.told == 1
