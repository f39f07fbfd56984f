"""When all is settled (G11: what `Host.wait` waits for): nothing is due or pending that would go on by itself."""

from __future__ import annotations

from datasync_core import Context, Event, Reject, hookimpl
from datasync_core.testing import Harness
from tests.dispatch.recording import Recording

TWENTY = {f"a/{number}": "x" for number in range(20)}


def is_settled(harness: Harness) -> bool:
    return harness.inspect().settled


def test_G11_a_failed_first_resync_that_is_held_is_not_waited_for() -> None:
    """The brake holds the plugin after its first resync failed; after a release it is waited for again."""
    plugin = Recording()
    harness = Harness(p=plugin, expected={"p": 20})
    plugin.fail = [ValueError("down")] * 2
    harness.commit(TWENTY)
    assert not is_settled(harness), "it is tried again"
    harness.clear()
    harness.advance(100)
    assert harness.state("p").state == "held"
    assert is_settled(harness)
    harness.release("p")
    assert not is_settled(harness), "it failed again, and is tried again"
    harness.advance(100)
    assert is_settled(harness)
    assert harness.in_sync()


def test_G11_a_failed_plugin_behind_a_rejected_one_is_not_waited_for() -> None:
    """The plugin cannot be tried again while the plugin that it requires waits for a change."""
    low, high = Recording("a/"), Recording("b/", requires=["low"])
    harness = Harness(low=low, high=high)
    high.fail = [ValueError("down")]
    harness.put("b/1", "x")
    assert not is_settled(harness)
    low.fail = [Reject("never")]
    harness.put("a/1", "x")
    harness.advance(100)
    assert [harness.state(name).state for name in ("low", "high")] == ["retrying", "retrying"]
    assert len(harness.calls_of("high")) == 2, "a resync at first, and what failed"
    assert is_settled(harness)


def test_G11_a_failed_on_start_is_waited_for_until_it_succeeds() -> None:
    """After it succeeds, the brake holds the first resync, which is not waited for."""

    class Starts(Recording):
        @hookimpl
        def on_start(self, context: Context) -> None:
            if self.fail and (error := self.fail.pop()):
                raise error

    plugin = Starts()
    plugin.fail = [ValueError("not yet")]
    harness = Harness(p=plugin, expected={"p": 20})
    assert not is_settled(harness)
    harness.advance(100)
    assert harness.state("p").state == "held"
    assert is_settled(harness)


def test_G11_what_a_plugin_set_aside_is_waited_for_while_it_is_tried_again() -> None:
    plugin = Recording()
    harness = Harness(p=plugin)
    plugin.fail_on["a/1"] = ValueError("in use")
    harness.commit({"a/1": "x", "a/2": "x"})
    harness.advance(100)
    assert not is_settled(harness)
    plugin.fail_on.clear()
    harness.advance(100)
    assert is_settled(harness)


def test_G11_what_a_rejected_plugin_set_aside_before_is_waited_for() -> None:
    """The last call was rejected as a whole; what stirs the plugin since lets go on what it had set aside."""
    plugin = Recording()
    harness = Harness(p=plugin)
    plugin.fail_on["a/1"] = ValueError("in use")
    harness.put("a/1", "x")
    plugin.fail = [Reject("not now")]
    harness.put("a/2", "x")
    harness.put("a/2", b"\xff\xfe")
    calls = len(harness.calls)
    assert not is_settled(harness)
    plugin.fail_on.clear()
    harness.advance(100)
    told = [(change.kind, change.key) for call in harness.calls[calls:] for change in call.changes]
    assert told == [("CREATE", "a/1")]
    assert is_settled(harness)


def test_G11_deferred_deletes_of_a_rejected_plugin_are_waited_for() -> None:
    """The deletes wait for the plugins that require it."""
    low, high = Recording("a/"), Recording("b/", requires=["low"])
    harness = Harness(low=low, high=high)
    harness.commit({"a/1": "x", "a/2": "x", "b/1": "x"})
    low.fail = [Reject("not now")]
    harness.delete("a/1")
    harness.put("b/1", "y")
    assert is_settled(harness)
    harness.delete("a/2")
    calls = len(harness.calls)
    assert not is_settled(harness)
    harness.advance(100)
    assert [call.plugin for call in harness.calls[calls:]] == ["low", "high"]
    assert is_settled(harness)


def test_G11_a_plugin_held_at_its_start_is_not_waited_for() -> None:
    """Its pending changes do not make a wait last longer."""
    plugin = Recording()
    harness = Harness(p=plugin, expected={"p": 20})
    plugin.fail = [ValueError("down")]
    harness.commit(TWENTY)
    harness.clear()
    harness.put("a/new", "x")
    harness.advance(100)
    assert harness.state("p").state == "held"
    assert is_settled(harness)


def test_G11_a_round_that_a_stop_cut_short_settles_nothing() -> None:
    """It left out a plugin whose next attempt was due."""

    class Stops(Recording):
        @hookimpl
        def on_change(self, event: Event) -> None:
            harness._dispatcher.ask_stop()  # noqa: SLF001  # asked inside a round

    low, high = Stops("a/"), Recording("b/")
    harness = Harness(low=low, zhigh=high)
    high.fail = [ValueError("down")]
    harness.put("b/1", "x")
    harness.runtime.run(100.0)
    harness.put("a/1", "x")
    assert not is_settled(harness)
