"""Every workload by its name."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

from benchmarks import updates
from benchmarks.sides import ROUNDS, Measuring, Result, Workload

WORKLOADS: Mapping[str, Workload] = {
    "W1": updates.w1,
    "W1t": updates.w1t,
    "W2": updates.w2,
    "W5": updates.w5,
}


def measure(name: str, rounds: int = ROUNDS, short: bool = False) -> list[Result]:
    """The lines of one workload, with its progress on stderr."""
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - begun:6.1f} s  {text}", file=sys.stderr, flush=True)

    return WORKLOADS[name](Measuring(rounds, short, say))
