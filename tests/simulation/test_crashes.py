"""A host that is killed at any moment finds its way back; hundreds of kills: `python -m tests.simulation.crashes`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.crashes import Crashes

pytestmark = [pytest.mark.slow, pytest.mark.property]


def test_G1_after_kill_9_at_any_moment_the_output_equals_the_store(tmp_path: Path) -> None:
    with Crashes(tmp_path, seed=1) as crashes:
        outcome = crashes.play(12)
    assert outcome.wrong is None
    assert outcome.kills == 12
