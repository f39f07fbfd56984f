"""A short chaos on each kind of store; ``python -m tests.chaos`` plays long ones."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.chaos.chaos import Chaos
from tests.chaos.worlds import world

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.property]

SECONDS = 20.0


@pytest.mark.timeout(150)
@pytest.mark.parametrize(("kind", "seed"), [("redis", 1), ("sqlite", 1), ("zookeeper", 1)])
def test_G1_G6_G7_hold_while_a_real_store_is_beaten(
    kind: str, seed: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL + 1)
    figures = Chaos(world(kind), tmp_path, seed).run(SECONDS)
    print(figures)
    assert figures.blows.total() >= 3
    assert figures.transactions
    assert figures.failures
