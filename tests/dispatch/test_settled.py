"""When all is settled (G11: what `Host.wait` waits for): nothing is due or pending that would go on by itself."""

from __future__ import annotations

from datasync_core import Context, Reject, hookimpl
from datasync_core.testing import Harness
from tests.dispatch.recording import Recording

TWENTY = {f"a/{number}": "x" for number in range(20)}


def is_settled(harness: Harness) -> bool:
    harness.settle()
    return harness._dispatcher.is_settled()


def test_G11_a_first_resync_that_failed_and_is_held_by_the_brake_now_is_not_waited_for():
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


def test_G11_a_plugin_that_failed_is_not_waited_for_while_what_it_requires_has_given_up():
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


def test_G11_an_on_start_that_failed_is_waited_for_though_the_brake_holds_what_comes_then():
    class Starts(Recording):
        @hookimpl
        def on_start(self, context: Context) -> None:
            if self.fail:
                raise self.fail.pop()

    plugin = Starts()
    plugin.fail = [ValueError("not yet")]
    harness = Harness(p=plugin, expected={"p": 20})
    assert not is_settled(harness)
    harness.advance(100)
    assert harness.state("p").state == "held"
    assert is_settled(harness)


def test_G11_what_a_plugin_set_aside_is_waited_for_while_it_is_tried_again():
    plugin = Recording()
    harness = Harness(p=plugin)
    plugin.fail_on["a/1"] = ValueError("in use")
    harness.commit({"a/1": "x", "a/2": "x"})
    harness.advance(100)
    assert not is_settled(harness)
    plugin.fail_on.clear()
    harness.advance(100)
    assert is_settled(harness)
