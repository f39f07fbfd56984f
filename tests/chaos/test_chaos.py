"""A short chaos on each kind of store; ``python -m tests.chaos`` plays long ones."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.chaos.chaos import Chaos, Figures
from tests.chaos.worlds import world

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.property]

SECONDS = 10.0


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("kind", "seed"), [("redis", 1), ("sqlite", 1), ("zookeeper", 1)])
def test_G1_G6_G7_hold_while_a_real_store_is_beaten(
    kind: str, seed: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL + 1)
    print(Chaos(world(kind), tmp_path, seed).run(SECONDS, is_enough))


def is_enough(figures: Figures) -> bool:
    """Whether a chaos was one; a busy machine does less in the same time."""
    return figures.blows.total() >= 3 and bool(figures.transactions and figures.failures)
