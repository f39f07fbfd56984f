"""The brake (G10): what vanished without having been deleted is not removed before somebody says so."""

from __future__ import annotations

from datasync_core import Event, Watch, hookimpl
from datasync_core.testing import Harness
from tests.dispatch.recording import Recording

TWENTY = {f"a/{number}": "x" for number in range(20)}


def deletes(harness: Harness, plugin: str = "p") -> int:
    return sum(
        change[0] == "DELETE" for call in harness.calls if call.plugin == plugin for change in call.changes
    )


def test_G10_a_flush_is_held_until_it_is_released() -> None:
    harness = Harness(p=Recording())
    harness.commit(TWENTY)
    harness.clear()
    assert deletes(harness) == 0
    assert harness.state("p").state == "held"
    assert harness.state("p").reason == (
        "20 of 20 keys are gone without having been deleted; to remove them: datasync-host release p"
    )
    assert any("20 of 20 keys are gone" in fault for fault in harness.faults())
    harness.advance(1000)
    assert deletes(harness) == 0
    harness.release("p")
    assert deletes(harness) == 20
    assert harness.in_sync()


def test_G10_held_keys_stay_in_the_mappings_and_are_named() -> None:
    class Reads(Recording):
        @hookimpl
        def on_change(self, event: Event) -> None:
            self.held, self.seen = set(event.held), set(event[self.watch])

    plugin = Reads()
    harness = Harness(p=plugin)
    harness.commit(TWENTY)
    harness.clear()
    harness.put("a/new", "y")
    assert plugin.held == set(TWENTY)
    assert plugin.seen == {key[2:] for key in TWENTY} | {"new"}


def test_G10_nine_keys_or_half_of_them_are_not_held() -> None:
    harness = Harness(p=Recording())
    harness.commit({f"a/{number}": "x" for number in range(9)})
    harness.clear()
    assert deletes(harness) == 9
    harness.commit(TWENTY)
    harness.lose()
    harness.commit(dict.fromkeys(list(TWENTY)[:10]))
    harness.back()
    assert deletes(harness) == 9 + 10
    harness.lose()
    harness.commit(dict.fromkeys(list(TWENTY)[10:]))
    harness.back()
    assert deletes(harness) == 9 + 10
    assert harness.state("p").state == "held"


def test_G10_explicit_deletes_are_never_held() -> None:
    harness = Harness(p=Recording())
    harness.commit(TWENTY)
    harness.commit(dict.fromkeys(TWENTY))
    assert deletes(harness) == 20
    harness.commit(TWENTY)
    harness.lose()
    harness.commit(dict.fromkeys(TWENTY))
    harness.back(resume=True)
    assert deletes(harness) == 40


def test_G10_an_explicit_delete_ends_the_hold_of_its_key() -> None:
    harness = Harness(p=Recording())
    harness.commit(TWENTY)
    harness.clear()
    harness.put("a/0", "again")
    assert harness.calls[-1].changes == [("UPDATE", "a/0", "again", "x")]
    harness.delete("a/0")
    assert harness.calls[-1].changes == [("DELETE", "a/0", None, "again")]
    assert harness.state("p").state == "held"


def test_G10_the_brake_releases_when_the_content_recovers() -> None:
    """It releases when so few keys are missing that it would not have held them, and not before."""
    harness = Harness(p=Recording())
    harness.commit({f"a/{number}": "x" for number in range(60)})
    harness.clear()
    for number in range(50):
        harness.put(f"a/{number}", "x")
        assert harness.state("p").state == "held"
    assert deletes(harness) == 0
    harness.put("a/50", "x")  # what is missing now is so little that it would not have been held
    assert deletes(harness) == 9
    assert harness.in_sync()


def test_G10_a_release_covers_what_was_shown_and_more_holds_again() -> None:
    harness = Harness(p=Recording())
    harness.commit({f"a/{number}": "x" for number in range(60)})
    harness.lose()
    harness.commit({f"a/{number}": None for number in range(40)})
    harness.back()
    assert harness.state("p").state == "held"
    harness.release("p")
    assert deletes(harness) == 40
    harness.clear()
    assert deletes(harness) == 40
    assert harness.state("p").state == "held"


def test_G10_what_a_braked_plugin_requires_is_held_with_it() -> None:
    low, high = Recording("a/"), Recording("b/", requires=["low"])
    harness = Harness(low=low, high=high)
    harness.commit({"a/1": "x", "a/2": "x", **{f"b/{number}": "x" for number in range(20)}})
    harness.clear()
    assert (deletes(harness, "low"), deletes(harness, "high")) == (0, 0)
    assert harness.state("low").state == "held"
    harness.release("high")
    assert [call.plugin for call in harness.calls[-2:]] == ["high", "low"]
    assert (deletes(harness, "low"), deletes(harness, "high")) == (2, 20)
    assert harness.in_sync()


