from __future__ import annotations

import math
import signal
import sys
import threading
import time
from collections.abc import Callable

import pytest

from datasync_core.model.runtime import RealRuntime

SOON = 60.0
"""Seconds within which what must happen has happened."""


@pytest.fixture
def runtime() -> RealRuntime:
    return RealRuntime()


def test_a_ring_is_kept_until_it_is_heard(runtime: RealRuntime) -> None:
    bell = runtime.doorbell()
    bell.ring()
    assert bell.wait(0.0)
    assert not bell.wait(0.0)


def test_several_rings_are_heard_as_one(runtime: RealRuntime) -> None:
    bell = runtime.doorbell()
    for _ in range(100):
        bell.ring()
    assert bell.wait(0.0)
    assert not bell.wait(0.0)


def test_G9_rings_that_nobody_hears_take_no_memory(runtime: RealRuntime) -> None:
    bell = runtime.doorbell()
    for _ in range(100_000):
        bell.ring()
    assert bell._rings.qsize() == 1  # type: ignore[attr-defined]  # what waits cannot be seen from outside


def test_a_ring_wakes_who_waits(runtime: RealRuntime) -> None:
    bell, heard = runtime.doorbell(), []
    thread = runtime.start(lambda: heard.append(bell.wait(SOON)), "waits")
    bell.ring()
    thread.join(SOON)
    assert heard == [True]


def test_a_wait_ends_after_its_time(runtime: RealRuntime) -> None:
    bell = runtime.doorbell()
    began = time.monotonic()
    assert not bell.wait(0.02)
    assert time.monotonic() - began >= 0.02


@pytest.mark.parametrize("timeout", [-1.0, -math.inf])
def test_a_moment_that_has_passed_is_no_wait(runtime: RealRuntime, timeout: float) -> None:
    assert not runtime.doorbell().wait(timeout)


@pytest.mark.parametrize("timeout", [1e10, 1e300, math.inf])
def test_a_wait_may_be_as_long_as_a_plugin_says(runtime: RealRuntime, timeout: float) -> None:
    bell = runtime.doorbell()
    bell.ring()
    assert bell.wait(timeout)


def test_no_ring_is_lost_between_threads(runtime: RealRuntime) -> None:
    """Whoever hears a ring looks afterwards, and so must see everything that was rung for."""
    bell = runtime.doorbell()
    done: list[int] = []
    seen: list[int] = []
    total = 4 * 5000

    def write(count: int) -> Callable[[], None]:
        def work() -> None:
            for _ in range(count):
                done.append(1)
                bell.ring()

        return work

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [runtime.start(write(5000), f"writer-{number}") for number in range(4)]
        while len(done) < total or len(seen) < total:
            assert bell.wait(SOON), "a ring was lost"
            seen = done[:]
        for thread in threads:
            thread.join(SOON)
    finally:
        sys.setswitchinterval(interval)


def test_a_signal_handler_may_ring_whoever_is_interrupted(runtime: RealRuntime) -> None:
    """The handler runs on the thread that waits or rings itself: a lock that is not reentrant would hang here."""
    bell = runtime.doorbell()
    handled = 0

    def handle(number: int, frame: object) -> None:
        nonlocal handled
        handled += 1
        bell.ring()

    before = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        deadline = time.monotonic() + SOON
        while handled < 50 and time.monotonic() < deadline:
            bell.ring()
            bell.wait(0.0)
        assert bell.wait(SOON), "the handler's ring was not heard"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    assert handled >= 50


def test_a_thread_knows_itself_and_is_a_daemon(runtime: RealRuntime) -> None:
    begun = runtime.lock()
    found: list[tuple[bool, bool, str]] = []

    def work() -> None:
        with begun:
            found.append(
                (thread.is_current(), threading.current_thread().daemon, threading.current_thread().name)
            )

    with begun:
        thread = runtime.start(work, "named")
        assert thread.is_alive()
        assert not thread.is_current()
    thread.join(SOON)
    assert not thread.is_alive()
    assert found == [(True, True, "named")]


def test_clocks_and_chance_are_the_machines(runtime: RealRuntime) -> None:
    assert abs(runtime.monotonic() - time.monotonic()) < SOON
    assert abs(runtime.time() - time.time()) < SOON
    numbers = {runtime.random() for _ in range(100)}
    assert len(numbers) > 90
    assert all(0 <= number < 1 for number in numbers)
