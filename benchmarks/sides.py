"""Two sides that do the same visible work, measured in turns: a ratio, and whether it meets its goal."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

from attrs import field, frozen

ROUNDS = 5
"""Rounds of each side; the best counts. Interleaved, so that a slow moment of the machine hits both."""


working = time.process_time
"""Seconds of the processor, the clock for sides that never wait: what else runs on the machine hardly shows."""


@frozen
class Goal:
    """What a ratio is to be."""

    ratio: float
    at_most: bool = True
    """Whether it says what ours costs of the other side's; else how many times cheaper ours is."""

    def is_met(self, ratio: float) -> bool:
        """Whether a measured ratio is good enough."""
        return ratio <= self.ratio if self.at_most else ratio >= self.ratio

    def __str__(self) -> str:
        return f"≤ {self.ratio:g}" if self.at_most else f"≥ {self.ratio:g}"


@frozen
class Result:
    """One line of the table: the best of each side, in ``unit``; less is better, whatever it counts."""

    name: str
    """The workload's: ``W1``."""
    what: str
    against: str
    ours: float
    other: float | None
    """None: there is nothing beside it."""
    unit: str
    goal: Goal | None = None
    """None: written down, with no goal."""

    @property
    def ratio(self) -> float | None:
        """What ours costs of the other side's; where the goal is to be so many times cheaper, how many times it is."""
        if self.other is None:
            return None
        upside_down = self.goal is not None and not self.goal.at_most
        return self.other / self.ours if upside_down else self.ours / self.other

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none."""
        ratio = self.ratio
        return None if self.goal is None or ratio is None else self.goal.is_met(ratio)


Side = Callable[[], float]
"""Sets up what it needs, does the work once and returns what that cost (seconds, unless it says otherwise)."""


def _silent(_: str) -> None:
    pass


@frozen
class Measuring:
    """How a run measures: rounds of each side, the short form or the whole, and who is told of the progress."""

    rounds: int = ROUNDS
    short: bool = False
    say: Callable[[str], None] = field(default=_silent, eq=False)

    def count(self, whole: int, short: int) -> int:
        """How many of something this run takes."""
        return short if self.short else whole

    def best(self, what: str, ours: Side, other: Side, *, at_most: int | None = None) -> tuple[float, float]:
        """The least that each side cost in so many rounds in turns; ``at_most`` bounds them where one takes minutes."""
        ours_cost, other_cost = [], []
        rounds = self.rounds if at_most is None else min(self.rounds, at_most)
        for number in range(1, rounds + 1):
            self.say(f"{what}: round {number} of {rounds}, the other side")
            gc.collect()
            other_cost.append(other())
            self.say(f"{what}: round {number} of {rounds}, ours")
            gc.collect()
            ours_cost.append(ours())
        return min(ours_cost), min(other_cost)


Workload = Callable[[Measuring], list[Result]]
"""Measures one workload; several lines where it has several goals."""
