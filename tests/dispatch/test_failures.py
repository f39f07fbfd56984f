"""A hook that fails: its plugin alone is hurt, and nothing that it was to be told is lost."""

from __future__ import annotations

import pytest

from datasync_core import Context, Event, Reject, Retry, hookimpl
from datasync_core.dispatch.attempts import Patience
from datasync_core.testing import Harness, Told
from tests.dispatch.recording import Recording

PATIENCE = Patience(first=1.0, most=8.0, resync_after=3, hold=15.0)


def changes(harness: Harness, plugin: str) -> list[list[Told]]:
    return [call.changes for call in harness.calls if call.plugin == plugin]


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"),
        SystemExit(3),
        KeyboardInterrupt(),
        RecursionError("deep"),
        MemoryError(),
        GeneratorExit(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_G8_a_hook_that_raises_or_exits_hurts_its_plugin_alone(error: BaseException) -> None:
    bad, good = Recording(), Recording()
    harness = Harness(bad=bad, good=good)
    bad.fail = [error]
    harness.put("a/1", "x")
    assert changes(harness, "good")[-1] == [("CREATE", "a/1", "x", None)]
    assert harness.state("good").state == "in_sync"
    assert harness.state("bad").state == "retrying"
    assert type(error).__name__ in harness.state("bad").reason
    harness.advance(1)
    assert changes(harness, "bad")[-1] == [("CREATE", "a/1", "x", None)]
    assert harness.in_sync()


def test_G8_retries_back_off_and_never_delay_siblings() -> None:
    bad, good = Recording(), Recording()
    harness = Harness(patience=PATIENCE, bad=bad, good=good)
    bad.fail = [ValueError("no")] * 100
    harness.put("a/1", "x")
    began = harness.runtime.monotonic()
    harness.advance(60)
    tries = len(changes(harness, "bad")) - 1
    assert 60 / 8 <= tries <= 2 * (4 + 60 / 4)  # 1, 2, 4, then 8 s, each shortened by up to half
    for number in range(20):
        harness.put(f"a/{number}", "y")
    assert len(changes(harness, "good")) == 22
    assert len(changes(harness, "bad")) - 1 == tries
    assert harness.runtime.monotonic() == began + 60


def test_G8_after_three_failures_in_a_row_a_resync_is_tried() -> None:
    bad = Recording()
    harness = Harness(patience=PATIENCE, bad=bad)
    bad.fail = [ValueError("no")] * 3
    harness.put("a/1", "x")
    harness.advance(30)
    assert [call.hook for call in harness.calls] == ["on_resync", *["on_change"] * 3, "on_resync"]
    assert harness.calls[-1].reason == "retry"
    assert harness.in_sync()


def test_G7_a_key_that_failed_is_told_again_though_the_store_went_back() -> None:
    plugin = Recording()
    harness = Harness(p=plugin)
    harness.put("a/1", "old")
    plugin.fail = [ValueError("half way")]
    harness.put("a/1", "new")
    harness.put("a/1", "old")
    harness.advance(1)
    assert harness.calls[-1].changes == [("UPDATE", "a/1", "old", "old")]


def test_G7_a_key_that_failed_and_vanished_is_deleted_with_no_previous() -> None:
    plugin = Recording()
    harness = Harness(p=plugin)
    plugin.fail = [ValueError("half way")]
    harness.put("a/1", "x")
    harness.delete("a/1")
    harness.advance(1)
    assert harness.calls[-1].changes == [("DELETE", "a/1", None, None)]
    assert harness.in_sync()


def test_G7_a_key_of_a_failed_first_resync_that_vanished_is_deleted() -> None:
    plugin = Recording()
    harness = Harness(p=plugin, paused=True)
    plugin.fail = [ValueError("half way")]
    harness.lose()
    harness.commit({"a/1": "x", "a/2": "x"})
    harness.back()
    harness.delete("a/1")
    harness.put("a/3", "late")
    harness.delete("a/3")
    harness.advance(1)
    assert harness.calls[-1].hook == "on_resync"
    assert harness.calls[-1].changes == [("DELETE", "a/1", None, None), ("CREATE", "a/2", "x", None)]
    assert harness.in_sync()


def test_a_change_that_fails_alone_is_retried_alone() -> None:
    plugin = Recording()
    harness = Harness(patience=PATIENCE, p=plugin)
    plugin.fail_on = {"a/2": ValueError("this one")}
    harness.commit({"a/1": "x", "a/2": "x", "a/3": "x"})
    plugin.fail_on = {}
    harness.put("a/4", "x")
    assert harness.calls[-1].changes == [("CREATE", "a/4", "x", None)]
    harness.advance(1)
    assert harness.calls[-1].changes == [("CREATE", "a/2", "x", None)]
    assert harness.in_sync()


def test_a_new_change_of_a_key_set_aside_ends_its_wait() -> None:
    plugin = Recording()
    harness = Harness(patience=PATIENCE, p=plugin)
    plugin.fail_on = {"a/1": ValueError("this one")}
    harness.put("a/1", "x")
    plugin.fail_on = {}
    harness.put("a/1", "y")
    assert harness.calls[-1].changes == [("CREATE", "a/1", "y", None)]


def test_retry_inside_a_change_chooses_when() -> None:
    plugin = Recording()
    harness = Harness(patience=PATIENCE, p=plugin)
    plugin.fail_on = {"a/1": Retry("later", delay=30)}
    harness.put("a/1", "x")
    plugin.fail_on = {}
    count = len(harness.calls)
    harness.advance(29)
    assert len(harness.calls) == count
    harness.advance(2)
    assert len(harness.calls) == count + 1


def test_a_requirement_that_applies_something_ends_the_wait_of_a_key() -> None:
    low, high = Recording("a/"), Recording("b/", requires=["low"])
    harness = Harness(patience=PATIENCE, low=low, high=high)
    high.fail_on = {"b/1": ValueError("needs a/1")}
    harness.put("b/1", "x")
    high.fail_on = {}
    harness.put("a/1", "x")
    assert [call.plugin for call in harness.calls[-2:]] == ["low", "high"]
    assert harness.in_sync()


def test_a_rejected_key_waits_for_its_next_change() -> None:
    """Until then the mappings show the value that was applied last."""
    plugin = Recording()
    harness = Harness(patience=PATIENCE, p=plugin)
    harness.put("a/1", "good")
    plugin.fail_on = {"a/1": Reject("not like this")}
    harness.put("a/1", "bad")
    assert harness.faults() == ["p: a/1 is rejected: not like this"]
    plugin.fail_on = {}
    count = len(harness.calls)
    harness.advance(100)
    harness.put("a/2", "x")
    assert len(harness.calls) == count + 1
    assert harness.calls[-1].values == {"a/1": "good", "a/2": "x"}
    harness.put("a/1", "bad")  # the same bytes, at a new revision
    assert harness.calls[-1].changes == [("UPDATE", "a/1", "bad", "good")]


def test_a_rejected_key_gets_another_chance_when_an_operator_asks() -> None:
    plugin = Recording()
    harness = Harness(patience=PATIENCE, p=plugin)
    plugin.fail_on = {"a/1": Reject("not like this")}
    harness.put("a/1", "x")
    plugin.fail_on = {}
    harness.resync("p")
    assert harness.calls[-1].reason == "request"
    assert harness.calls[-1].changes == [("CREATE", "a/1", "x", None)]


def test_a_rejected_delete_keeps_the_key_until_it_reappears() -> None:
    plugin = Recording()
    harness = Harness(patience=PATIENCE, p=plugin)
    harness.put("a/1", "x")
    plugin.fail_on = {"a/1": Reject("in use")}
    harness.delete("a/1")
    plugin.fail_on = {}
    harness.put("a/2", "y")
    assert harness.calls[-1].values == {"a/1": "x", "a/2": "y"}
    harness.put("a/1", "z")
    assert harness.calls[-1].changes == [("UPDATE", "a/1", "z", "x")]


def test_a_hook_that_rejects_is_called_again_only_when_something_changes() -> None:
    plugin = Recording()
    harness = Harness(patience=PATIENCE, p=plugin)
    plugin.fail = [Reject("never")]
    harness.put("a/1", "x")
    count = len(harness.calls)
    harness.advance(1000)
    assert len(harness.calls) == count
    assert "on change" in harness.state("p").reason
    harness.put("a/2", "y")
    assert harness.calls[-1].changes == [("CREATE", "a/1", "x", None), ("CREATE", "a/2", "y", None)]


def test_raising_out_of_a_hook_voids_what_it_rejected() -> None:
    plugin = Recording()
    harness = Harness(patience=PATIENCE, p=plugin)
    plugin.fail_on = {"a/1": Reject("not like this")}
    plugin.fail = [ValueError("after all")]
    harness.put("a/1", "x")
    plugin.fail_on = {}
    harness.advance(2)
    assert harness.calls[-1].changes == [("CREATE", "a/1", "x", None)]
    assert harness.in_sync()


def test_the_gate_closes_while_a_requirement_fails() -> None:
    low, high = Recording("a/"), Recording("b/", requires=["low"])
    harness = Harness(patience=PATIENCE, low=low, high=high)
    low.fail = [ValueError("no")]
    harness.commit({"a/1": "x", "b/1": "x"})
    assert [call.plugin for call in harness.calls[2:]] == ["low"]
    assert harness.state("high").reason == "requires low: not in sync"
    harness.advance(2)
    assert [call.plugin for call in harness.calls[2:]] == ["low", "low", "high"]
    assert harness.in_sync()


def test_a_key_set_aside_does_not_close_the_gate() -> None:
    low, high = Recording("a/"), Recording("b/", requires=["low"])
    harness = Harness(patience=PATIENCE, low=low, high=high)
    low.fail_on = {"a/1": ValueError("this one")}
    harness.commit({"a/1": "x", "b/1": "x"})
    assert changes(harness, "high")[-1] == [("CREATE", "b/1", "x", None)]


def test_deletes_wait_for_those_above_and_then_go_with_a_fault() -> None:
    low, high = Recording("a/"), Recording("b/", requires=["low"])
    harness = Harness(patience=PATIENCE, low=low, high=high)
    harness.commit({"a/1": "x", "b/1": "x"})
    high.fail_on = {"b/1": ValueError("in use")}
    harness.commit({"a/1": None, "b/1": None})
    assert changes(harness, "low")[-1] == [("CREATE", "a/1", "x", None)]
    harness.advance(14)
    assert changes(harness, "low")[-1] == [("CREATE", "a/1", "x", None)]
    harness.advance(2)
    assert changes(harness, "low")[-1] == [("DELETE", "a/1", None, "x")]
    assert any("waited 15 s for high" in fault for fault in harness.faults())


def test_deletes_go_when_those_above_have_let_go() -> None:
    low, high = Recording("a/"), Recording("b/", requires=["low"])
    harness = Harness(patience=PATIENCE, low=low, high=high)
    harness.commit({"a/1": "x", "b/1": "x"})
    high.fail_on = {"b/1": ValueError("in use")}
    harness.commit({"a/1": None, "b/1": None})
    high.fail_on = {}
    harness.advance(2)
    assert [call.plugin for call in harness.calls[-2:]] == ["high", "low"]
    assert harness.in_sync()


def test_a_resync_of_a_required_plugin_leaves_removals_to_the_pass_back() -> None:
    """The removed key stays in the mapping of the resync, and its delete follows in the same round."""
    low, high = Recording("a/"), Recording("b/", requires=["low"])
    harness = Harness(patience=PATIENCE, low=low, high=high)
    harness.commit({"a/1": "x", "a/2": "x", "b/1": "x"})
    harness.lose()
    harness.commit({"a/1": None, "b/1": None})
    harness.calls.clear()
    harness.back()
    assert [(call.plugin, call.hook, call.changes) for call in harness.calls] == [
        ("low", "on_resync", [("UPDATE", "a/2", "x", "x")]),
        ("high", "on_resync", [("DELETE", "b/1", None, "x")]),
        ("low", "on_change", [("DELETE", "a/1", None, "x")]),
    ]
    assert harness.calls[0].values == {"a/1": "x", "a/2": "x"}
    assert len({call.round for call in harness.calls}) == 1


def test_after_a_fault_nothing_counts_as_applied() -> None:
    low, high = Recording("a/"), Recording("b/", requires=["low"])
    harness = Harness(patience=PATIENCE, low=low, high=high)
    harness.commit({"a/1": "x", "b/1": "x"})
    harness.calls.clear()
    harness.fault("low")
    assert [(call.plugin, call.reason, call.changes) for call in harness.calls] == [
        ("low", "fault", [("CREATE", "a/1", "x", None)]),
        ("high", "fault", [("UPDATE", "b/1", "x", "x")]),
    ]


def test_a_failure_that_turned_invalid_does_not_keep_the_plugin_retrying() -> None:
    low, high = Recording("a/"), Recording("b/", requires=["low"])
    harness = Harness(patience=PATIENCE, low=low, high=high)
    low.fail = [ValueError("no")]
    harness.put("a/1", "x")
    harness.put("a/1", b"\xff")
    harness.put("b/1", "x")
    harness.advance(5)
    assert changes(harness, "high")[-1] == [("CREATE", "b/1", "x", None)]
    assert harness.state("low").state == "in_sync"


@pytest.mark.parametrize("ask", ["request_resync", "report_fault"])
def test_a_plugin_that_asks_for_a_resync_in_each_resync_is_paced(ask: str) -> None:
    class Asks(Recording):
        @hookimpl
        def on_start(self, context: Context) -> None:
            self.ask = getattr(context, ask)

        @hookimpl
        def on_resync(self, event: Event) -> None:
            self.ask("again")

    harness = Harness(patience=PATIENCE, p=Asks())
    harness.advance(60)
    assert 60 / 8 <= len(harness.calls) <= 2 * (4 + 60 / 4)


def test_a_storm_of_reports_makes_one_resync() -> None:
    class Reports(Recording):
        @hookimpl
        def on_start(self, context: Context) -> None:
            self.context = context

    plugin = Reports()
    harness = Harness(patience=PATIENCE, p=plugin)
    for _ in range(1000):
        plugin.context.report_fault("lost")
    harness.settle()
    assert [call.reason for call in harness.calls] == ["startup", "fault"]


def attempts(harness: Harness) -> list[float]:
    """The seconds between the calls that a plugin was retried in."""
    times: list[float] = []
    while len(times) < 12:
        before = len(harness.calls)
        began = harness.runtime.monotonic()
        while len(harness.calls) == before:
            deadline = harness.settle()
            assert deadline is not None
            harness.advance(max(0.0, deadline - harness.runtime.monotonic()))
        times.append(harness.runtime.monotonic() - began)
    return times


@pytest.mark.parametrize("delay", [0, 1e-9, 0.05])
@pytest.mark.parametrize("alone", [True, False], ids=["a key", "a call"])
def test_G15_a_delay_that_a_plugin_chooses_is_no_hot_loop(delay: float, alone: bool) -> None:
    """The wait is 0.1 s, and doubles up to the most that the host waits."""
    plugin = Recording()
    harness = Harness(patience=PATIENCE, p=plugin)
    error = Retry("not yet", delay=delay)
    if alone:
        plugin.fail_on = {"a/1": error}
    else:
        plugin.fail = [error] * 100
    harness.put("a/1", "x")
    assert attempts(harness) == pytest.approx([*(0.1 * 2.0**n for n in range(7)), *[8.0] * 5])


def test_G15_event_retry_without_delay_to_wait_is_no_hot_loop() -> None:
    class Asks(Recording):
        @hookimpl
        def on_change(self, event: Event) -> None:
            for change in event.changes(self.watch):
                event.retry(change, "not yet", delay=0)

    harness = Harness(p=Asks())
    harness.put("a/1", "x")
    harness.advance(60)
    assert 5 <= len(harness.calls) <= 15


def test_a_success_ends_the_slowing_down_of_who_asks_again() -> None:
    plugin = Recording()
    harness = Harness(patience=PATIENCE, p=plugin)
    for _ in range(2):
        plugin.fail_on = {"a/1": Retry("not yet", delay=0)}
        harness.put("a/1", "x")
        harness.advance(0.31)
        plugin.fail_on = {}
        harness.advance(0.4)
        assert harness.in_sync()
        plugin.fail_on = {"a/1": Retry("not yet", delay=0)}
        harness.put("a/1", "y")
        count = len(harness.calls)
        harness.advance(0.11)
        assert len(harness.calls) == count + 1
        plugin.fail_on = {}
        harness.advance(0.5)


def test_a_longer_delay_is_kept_to() -> None:
    plugin = Recording()
    harness = Harness(patience=PATIENCE, p=plugin)
    plugin.fail_on = {"a/1": Retry("not yet", delay=5)}
    harness.put("a/1", "x")
    assert attempts(harness)[:6] == pytest.approx([5.0] * 6)
