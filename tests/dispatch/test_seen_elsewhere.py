"""What was lost, told wrong or told too late in systems that came before; each docstring says where."""

from __future__ import annotations

import pytest

from datasync_core import Context, Event, Host, Reject, hookimpl
from datasync_core.dispatch.attempts import Patience
from datasync_core.testing import Harness
from tests.dispatch.recording import Recording

PATIENCE = Patience(first=1.0, most=8.0, resync_after=3, hold=15.0)
SOON = 60.0


def test_G7_plugins_whose_paths_overlap_have_a_previous_of_their_own() -> None:
    """ligato/cn-infra datasync/syncbase: with one previous value for all, the second reader got the new one."""
    harness = Harness(wide=Recording("a/"), narrow=Recording("a/b/"), exact=Recording("a/b/c"))
    harness.put("a/b/c", "one")
    harness.calls.clear()
    harness.put("a/b/c", "two")
    assert sorted((call.plugin, call.changes) for call in harness.calls) == [
        (name, [("UPDATE", "a/b/c", "two", "one")]) for name in ("exact", "narrow", "wide")
    ]


@pytest.mark.parametrize("resume", [False, True])
def test_G7_previous_is_what_the_last_resync_told(resume: bool) -> None:
    """ligato/cn-infra datasync/syncbase: a resync left the previous values as they were."""
    harness = Harness(p=Recording())
    harness.put("a/1", "one")
    harness.lose()
    harness.put("a/1", "two")
    harness.back(resume=resume)
    harness.put("a/1", "three")
    assert harness.calls[-1].changes == [("UPDATE", "a/1", "three", "two")]


@pytest.mark.parametrize("error", [ValueError("no"), TimeoutError("no answer"), SystemExit(0)])
def test_a_resync_that_failed_is_made_again_until_it_succeeds(error: BaseException) -> None:
    """ligato/cn-infra datasync/resync: one that timed out counted as done, and none was ever planned again."""
    plugin = Recording()
    harness = Harness(patience=PATIENCE, p=plugin)
    harness.put("a/1", "x")
    harness.lose()
    harness.put("a/2", "y")
    plugin.fail = [error] * 5
    harness.back()
    assert harness.state("p").state == "retrying"
    harness.advance(60)
    assert [call.hook for call in harness.calls[-6:]] == ["on_resync"] * 6
    assert [call.error is None for call in harness.calls[-6:]] == [False] * 5 + [True]
    assert harness.calls[-1].values == {"a/1": "x", "a/2": "y"}
    assert harness.in_sync()


def test_G8_one_bad_value_spoils_no_first_resync() -> None:
    """contiv/vpp#1652: one key that could not be read failed the resync of all."""
    harness = Harness(p=Recording(type=int), paused=True)
    harness.commit({"a/1": "1", "a/2": "{", "a/3": "3"})
    assert harness.calls[-1].reason == "startup"
    assert harness.calls[-1].values == {"a/1": 1, "a/3": 3}
    assert harness.state("p").state == "in_sync"


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1), KeyboardInterrupt()])
def test_a_plugin_that_fails_to_stop_keeps_no_other_from_it(error: BaseException) -> None:
    """ligato/cn-infra agent: the first error ended the stop, and later plugins stayed open."""
    stopped = []

    class Stops(Recording):
        @hookimpl
        def on_stop(self) -> None:
            stopped.append(self)
            raise error

    low, high = Stops("a/"), Stops("b/", requires=["low"])
    host = Host("memory:", {"low": low, "high": high})
    with host:
        assert host.wait(SOON)
    assert stopped == [high, low]
    assert host.crashed() is None


def test_G5_creates_and_deletes_of_one_transaction_go_in_opposite_orders() -> None:
    """sysrepo/sysrepo#3711: create A then B, delete B then A could not be said."""
    harness = Harness(a=Recording("a/"), b=Recording("b/", requires=["a"]))
    harness.commit({"a/old": "x", "b/old": "x"})
    harness.calls.clear()
    harness.commit({"a/old": None, "b/old": None, "a/new": "x", "b/new": "x"})
    assert [
        (call.plugin, [(kind, key) for kind, key, *_ in map(tuple, call.changes)]) for call in harness.calls
    ] == [
        ("a", [("CREATE", "a/new")]),
        ("b", [("DELETE", "b/old"), ("CREATE", "b/new")]),
        ("a", [("DELETE", "a/old")]),
    ]
    assert len({call.round for call in harness.calls}) == 1


def test_live_changes_wait_for_no_replay() -> None:
    """kubernetes-sigs/controller-runtime#3067: what came after the start stood in line behind all that was there."""

    class Publishes(Recording):
        @hookimpl
        def on_start(self, context: Context) -> None:
            self.publisher = context.publisher()

        @hookimpl
        def on_resync(self, event: Event) -> None:
            for number in range(1000):  # while it applies the whole state, others write
                self.publisher.put(f"a/live{number % 10}", str(number))

    harness = Harness(p=Publishes(), paused=True)
    harness.commit({f"a/{number}": "x" for number in range(1000)})
    assert [(call.hook, len(call.changes)) for call in harness.calls_of("p")] == [
        ("on_resync", 1000),
        ("on_change", 10),
    ]
    assert harness.values("p")["a/live9"] == "999"


