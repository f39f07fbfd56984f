"""The short form of each case of ``python -m tests.memory``, and that the judgement can fail."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.memory.__main__ import CASES
from tests.memory.gauge import Gauge

pytestmark = [pytest.mark.slow, pytest.mark.property]


def play(name: str, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.memory", "--here", "--short", *flags, name]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)


@pytest.mark.parametrize("name", CASES)
def test_G9_memory_is_flat(name: str) -> None:
    said = play(name)
    assert said.returncode == 0, said.stdout + said.stderr
    assert said.stdout.endswith(": flat\n")


def test_a_leak_of_a_hundred_bytes_an_operation_is_seen() -> None:
    said = play("hung-in-a-change", "--leak", "100")
    assert said.returncode == 1, said.stdout + said.stderr
    assert "memory grows by 10" in said.stdout


def test_what_is_flat_after_it_was_warm_is_flat() -> None:
    gauge = Gauge(1000, traced=False)
    kept: list[bytes] = []
    while gauge.more():
        if gauge.done < 300:
            kept.append(bytes(100_000))
        gauge.count()
    assert gauge.finished.is_set()
    assert len(gauge.samples) == 9
    assert all(sample.used > 20_000_000 for sample in gauge.samples)
