"""Two sides that do the same visible work, measured in turns: a ratio, and whether it meets its goal."""

from __future__ import annotations

import gc
from collections.abc import Callable

from attrs import frozen

ROUNDS = 5
"""Rounds of each side; the best counts. Interleaved, so that a slow moment of the machine hits both."""


@frozen
class Goal:
    """What a ratio (ours divided by the other side's) is to be."""

    ratio: float
    at_most: bool = True
    """Whether less is better, as with times and bytes; else ours is to be at least so many times the other."""

    def is_met(self, ratio: float) -> bool:
        """Whether a measured ratio is good enough."""
        return ratio <= self.ratio if self.at_most else ratio >= self.ratio

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.ratio:g}"


@frozen
class Result:
    """One line of the table: the best of each side, in ``unit``."""

    name: str
    what: str
    ours: float
    other: float
    unit: str
    goal: Goal
    note: str = ""

    @property
    def ratio(self) -> float:
        """Ours divided by the other side's."""
        return self.ours / self.other

    @property
    def met(self) -> bool:
        """Whether the goal is met."""
        return self.goal.is_met(self.ratio)


Side = Callable[[], float]
"""Sets up what it needs, does the work once and returns what that cost (seconds, unless it says otherwise)."""


def best(ours: Side, other: Side, *, rounds: int = ROUNDS, most: bool = False) -> tuple[float, float]:
    """The best of each side over so many rounds in turns; ``most``: the best is the largest (rates)."""
    ours_said, other_said = [], []
    for _ in range(rounds):
        gc.collect()
        other_said.append(other())
        gc.collect()
        ours_said.append(ours())
    choose = max if most else min
    return choose(ours_said), choose(other_said)
