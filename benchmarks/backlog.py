"""Plugins that do not keep up, under changes without a pause: W14.

One plugin takes a millisecond a call; one waits all the while for another that fails; beside what is rewritten, keys
come and go by the hundred thousand. What Python allocated is sampled: it may not grow after the first fifth. Medians
are compared, for how much is on its way at a moment is chance.
"""

from __future__ import annotations

import gc
import threading
import time
import tracemalloc
from collections.abc import Iterator
from statistics import median

from benchmarks.apart import apart
from benchmarks.sides import Goal, Measuring, Result
from datasync_core import Event
from tests.memory.cases import running
from tests.memory.feed import Feed, Step
from tests.memory.mirror import Mirror

UPDATES, KEYS, NAMES = 100_000, 1000, 200_000
BATCH = 100
SLOW = 0.001
"""Seconds that each call of the slow plugin takes."""
WARM = 0.2
"""The share of the changes after which nothing may grow any more."""
SAMPLES = 50
PATIENCE = 600.0
"""Seconds until all must be settled."""


class Backlog:
    """The changes, and how much memory there was between them."""

    def __init__(self, share: float) -> None:
        self.steps = int(UPDATES * share) // BATCH
        self.names = NAMES // (UPDATES // BATCH)
        """Keys that each transaction creates; the next deletes them."""
        self.sizes: list[tuple[float, int]] = []
        """The share of the changes that was read, and the bytes then."""
        self.read = threading.Event()

    def script(self, feed: Feed) -> Iterator[Step]:
        """The transactions."""
        yield feed.change({"low": b"2"})
        for step in range(self.steps):
            written = {f"a/{(step * BATCH + number) % KEYS:06}": b"%010d" % step for number in range(BATCH)}
            made = {f"b/{step}-{number}": b"v" for number in range(self.names)}
            gone = {f"b/{step - 1}-{number}": None for number in range(self.names)}
            yield feed.change({**written, **made, **gone})
            if step % max(self.steps // SAMPLES, 1) == 0:
                gc.collect()
                self.sizes.append((step / self.steps, tracemalloc.get_traced_memory()[0]))
        self.read.set()


def measured(share: float) -> tuple[int, int, float]:
    """Bytes in the first fifth, and after it; how many seconds all took, the end included."""
    over = threading.Event()

    def be_slow(event: Event) -> None:
        if event.reason != "startup":
            over.wait(SLOW)

    def fail(event: Event) -> None:
        if event.reason != "startup" and not over.is_set():
            raise ValueError("it fails all the while")

    slow, low, gated = Mirror("a/", before=be_slow), Mirror("low", before=fail), Mirror("", requires=["low"])
    backlog = Backlog(share)
    content = {"low": b"1", **{f"a/{number:06}": b"0" * 10 for number in range(KEYS)}}
    feed = Feed(backlog.script, content)
    tracemalloc.start()
    began = time.perf_counter()
    with running(feed, slow=slow, low=low, gated=gated) as host:
        while not backlog.read.wait(0.2):
            assert feed.error is None, feed.error
        over.set()
        assert host.wait(PATIENCE), host.status()
    seconds = time.perf_counter() - began
    assert slow.copy == feed.content("a/")
    assert gated.copy == feed.content("")
    early = int(median(size for moment, size in backlog.sizes if moment <= WARM))
    return early, int(median(size for moment, size in backlog.sizes if moment > WARM)), seconds


def w14(measuring: Measuring) -> list[Result]:
    """Memory that stays, and the last state exact, which `measured` asserts."""
    share = measuring.count(100, 10) / 100
    measuring.say("W14: once")
    early, late, seconds = apart(measured, share)
    what = (
        f"memory under {UPDATES * share:,.0f} updates of {KEYS:,} keys and {NAMES * share:,.0f} keys that come and go,"
        f" a hook of {SLOW * 1000:g} ms and a plugin that waits all the while; the last state exact, {seconds:.0f} s"
    )
    return [Result("W14", what, "the same in its first fifth", late / 1e6, early / 1e6, "MB", Goal(1.1))]