@pytest.mark.parametrize("resume", [False, True])
def test_G2_keys_that_expired_while_a_store_was_away_are_deleted(resume: bool) -> None:
    """ai-dynamo/dynamo#11144: the deletes of leases that ended during a disconnection were never told."""
    harness = Harness(p=Recording())
    harness.put("a/stays", "x")
    harness.put("a/leased", "x", ttl=5)
    harness.lose()
    harness.advance(10)
    harness.back(resume=resume)
    assert harness.calls[-1].changes[0] == ("DELETE", "a/leased", None, "x")
    assert harness.values("p") == {"a/stays": "x"}


@pytest.mark.parametrize("resume", [False, True])
def test_a_key_that_was_deleted_and_made_again_while_away_is_told(resume: bool) -> None:
    """apache/curator#911: made again at the version that it had, it looked like the old one."""
    harness = Harness(p=Recording())
    harness.commit({"a/1": "old", "a/2": "x"})
    harness.lose()
    harness.delete("a/1")
    harness.put("a/1", "new")
    harness.back(resume=resume)
    assert ("UPDATE", "a/1", "new", "old") in harness.calls[-1].changes


def test_a_rejected_key_keeps_its_last_good_value_through_every_resync() -> None:
    """api7/aisix#874: a rejected key served on, and vanished with the next resync."""

    class Compares(Recording):
        @hookimpl
        def on_resync(self, event: Event) -> None:
            installed = dict.fromkeys(["1", "stray"], "good")
            self.differs = [
                (change.kind, change.name) for change in event.changes(self.watch, actual=installed)
            ]
            self.named = dict(event.invalid)

    plugin = Compares()
    harness = Harness(patience=PATIENCE, p=plugin)
    harness.put("a/1", "good")
    plugin.fail_on = {"a/1": Reject("not like this")}
    harness.put("a/1", "bad")
    for _ in range(3):
        harness.lose()
        harness.back()
        assert harness.calls[-1].reason == "reconnect"
        assert harness.calls[-1].values == {"a/1": "good"}
        assert plugin.differs == [("DELETE", "stray")]
        assert "not like this" in plugin.named["a/1"]


@pytest.mark.slow
def test_G8_a_backlog_of_keys_to_retry_delays_no_new_one() -> None:
    """sonic-net/sonic-swss#3027: new items stood in line behind all that was tried again and again."""
    plugin = Recording()
    harness = Harness(patience=PATIENCE, p=plugin)
    plugin.fail_on = {f"a/{number}": ValueError("not yet") for number in range(50)}
    harness.commit(dict.fromkeys(plugin.fail_on, "x"))
    harness.advance(100)
    harness.put("a/new", "x")
    assert harness.calls[-1].changes == [("CREATE", "a/new", "x", None)]


def test_a_hook_may_ask_for_everything_that_others_may_ask_for() -> None:
    """kragniz/python-etcd3#88: a callback that asked the library for something waited for itself."""

    class Asks(Recording):
        @hookimpl
        def on_start(self, context: Context) -> None:
            self.context = context

        @hookimpl
        def on_change(self, event: Event) -> None:
            if any(change.key == "a/1" for change in event):
                self.context.publisher().put("a/2", "written in a hook")
                self.context.request_resync("wished for in a hook")

    with Host("memory:", {"p": (plugin := Asks())}) as host:
        assert host.wait(SOON)
        host.publisher().put("a/1", "x")
        assert host.wait(SOON)
        assert host.states()["p"].state == "in_sync"
        assert host.stop(SOON)
    assert plugin.context.name == "p"


def test_a_stray_that_cannot_be_removed_at_the_first_resync_is_tried_again() -> None:
    """What an earlier life left and nobody remembers is otherwise left for ever."""

    class Cleans(Recording):
        busy = True

        @hookimpl
        def on_resync(self, event: Event) -> None:
            for change in event.changes(self.watch, actual={"stray": "left"}):
                with change:
                    if self.busy:
                        raise ValueError("in use")

    plugin = Cleans()
    harness = Harness(patience=PATIENCE, p=plugin)
    plugin.busy = False
    harness.advance(2)
    assert harness.calls[-1].hook == "on_change"
    assert harness.calls[-1].changes == [("DELETE", "a/stray", None, None)]
    assert harness.in_sync()


def test_deletes_wait_for_those_above_that_are_behind_a_gate_of_their_own() -> None:
    """Who cannot be called yet still uses what it was told of."""
    low, other = Recording("a/"), Recording("c/")
    harness = Harness(
        patience=PATIENCE, low=low, other=other, high=Recording("b/", requires=["low", "other"])
    )
    harness.commit({"a/1": "x", "b/1": "x", "c/1": "x"})
    other.fail = [ValueError("closes the gate of high")]
    harness.put("c/1", "y")
    harness.calls.clear()
    harness.commit({"a/1": None, "b/1": None})
    assert harness.calls == []
    harness.advance(2)
    assert [call.plugin for call in harness.calls] == ["other", "high", "low"]
    assert harness.in_sync()
