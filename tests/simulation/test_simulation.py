"""Hundreds of histories, and none breaks a guarantee.

As many as it takes to notice all but two of the mutations (`tests.simulation.mutations`), which the nightly run finds:
CONTRIBUTING.md.
"""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from datasync_core.testing import VirtualRuntime
from tests.simulation.history import History, play
from tests.simulation.plan import Plan

pytestmark = pytest.mark.property

PARTS = 10
SEEDS = 450
LONG_SEEDS = 40


@pytest.fixture(autouse=True)
def quietly() -> Iterator[None]:
    """Faults are logged with their traces, and there are thousands."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def check(seeds: range, steps: int) -> None:
    for seed in seeds:
        report = play(seed, steps)
        assert report.violation is None, str(report)


@pytest.mark.parametrize("part", range(PARTS))
def test_G1_to_G12_and_G14_hold_in_every_history(part: int) -> None:
    check(range(part * SEEDS // PARTS, (part + 1) * SEEDS // PARTS), 80)


@pytest.mark.parametrize("part", range(PARTS))
def test_G1_to_G12_and_G14_hold_in_long_histories(part: int) -> None:
    check(range(100_000 + part * LONG_SEEDS // PARTS, 100_000 + (part + 1) * LONG_SEEDS // PARTS), 250)


def test_histories_have_what_they_are_for() -> None:
    reports = [play(seed) for seed in range(50)]
    assert all(report.operations for report in reports)
    for count in ("calls", "failures", "faults", "refusals", "waits"):
        assert sum(getattr(report, count) for report in reports) > 25
    for count in ("alarms", "hangs", "restarts"):
        assert sum(getattr(report, count) for report in reports) > 2


def fingerprint(seed: int) -> str:
    """Everything that happened in a history, as one number."""
    with VirtualRuntime(seed) as runtime:
        history = History(Plan.drawn(seed, 80), runtime)
        history.run()
        return hashlib.sha256(repr(history.oracle.told_of).encode()).hexdigest()


def test_a_seed_makes_one_history() -> None:
    assert fingerprint(7) == fingerprint(7)
    assert fingerprint(7) != fingerprint(8)


def test_a_seed_makes_one_history_whatever_the_hash_seed() -> None:
    script = (
        "import logging; logging.disable(50); from tests.simulation.test_simulation import fingerprint;"
        "print([fingerprint(seed) for seed in range(5)])"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": number},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for number in "12"
    }
    assert len(told) == 1
