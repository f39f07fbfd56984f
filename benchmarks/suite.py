"""Every workload by its name."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from importlib import import_module

from benchmarks.sides import ROUNDS, Measuring, Result, Workload

WORKLOADS: Mapping[str, str] = {
    "W1": "updates.w1",
    "W1t": "updates.w1t",
    "W1p": "peers.w1p",
    "W1k": "peers.w1k",
    "W2": "updates.w2",
    "W3": "ping.w3",
    "W4": "over_redis.w4",
    "W5": "updates.w5",
    "W6": "loading.w6",
    "W7": "loading.w7",
    "W8": "loading.w8",
    "W9": "ordering.w9",
    "W10": "starting.w10",
    "W11": "over_redis.w11",
    "W12": "over_zookeeper.w12",
    "W14": "backlog.w14",
    "limits": "limits.limits",
    "memory": "sizes.memory",
    "start": "starting.start",
}
"""Name → module of this room and function; only what is measured is imported."""


def workload(name: str) -> Workload:
    """What measures a workload."""
    module, _, function = WORKLOADS[name].partition(".")
    found: Workload = getattr(import_module(f"benchmarks.{module}"), function)
    return found


def measure(name: str, rounds: int = ROUNDS, short: bool = False) -> list[Result]:
    """The lines of one workload, with its progress on stderr."""
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - begun:6.1f} s  {text}", file=sys.stderr, flush=True)

    return workload(name)(Measuring(rounds, short, say))
