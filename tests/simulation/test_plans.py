"""Hypothesis draws histories, too, and makes those that fail so short that a person can read them."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import given, settings

from datasync_core.dispatch.lane import Lane
from tests.simulation.__main__ import main
from tests.simulation.history import play, play_plan
from tests.simulation.plan import Plan
from tests.simulation.plans import parts, plans, shape, shorten

pytestmark = pytest.mark.property


@pytest.fixture(autouse=True)
def quietly() -> Iterator[None]:
    """Faults are logged with their traces, and there are hundreds."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def no_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake: plugins are called though one that they require is not ready."""
    monkeypatch.setattr(Lane, "gate", lambda self: None)


@given(plans())
@settings(derandomize=True, max_examples=100)
def test_G1_to_G10_and_G14_hold_in_every_plan(plan: Plan) -> None:
    report = play_plan(plan)
    assert report.violation is None, "\n".join([*report.story, report.violation])


def test_a_plan_that_fails_is_made_short(no_gate: None) -> None:
    report = shorten(plans(), lambda report: report.violation is not None)
    assert report is not None
    assert report.violation is not None
    assert "which it requires, is not ready" in report.violation
    assert len(report.plan.steps) <= 3
    assert len([line for line in report.story if line.startswith("Character")]) == 2


def test_a_seed_that_fails_is_made_short_and_fails_the_same_way(no_gate: None) -> None:
    histories = (play(seed, 40) for seed in range(100))
    whole = next(report for report in histories if report.violation is not None)
    report = shorten(parts(whole.plan), lambda report: shape(report.violation) == shape(whole.violation))
    assert report is not None
    assert shape(report.violation) == shape(whole.violation)
    assert len(report.plan.steps) <= 10
    assert set(report.plan.steps) <= set(whole.plan.steps)
    assert play_plan(report.plan) == report


def test_the_command_tells_a_short_story_of_a_seed(no_gate: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--shrink", "0", "--steps", "20"]) == 1
    *story, violation, plan = capsys.readouterr().out.splitlines()
    assert len(story) <= 15
    assert "start" in story
    assert violation.startswith("gate: ")
    assert "played: Plan(seed=0, steps=(" in plan


def test_the_command_says_that_a_seed_is_fine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--shrink", "0", "--steps", "5"]) == 0
    assert capsys.readouterr().out == "seed 0, 5 steps: nothing is broken\n"


def test_what_broke_is_told_apart_from_where() -> None:
    one = "G6: p3 is not told of ('main', 'a/t4'), which is pending"
    assert shape(one) == shape("G6: p0 is not told of ('aux', 'b/s/1'), which is pending")
    assert shape(one) != shape("G5: p3 is called while p4 is")
    assert shape(None) is None
