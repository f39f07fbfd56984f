"""`explain` tells the whole way of a key, for each state that it can be in."""

from __future__ import annotations

from typing import Any

from datasync_core import Reject
from datasync_core.ops.explain import explain
from datasync_core.testing import Harness
from tests.dispatch.recording import Recording


def told(harness: Harness, key: str) -> tuple[dict[str, Any], str]:
    said = explain(key, harness.inspect(), harness.runtime.monotonic())
    return said, "\n".join(harness.explain(key))


def test_an_applied_key() -> None:
    harness = Harness(p=Recording())
    harness.put("a/1", "x")
    said, text = told(harness, "a/1")
    assert said["stores"][0] == {
        "name": "main", "connected": True, "reached": True, "lost": None, "retry_in": None,
        "present": True, "revision": 1, "size": 1, "error": None,
    }  # fmt: skip
    assert said["plugins"][0]["what"] == "applied"
    assert "p watches it by 'a/': applied" in text


def test_a_key_that_nobody_watches() -> None:
    _, text = told(Harness(p=Recording()), "elsewhere")
    assert "no plugin watches elsewhere; watched are 'a/'" in text


def test_a_key_that_failed_says_why_and_when_it_is_tried_again() -> None:
    plugin = Recording()
    harness = Harness(p=plugin)
    plugin.fail = [ValueError("no such device")]
    harness.put("a/1", "x")
    said, text = told(harness, "a/1")
    assert said["plugins"][0]["uncertain"] is True
    assert 0 < said["plugins"][0]["next_attempt"] <= 0.5
    assert "pending" in text
    assert "p is retrying: p: on_change failed at a/1: ValueError: no such device" in text
    assert "next attempt in 0." in text


def test_a_key_set_aside_says_why() -> None:
    plugin = Recording()
    harness = Harness(p=plugin)
    plugin.fail_on = {"a/1": ValueError("busy")}
    harness.put("a/1", "x")
    said, text = told(harness, "a/1")
    assert "set aside: ValueError: busy; attempt 2 in 0." in text
    assert said["plugins"][0]["next_attempt"] > 0


def test_an_invalid_and_a_rejected_key_say_why() -> None:
    plugin = Recording()
    harness = Harness(p=plugin)
    harness.put("a/1", b"\xff")
    assert "invalid\n  a/1 (revision 1): expected UTF-8 text" in told(harness, "a/1")[1]
    plugin.fail_on = {"a/2": Reject("not like this")}
    harness.put("a/2", "x")
    assert "rejected\n  not like this\n  there is no applied value to keep" in told(harness, "a/2")[1]


def test_G8_an_invalid_key_says_which_value_the_plugin_keeps() -> None:
    harness = Harness(p=Recording())
    harness.put("a/1", "good")
    harness.put("a/1", b"\xff")
    assert "the plugin keeps what it applied last: revision 1 (4 bytes)" in told(harness, "a/1")[1]


def test_an_invalid_key_whose_delete_was_applied_has_no_applied_value() -> None:
    """The text does not say that the key was never applied."""
    harness = Harness(p=Recording())
    harness.put("a/1", "good")
    harness.delete("a/1")
    harness.put("a/1", b"\xff")
    text = told(harness, "a/1")[1]
    assert "never" not in text
    assert (
        "there is no applied value to keep: none came since the host began, or its delete was applied" in text
    )


def test_G10_a_brake_that_holds_the_start_is_explained() -> None:
    """Explain names the brake for keys that the store has and for keys that it no longer has."""
    harness = Harness(p=Recording(), expected={"p": 40}, paused=True)
    harness.commit({f"a/{number}": "x" for number in range(2)})
    held = "p is held: the store has 2 of 40 keys; to go on with these: datasync-host release p"
    assert held in told(harness, "a/1")[1]
    said, text = told(harness, "a/gone")
    assert said["plugins"][0]["what"] == "not there, and held by the brake if it was applied before"
    assert held in text
    harness.release("p")
    assert told(harness, "a/gone")[0]["plugins"][0]["what"] == "not there, and not applied"


def test_a_key_behind_a_closed_gate_says_what_is_waited_for() -> None:
    low = Recording("a/")
    harness = Harness(low=low, high=Recording("b/", requires=["low"]))
    low.fail = [ValueError("no")]
    harness.commit({"a/1": "x", "b/1": "x"})
    assert "high is waiting: requires low: not in sync" in told(harness, "b/1")[1]


def test_a_held_key_says_so() -> None:
    harness = Harness(p=Recording())
    harness.commit({f"a/{number}": "x" for number in range(20)})
    harness.clear()
    said, text = told(harness, "a/1")
    assert said["stores"][0]["present"] is False
    assert "held by the brake" in text
    assert "the plugin keeps what it applied last" in text
