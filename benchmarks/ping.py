"""How long one change is on its way: W3, a thousand a second, one by one, from the inbox to three plugins' hooks.

The floor hands the moment itself to another thread through ``SimpleQueue``, which is the least that a hand-over
between threads costs. Both are paced by the same loop.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any

from benchmarks.sides import Goal, Measuring, Result
from benchmarks.updates import EACH, KEYS, WATCHES, Counting, Driven, key, plugins, store
from datasync_core import Event, Watch
from datasync_core.model.entries import Batch, Entry

RATE = 1000
"""Changes a second."""
PATIENCE = 60.0


class Timing(Counting):
    """A plugin that notes how old each change is."""

    def __init__(self, watches: Sequence[Watch[Any]], ages: Ages) -> None:
        super().__init__(watches, decode=False)
        self.ages = ages

    def on_change(self, event: Event) -> None:
        """Note the ages."""
        now = time.perf_counter()
        for change in event:
            self.ages.note(now, change.revision - KEYS - 1)


class Ages:
    """How long each delivery took, until all are there."""

    def __init__(self, expected: int) -> None:
        self.expected = expected
        self.sent: list[float] = []
        self.all: list[float] = []
        self.complete = threading.Event()

    def note(self, now: float, number: int) -> None:
        """A change came to a hook."""
        self.all.append(now - self.sent[number])
        if len(self.all) == self.expected:
            self.complete.set()


def paced(count: int, send: Callable[[int], None]) -> None:
    """Call ``send`` so many times, each at its moment."""
    pause = threading.Event()
    began = time.perf_counter()
    for number in range(count):
        left = began + number / RATE - time.perf_counter()
        if left > 0:
            pause.wait(left)
        send(number)


def through_the_host(count: int) -> list[float]:
    """The age of each delivery, in seconds, from before the inbox to the hook."""
    ages = Ages(EACH * count)
    driven = Driven([Timing(one.watches, ages) for one in plugins(WATCHES, bytes, decode=False)], store())
    dispatcher, inbox = driven.dispatcher, driven.inbox
    thread = threading.Thread(target=dispatcher.run, name="dispatcher")
    thread.start()

    def send(number: int) -> None:
        name = key(number * 7919 % KEYS)
        ages.sent.append(time.perf_counter())
        inbox.put(Batch([Entry(name, b"%d" % number, KEYS + 1 + number)]))

    paced(count, send)
    assert ages.complete.wait(PATIENCE)
    dispatcher.ask_stop()
    thread.join()
    return ages.all


def through_a_queue(count: int) -> list[float]:
    """The age of each item that another thread takes from a queue."""
    queue: SimpleQueue[float | None] = SimpleQueue()
    ages: list[float] = []

    def take() -> None:
        while (sent := queue.get()) is not None:
            ages.append(time.perf_counter() - sent)

    thread = threading.Thread(target=take, name="taker")
    thread.start()
    paced(count, lambda _: queue.put(time.perf_counter()))
    queue.put(None)
    thread.join()
    return ages


def percentile(ages: list[float], share: float) -> float:
    """The age that so great a share does not exceed."""
    return sorted(ages)[min(int(len(ages) * share), len(ages) - 1)]


def w3(measuring: Measuring) -> list[Result]:
    """Half of the changes, and all but one in a hundred; the best of each over the rounds."""
    count = measuring.count(3 * RATE, RATE // 2)
    mine: list[list[float]] = []
    other: list[list[float]] = []

    def ours() -> float:
        mine.append(through_the_host(count))
        return 0.0

    def floor() -> float:
        other.append(through_a_queue(count))
        return 0.0

    measuring.best("W3", ours, floor)
    results = []
    for share, goal in ((0.5, 1.5), (0.99, 3.0)):
        ours_best, other_best = (min(percentile(ages, share) for ages in side) for side in (mine, other))
        what = f"{count:,} changes at {RATE:,}/s one by one, inbox to hook, three plugins each: p{share * 100:.0f}"
        results.append(
            Result("W3", what, "a SimpleQueue between two threads", ours_best, other_best, "s", Goal(goal))
        )
    return results