def test_G10_releasing_a_plugin_releases_those_that_require_it() -> None:
    harness = Harness(low=Recording("a/"), high=Recording("b/", requires=["low"]))
    harness.commit({**TWENTY, **{f"b/{number}": "x" for number in range(20)}})
    harness.clear()
    harness.release("low")
    assert (deletes(harness, "low"), deletes(harness, "high")) == (20, 20)


def test_G10_after_a_restart_an_emptied_store_calls_nobody() -> None:
    plugin = Recording()
    harness = Harness(p=plugin, expected={"p": 20})
    assert harness.calls == []
    assert harness.state("p").state == "held"
    assert harness.state("p").reason.startswith("the store has 0 of 20 keys")
    harness.commit({f"a/{number}": "x" for number in range(9)})
    assert harness.calls == []
    harness.commit(TWENTY)
    assert [call.hook for call in harness.calls] == ["on_resync"]


def test_G10_after_a_restart_a_release_lets_the_first_resync_go() -> None:
    class Cleans(Recording):
        @hookimpl
        def on_resync(self, event: Event) -> None:
            installed = {key[2:]: "x" for key in TWENTY}
            self.gone = [change.name for change in event.changes(self.watch, actual=installed)]

    plugin = Cleans()
    harness = Harness(p=plugin, expected={"p": 20})
    harness.release("p")
    assert len(plugin.gone) == 20
    assert harness.in_sync()


def test_G10_after_a_restart_what_a_held_plugin_requires_is_held_too() -> None:
    """The required plugin is not called until the plugin that requires it is released."""
    harness = Harness(
        low=Recording("a/"),
        high=Recording("b/", requires=["low"]),
        other=Recording("c/"),
        expected={"low": 3, "high": 20},
    )
    assert [call.plugin for call in harness.calls] == ["other"]
    assert harness.state("low").reason == "waits with high, which requires it and is held"
    harness.release("high")
    assert [call.plugin for call in harness.calls[1:]] == ["low", "high"]


def test_G10_a_fault_does_not_evade_the_brake() -> None:
    plugin = Recording()
    harness = Harness(p=plugin)
    harness.commit(TWENTY)
    plugin.fail = [ValueError("down")] * 3
    harness.fault("p")
    harness.clear()
    harness.advance(100)
    assert deletes(harness) == 0
    assert harness.state("p").state == "held"


def test_G10_uncertain_keys_are_held_too() -> None:
    plugin = Recording()
    harness = Harness(p=plugin)
    plugin.fail = [ValueError("half way")]
    harness.commit(TWENTY)
    harness.clear()
    harness.advance(100)
    assert deletes(harness) == 0
    assert harness.state("p").state == "held"


def test_G10_a_held_plugin_is_still_told_of_the_rest() -> None:
    harness = Harness(p=Recording())
    harness.commit(TWENTY)
    harness.clear()
    harness.put("a/new", "y")
    assert harness.calls[-1].changes == [("CREATE", "a/new", "y", None)]
    harness.resync("p")
    assert harness.calls[-1].hook == "on_resync"
    assert len(harness.calls[-1].values) == 21
    assert deletes(harness) == 0


def test_G10_a_share_of_one_turns_the_brake_off() -> None:
    harness = Harness(p=Recording(), brake=(1.0, 10))
    harness.commit(TWENTY)
    harness.clear()
    assert deletes(harness) == 20


def test_G10_the_brake_of_one_plugin_holds_nobody_else() -> None:
    class Exact(Recording):
        def __init__(self) -> None:
            super().__init__()
            self.watch = Watch("a/0", str)
            self.watches = [self.watch]

    harness = Harness(many=Recording(), one=Exact())
    harness.commit(TWENTY)
    harness.clear()
    assert deletes(harness, "one") == 1
    assert deletes(harness, "many") == 0


def test_G10_a_release_before_the_first_resync_covers_what_was_shown() -> None:
    """It covers no more: keys that vanish after the release are held again."""
    low, high = Recording("c/"), Recording("a/", requires=["low"])
    low.fail = [ValueError("not yet")] * 1000
    harness = Harness(low=low, high=high, paused=True, expected={"high": 60})
    harness.commit({f"a/{number}": "x" for number in range(25)})
    assert harness.state("high").state == "held"
    harness.release("high")
    assert harness.state("high").state == "waiting"
    harness.clear()
    low.fail = []
    harness.advance(100)
    assert harness.calls_of("high") == []
    assert harness.state("high").state == "held"
