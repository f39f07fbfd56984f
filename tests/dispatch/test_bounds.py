"""Memory grows with the keys that live, never with how long a backlog is (G9)."""

from __future__ import annotations

from datasync_core.dispatch.attempts import Patience
from datasync_core.dispatch.ledger import LEFTOVERS
from datasync_core.testing import Harness
from tests.dispatch.recording import Recording


def exceptions(harness: Harness, plugin: str) -> int:
    """How many keys a plugin's ledger remembers."""
    return sum(
        len(ledger.behind) + len(ledger.aside) + len(ledger.uncertain)
        for ledger in harness._lanes[plugin].ledgers.values()
    )


def test_G9_a_plugin_that_waits_for_ever_does_not_collect_keys_that_came_and_went():
    low = Recording("low")
    harness = Harness(low=low, high=Recording("a/", requires=["low"]))
    harness.put("a/stays", "x")
    low.fail = [ValueError("for ever")] * 1000
    harness.put("low", "x")
    for number in range(2000):
        harness.commit({f"a/{number}": "x", f"a/{number - 1}": None, "a/stays": str(number)})
    assert exceptions(harness, "high") <= 3


def test_G9_a_plugin_that_always_fails_remembers_a_bounded_number_of_keys_that_are_gone():
    plugin = Recording("a/")
    harness = Harness(patience=Patience(first=1, most=1), p=plugin)
    for start in range(0, 3 * LEFTOVERS, 2000):
        plugin.fail = [ValueError("no")]
        harness.commit({f"a/{start + number}": "x" for number in range(2000)})
        harness.advance(0.1)
        harness.commit({f"a/{start + number}": None for number in range(2000)})
        plugin.fail = [ValueError("no")]
        harness.advance(2)
    assert exceptions(harness, "p") <= 2 * (2 * LEFTOVERS + 2000)
    plugin.fail = []
    harness.advance(10)
    assert harness.in_sync()


def test_G9_leftovers_beyond_the_bound_are_said():
    plugin = Recording("a/")
    harness = Harness(patience=Patience(first=1000, most=1000), p=plugin)
    for start in range(0, 3 * LEFTOVERS, 5000):
        plugin.fail = [ValueError("no")]
        harness.resync("p")
        harness.commit({f"a/{start + number}": "x" for number in range(5000)})
        plugin.fail = [ValueError("no")]
        harness.resync("p")
        harness.commit({f"a/{start + number}": None for number in range(5000)})
    assert exceptions(harness, "p") <= 2 * (2 * LEFTOVERS + 5000)
    assert any("may be left over" in fault for fault in harness.faults())
