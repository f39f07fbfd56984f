"""What a history is made from: a seed for its plugins and stores, and a number for each step.

Each step draws from its own number, so one that is taken away leaves the others what they were.
"""

from __future__ import annotations

import random

from attrs import frozen

MOST = 2**16
"""Numbers of steps are below."""


@frozen
class Plan:
    """A history before it is played. The same plan is the same history."""

    seed: int
    """Draws the plugins, the stores and what they hold at first."""
    steps: tuple[int, ...]
    without: frozenset[int] = frozenset()
    """Which of the plugins, by their place in the draw, are left out. One that has keys of its own stays."""
    keys: int = 5
    """At most so many keys in a directory."""

    @classmethod
    def drawn(cls, seed: int, steps: int) -> Plan:
        """The plan of a seed."""
        rng = random.Random(seed)
        return cls(seed, tuple(rng.randrange(MOST) for _ in range(steps)))
