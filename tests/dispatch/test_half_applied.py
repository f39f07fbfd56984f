"""What may have been applied half way, or in an earlier life: it is never forgotten, and never made up."""

from __future__ import annotations

from datasync_core import Event, Reject, Retry, hookimpl
from datasync_core.dispatch.attempts import Patience
from datasync_core.testing import Harness
from tests.dispatch.recording import Recording

PATIENCE = Patience(first=1.0, most=8.0, hold=15.0)


class Unique(Recording):
    """Drives a system in which a value belongs to one key at a time."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.device: dict[str, str] = {}

    def _apply(self, event: Event) -> None:
        for change in event.changes(self.watch):
            if change.deleted:
                self.device.pop(change.name, None)
                continue
            taken = [
                name for name, value in self.device.items() if value == change.value and name != change.name
            ]
            if taken:
                raise ValueError(f"{change.value} belongs to {taken[0]}")
            self.device[change.name] = change.value


def deletes(harness: Harness, plugin: str) -> list[tuple[str, str, object, object]]:
    return [
        one for call in harness.calls if call.plugin == plugin for one in call.changes if one[0] == "DELETE"
    ]


def test_G7_a_key_of_a_failed_resync_that_was_rejected_is_deleted() -> None:
    """The failed resync handed the key out, the next one rejects it; its later delete is told."""
    plugin = Recording()
    plugin.fail = [ValueError("half way")]
    plugin.fail_on = {}
    harness = Harness(patience=PATIENCE, paused=True, p=plugin)
    harness.put("a/1", "x")
    plugin.fail_on = {"a/1": Reject("never")}
    harness.advance(2)
    assert harness.calls[-1].error is None
    plugin.fail_on = {}
    harness.delete("a/1")
    assert deletes(harness, "p") == [("DELETE", "a/1", None, None)]


def test_G1_a_key_rejected_at_the_first_resync_is_deleted_when_it_goes() -> None:
    """The driven system may still have the key from an earlier run of the host."""
    plugin = Recording()
    plugin.fail_on = {"a/1": Reject("never")}
    harness = Harness(paused=True, p=plugin)
    harness.put("a/1", "x")
    plugin.fail_on = {}
    harness.delete("a/1")
    assert deletes(harness, "p") == [("DELETE", "a/1", None, None)]


def test_a_fault_before_anything_was_told_makes_nothing_uncertain() -> None:
    low, plugin = Recording("b/"), Recording(requires=["low"])
    low.fail = [Reject("no")]
    harness = Harness(patience=PATIENCE, low=low, p=plugin, paused=True)
    harness.put("a/1", "x")
    harness.fault("p")
    harness.delete("a/1")
    harness.put("b/1", "x")
    assert harness.in_sync()
    assert deletes(harness, "p") == []


def test_a_fault_makes_what_was_never_told_no_more_certain_to_exist() -> None:
    low, plugin = Recording("b/"), Recording(requires=["low"])
    harness = Harness(patience=PATIENCE, low=low, p=plugin)
    low.fail = [Reject("no")]
    harness.put("b/1", "x")
    harness.put("a/1", "x")  # waits at the gate
    harness.fault("p")
    harness.delete("a/1")
    harness.put("b/1", "y")
    assert harness.in_sync()
    assert deletes(harness, "p") == []


def test_G9_what_comes_and_goes_while_a_resync_fails_is_not_remembered() -> None:
    plugin = Recording()
    harness = Harness(patience=PATIENCE, p=plugin)
    plugin.fail = [ValueError("no")] * 100
    harness.resync("p")
    for number in range(200):
        harness.put(f"a/{number}", "x")
        harness.delete(f"a/{number}")
    assert harness.inspect().plugins["p"].stores["main"].remembered == 0


def test_a_create_that_conflicts_with_a_later_delete_succeeds_on_retry() -> None:
    """The delete comes in the pass back and removes what made the create fail."""
    plugin = Unique("a/")
    harness = Harness(patience=PATIENCE, p=plugin, user=Recording("b/", requires=["p"]))
    harness.put("a/1", "address")
    harness.commit({"a/1": None, "a/2": "address"})
    assert plugin.device == {}
    harness.advance(2)
    assert plugin.device == {"2": "address"}
    assert harness.in_sync()


def test_the_pass_back_comes_also_where_the_resync_of_its_round_raised() -> None:
    plugin = Unique("a/")
    harness = Harness(patience=PATIENCE, p=plugin, user=Recording("b/", requires=["p"]))
    harness.put("a/1", "address")
    harness.lose()
    harness.commit({"a/1": None, "a/2": "address"})
    harness.back()
    assert [call.hook for call in harness.calls_of("p")][-2:] == ["on_resync", "on_change"]
    harness.advance(2)
    assert plugin.device == {"2": "address"}
    assert harness.in_sync()


def test_the_wait_goes_on_where_deletes_succeed_after_a_create_that_raised() -> None:
    class Refuses(Recording):
        @hookimpl
        def on_change(self, event: Event) -> None:
            if any(not change.deleted for change in event):
                raise Retry("later", 5)

    harness = Harness(patience=PATIENCE, p=Refuses(), user=Recording("b/", requires=["p"]))
    harness.commit({"a/1": "x", "a/2": "x"})
    calls = len(harness.calls_of("p"))
    harness.advance(4)
    assert len(harness.calls_of("p")) == calls
    assert harness.state("p").state == "retrying"


def test_the_gate_stays_closed_while_a_rejected_plugin_waits() -> None:
    """A plugin that raised Reject and now waits for its own requirement keeps its dependents waiting."""
    low, middle, top = (
        Recording("a/"),
        Recording("b/", requires=["low"]),
        Recording("c/", requires=["middle"]),
    )
    harness = Harness(patience=PATIENCE, low=low, middle=middle, top=top)
    harness.put("b/1", "x")
    middle.fail = [Reject("no")]
    harness.put("b/1", "y")
    low.fail = [Reject("no")]
    harness.put("a/1", "x")
    harness.delete("b/1")  # something changed for middle, which low keeps waiting
    calls = len(harness.calls_of("top"))
    harness.put("c/1", "x")
    assert len(harness.calls_of("top")) == calls
    assert harness.state("middle").state == "retrying"
    harness.put("a/1", "y")
    assert harness.in_sync()


def test_the_gate_closes_for_a_key_that_was_set_aside_and_has_changed() -> None:
    low, middle, top = (
        Recording("a/"),
        Recording("b/", requires=["low"]),
        Recording("c/", requires=["middle"]),
    )
    harness = Harness(patience=PATIENCE, low=low, middle=middle, top=top)
    middle.fail_on = {"b/1": ValueError("not now")}
    harness.put("b/1", "x")
    harness.put("c/1", "x")  # what is set aside closes no gate
    assert len(harness.calls_of("top")) == 2
    low.fail = [Reject("no")]
    harness.put("a/1", "x")
    harness.put("b/1", "y")  # and now it is pending like any other, while low keeps middle waiting
    harness.put("c/1", "y")
    assert len(harness.calls_of("top")) == 2
    middle.fail_on = {}
    harness.put("a/1", "y")
    assert harness.in_sync()


def test_deletes_that_wait_go_in_the_end_also_after_a_call_that_raised() -> None:
    plugin = Recording("a/")
    harness = Harness(patience=PATIENCE, p=plugin, user=Recording("b/", requires=["p"]))
    harness.commit({"a/1": "x", "b/1": "x"})
    plugin.fail = [ValueError("half way")]
    harness.commit({"a/1": "y", "b/1": "y"})
    harness.delete("a/1")  # waits for the user, whose change waits for this
    harness.advance(2)
    assert harness.settle() is not None, "nobody would come back"
    harness.advance(PATIENCE.hold)
    assert [(call.plugin, call.changes) for call in harness.calls[-2:]] == [
        ("p", [("DELETE", "a/1", None, "x")]),
        ("user", [("UPDATE", "b/1", "y", "x")]),
    ]
    assert harness.in_sync()


def test_a_key_set_aside_is_tried_again_also_after_a_call_that_raised() -> None:
    plugin = Recording("a/")
    harness = Harness(patience=PATIENCE, p=plugin)
    plugin.fail_on = {"a/2": Retry("later", 20)}
    harness.put("a/2", "x")
    plugin.fail_on = {}
    plugin.fail = [ValueError("half way")]
    harness.put("a/1", "x")
    harness.put("a/1", b"\xff")  # nothing is left to try again but what was set aside
    harness.advance(5)
    assert harness.settle() is not None, "nobody would come back"
    harness.advance(20)
    assert harness.calls[-1].changes == [("CREATE", "a/2", "x", None)]
    assert harness.state("p").state == "in_sync"
