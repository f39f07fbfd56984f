"""How much memory a process has after so and so many operations, and whether that is flat."""

from __future__ import annotations

import gc
import os
import statistics
import sys
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from attrs import frozen

WARM = 0.4
"""The share of the operations after which memory should have reached what it needs."""
SAMPLES = 9
LIMIT = 25.0
"""Bytes that memory may seem to grow by with each operation: noise, and a quarter of what a small leak is."""


@frozen
class Sample:
    """The memory at one moment: ``used`` is what is judged, ``resident`` what the system says; bytes."""

    operations: int
    used: int
    resident: int


def resident() -> int:
    """The bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Gauge:
    """Counts operations and samples memory between them.

    ``count`` and ``more`` belong to the thread that drives a case, ``finished`` is for any. ``traced``: what Python
    allocated is judged, which is exact and slow; else what is resident. ``leak``: bytes that are kept for each
    operation, to see the judgement fail.
    """

    def __init__(
        self, operations: int, *, traced: bool, leak: int = 0, say: Callable[[str], None] = lambda _: None
    ) -> None:
        self.operations = operations
        self.done = 0
        self.finished = threading.Event()
        self.samples: list[Sample] = []
        self._traced = traced
        self._say = say
        self._leak = leak
        self._leaked: list[bytes] = []
        step = operations * (1 - WARM) / (SAMPLES - 1)
        self._moments = [int(operations * WARM + number * step) for number in range(SAMPLES)]
        if traced:
            tracemalloc.start()

    def more(self) -> bool:
        """Whether there is more to do; where not, whoever waits for the end is told."""
        if self.done < self.operations:
            return True
        self.finished.set()
        return False

    def count(self, number: int = 1) -> None:
        """So many operations were done."""
        self.done += number
        if self._leak:
            self._leaked += [bytes(self._leak - sys.getsizeof(b"")) for _ in range(number)]
        if self._moments and self.done >= self._moments[0]:
            self._moments = [moment for moment in self._moments if moment > self.done]
            self._sample()

    def growth(self) -> float:
        """Bytes that memory grew by with each operation, since it was warm."""
        assert len(self.samples) >= 6, "too few operations at once: they passed several samples"
        early, late = self.samples[:3], self.samples[-3:]
        used = [statistics.median(sample.used for sample in three) for three in (early, late)]
        return (used[1] - used[0]) / (late[1].operations - early[1].operations)

    def verdict(self) -> str | None:
        """What is wrong, None where memory is flat."""
        growth = self.growth()
        return f"memory grows by {growth:.0f} bytes an operation" if growth > LIMIT else None

    def _sample(self) -> None:
        gc.collect()
        now = resident()
        used = tracemalloc.get_traced_memory()[0] if self._traced else now
        self.samples.append(Sample(self.done, used, now))
        self._say(f"{self.done:,} of {self.operations:,} operations: {used / 1e6:.1f} MB")
