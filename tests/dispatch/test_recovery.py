"""A key that goes on failing is told once, with a count, and so is its end: it hides no other's news (G8)."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from datasync_core import Fault, Reject, hookimpl
from datasync_core.dispatch.attempts import Patience
from datasync_core.dispatch.faultlog import KEPT
from datasync_core.testing import Harness
from tests.dispatch.recording import Recording

Texts = Callable[[], list[str]]


class Observed(Recording):
    def __init__(self) -> None:
        super().__init__(type=int)
        self.told: list[Fault] = []

    @hookimpl
    def on_fault(self, fault: Fault) -> None:
        self.told.append(fault)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Texts:
    """What was logged since this was last asked, but for states."""
    caplog.set_level(logging.INFO, "datasync")

    def texts() -> list[str]:
        found = [record.getMessage() for record in caplog.records]
        caplog.clear()
        return [text for text in found if ": in sync" not in text]

    return texts


def test_a_key_that_is_written_often_and_stays_invalid_is_told_once(said: Texts) -> None:
    plugin = Observed()
    harness = Harness(p=plugin)
    harness.put("a/other", "x")
    for number in range(KEPT + 20):
        harness.put("a/1", f"text {number}")
    assert len(said()) == 2
    assert [fault.key for fault in plugin.told] == ["a/other", "a/1"]
    other, one = harness.inspect().faults
    assert (other.key, other.count) == ("a/other", 1)
    assert (one.key, one.count) == ("a/1", KEPT + 20)
    assert one.last >= one.time


def test_a_key_that_fails_again_and_again_is_told_once(said: Texts) -> None:
    plugin = Observed()
    harness = Harness(patience=Patience(first=1.0, most=8.0), p=plugin)
    plugin.fail_on = {"a/1": OSError("device busy, attempt 0x7f31 of 3")}
    harness.put("a/1", "1")
    for number in range(20):
        plugin.fail_on = {"a/1": OSError(f"device busy, attempt {number:#x} of 3")}
        harness.advance(8)
    [fault] = harness.inspect().faults
    assert fault.count == len(harness.calls) - 1 > 10
    assert len(said()) == len(plugin.told) == 1


def test_another_reason_is_told_again(said: Texts) -> None:
    plugin = Observed()
    harness = Harness(p=plugin)
    plugin.fail_on = {"a/1": OSError("device busy")}
    harness.put("a/1", "1")
    plugin.fail_on = {"a/1": OSError("device on fire")}
    harness.put("a/1", "2")
    harness.put("a/1", "x")
    plugin.fail_on = {"a/1": Reject("no")}
    harness.put("a/1", "3")
    texts = said()
    assert [text.partition(": ")[2][:24] for text in texts] == [
        "a/1 failed alone and is ",
        "a/1 failed alone and is ",
        "a/1 (revision 3): expect",
        "a/1 is rejected: no",
    ]


def test_a_recovery_is_logged_with_key_and_plugin(said: Texts) -> None:
    plugin = Observed()
    harness = Harness(p=plugin)
    plugin.fail_on = {"a/1": OSError("device busy"), "a/2": Reject("no")}
    harness.commit({"a/1": "1", "a/2": "1", "a/3": "x"})
    assert len(said()) == 3
    plugin.fail_on = {}
    harness.advance(1)
    assert said() == ["p: a/1 recovered: it is applied, and was failing (once)"]
    harness.put("a/2", "2")
    assert said() == ["p: a/2 recovered: it is applied, and was rejected (once)"]
    harness.put("a/3", "y")
    harness.put("a/3", "3")
    assert said() == ["p: a/3 recovered: it is applied, and was invalid (2 times)"]
    assert harness.in_sync()


def test_a_failure_that_ends_without_a_call_is_logged_as_ended(said: Texts) -> None:
    harness = Harness(p=Observed())
    harness.commit({"a/1": "1"})
    harness.commit({"a/1": "x", "a/2": "x"})
    said()
    harness.put("a/1", "1")
    assert said() == ["p: a/1 recovered: it is applied, and was invalid (once)"]
    harness.delete("a/2")
    assert said() == ["p: a/2 recovered: it is gone, and was invalid (once)"]


def test_what_a_resync_applies_has_recovered(said: Texts) -> None:
    plugin = Observed()
    harness = Harness(p=plugin)
    plugin.fail_on = {"a/1": Reject("no"), "a/2": OSError("busy")}
    harness.commit({"a/1": "1", "a/2": "1", "a/3": "x"})
    said()
    plugin.fail_on = {"a/2": OSError("busy")}
    harness.resync("p")
    assert said() == ["p: a/1 recovered: it is applied, and was rejected (once)"]
    plugin.fail_on = {}
    harness.resync("p")
    assert said() == ["p: a/2 recovered: it is applied, and was failing (2 times)"]


def test_of_many_that_fail_and_recover_the_first_are_named(said: Texts) -> None:
    plugin = Observed()
    harness = Harness(p=plugin)
    keys = [f"a/{number}" for number in range(50)]
    plugin.fail_on = dict.fromkeys(keys, OSError("busy"))
    harness.commit(dict.fromkeys(keys, "1"))
    texts = said()
    assert len(texts) == 11
    assert texts[-1] == "p: 40 more keys failed alone"
    harness.advance(60)
    assert said() == []
    plugin.fail_on = {}
    harness.resync("p")
    texts = said()
    assert len(texts) == 11
    assert texts[-1] == "p: 40 more keys recovered"


def test_a_call_that_raises_ends_no_failure(said: Texts) -> None:
    plugin = Observed()
    harness = Harness(p=plugin)
    plugin.fail_on = {"a/1": OSError("busy")}
    harness.put("a/1", "1")
    plugin.fail = [ValueError("no")]
    harness.advance(1)
    assert not any("recovered" in text for text in said())
    plugin.fail_on = {}
    harness.advance(60)
    assert [text for text in said() if "recovered" in text] == [
        "p: a/1 recovered: it is applied, and was failing (2 times)"
    ]
