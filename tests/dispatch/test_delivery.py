"""What a plugin is told, and when: resync first, in order, whole, relative to what it applied."""

from __future__ import annotations

from typing import Any

from datasync_core import Context, Event, Watch, hookimpl
from datasync_core.testing import Harness
from tests.dispatch.recording import Recording


def told(harness: Harness) -> list[tuple[str, str, list[tuple[str, str]]]]:
    return [
        (call.plugin, call.hook, [(kind, key) for kind, key, _, _ in call.changes]) for call in harness.calls
    ]


def test_G4_the_first_event_is_a_resync_also_of_an_empty_store() -> None:
    harness = Harness(p=Recording())
    [call] = harness.calls
    assert (call.hook, call.reason, call.changes, call.values) == ("on_resync", "startup", [], {})


def test_G4_no_change_is_told_before_a_resync_succeeded() -> None:
    plugin = Recording()
    plugin.fail = [ValueError("not yet"), ValueError("not yet")]
    harness = Harness(p=plugin)
    harness.put("a/1", "x")
    assert [call.hook for call in harness.calls] == ["on_resync"]
    harness.advance(10)
    assert [call.hook for call in harness.calls] == ["on_resync"] * 3
    assert harness.calls[-1].changes == [("CREATE", "a/1", "x", None)]
    harness.put("a/2", "y")
    assert harness.calls[-1].hook == "on_change"


def test_G4_a_plugin_of_two_stores_waits_for_both() -> None:
    class Both:
        MAIN, AUX = Watch("a/", str), Watch("b/", str, store="aux")
        watches = [MAIN, AUX]

        @hookimpl
        def on_resync(self, event: Event) -> None:
            assert dict(event.values) == {("main", "a/1"): "x", ("aux", "b/1"): "y"}
            assert dict(event[self.AUX]) == {"1": "y"}

    harness = Harness(stores=("main", "aux"), both=Both(), paused=True)
    harness.lose(store="aux")
    harness.put("a/1", "x")
    assert harness.calls == []
    assert harness.state("both").reason == "store aux: not read yet"
    harness.put("b/1", "y", store="aux")
    harness.back(store="aux")
    assert [call.error for call in harness.calls] == [None]


def test_G5_creates_go_forward_and_deletes_go_back() -> None:
    harness = Harness(c=Recording("c/", requires=["b"]), a=Recording("a/"), b=Recording("b/", requires=["a"]))
    assert [call.plugin for call in harness.calls] == ["a", "b", "c"]
    harness.calls.clear()
    harness.commit({"c/1": "x", "a/1": "x", "b/1": "x"})
    harness.commit({"a/1": None, "b/1": None, "c/1": None})
    assert told(harness) == [
        ("a", "on_change", [("CREATE", "a/1")]),
        ("b", "on_change", [("CREATE", "b/1")]),
        ("c", "on_change", [("CREATE", "c/1")]),
        ("c", "on_change", [("DELETE", "c/1")]),
        ("b", "on_change", [("DELETE", "b/1")]),
        ("a", "on_change", [("DELETE", "a/1")]),
    ]


def test_G6_a_leaf_gets_a_transaction_in_one_call_deletes_first() -> None:
    harness = Harness(p=Recording())
    harness.commit({"a/1": "x", "a/2": "x"})
    harness.commit({"a/3": "y", "a/1": None, "a/2": "z"})
    assert harness.calls[-1].changes == [
        ("DELETE", "a/1", None, "x"),
        ("CREATE", "a/3", "y", None),
        ("UPDATE", "a/2", "z", "x"),
    ]


def test_G6_a_required_plugin_gets_two_calls() -> None:
    """Creates and updates come first, deletes second; a key stays in the mapping until its delete."""
    harness = Harness(low=Recording("a/"), high=Recording("b/", requires=["low"]))
    harness.commit({"a/1": "x", "a/2": "x"})
    harness.calls.clear()
    harness.commit({"a/1": None, "a/2": "y"})
    puts, deletes = harness.calls
    assert puts.changes == [("UPDATE", "a/2", "y", "x")]
    assert puts.values == {"a/1": "x", "a/2": "y"}
    assert deletes.changes == [("DELETE", "a/1", None, "x")]
    assert deletes.values == {"a/2": "y"}
    assert puts.round == deletes.round


def test_G6_whole_makes_it_one_call_in_the_forward_pass() -> None:
    harness = Harness(low=Recording("a/", whole=True), high=Recording("b/", requires=["low"]))
    harness.commit({"a/1": "x", "a/2": "x", "b/1": "x"})
    harness.calls.clear()
    harness.commit({"a/1": None, "a/2": "y", "b/1": "y"})
    assert told(harness) == [
        ("low", "on_change", [("DELETE", "a/1"), ("UPDATE", "a/2")]),
        ("high", "on_change", [("UPDATE", "b/1")]),
    ]


def test_G6_without_on_change_a_change_arrives_as_a_resync() -> None:
    class Renders:
        WATCH = Watch("a/", str)
        watches = [WATCH]

        @hookimpl
        def on_resync(self, event: Event) -> None: ...

    harness = Harness(p=Renders())
    harness.commit({"a/1": "x", "a/2": "x"})
    harness.delete("a/1")
    assert [(call.hook, call.reason) for call in harness.calls[1:]] == [("on_resync", "change")] * 2
    assert harness.calls[-1].changes == [("DELETE", "a/1", None, "x"), ("UPDATE", "a/2", "x", "x")]


def test_G7_previous_is_what_this_plugin_applied() -> None:
    slow, quick = Recording(), Recording()
    harness = Harness(slow=slow, quick=quick)
    harness.put("a/1", "one")
    slow.fail = [ValueError("busy")]
    harness.put("a/1", "two")
    harness.put("a/1", "three")
    harness.advance(5)
    by = {name: [call.changes for call in harness.calls if call.plugin == name] for name in ("slow", "quick")}
    assert by["quick"][-1] == [("UPDATE", "a/1", "three", "two")]
    assert by["slow"][-1] == [("UPDATE", "a/1", "three", "one")]


def test_G7_each_of_two_plugins_hears_of_a_delete() -> None:
    harness = Harness(one=Recording("a/"), two=Recording("a/b/"), three=Recording("a/b/c"))
    harness.put("a/b/c", "x")
    harness.calls.clear()
    harness.delete("a/b/c")
    assert sorted((call.plugin, call.changes) for call in harness.calls) == [
        (name, [("DELETE", "a/b/c", None, "x")]) for name in ("one", "three", "two")
    ]


def test_G7_the_longest_of_a_plugins_overlapping_watches_decides() -> None:
    class Nested:
        ALL, DEEP, KEY = Watch("a/", str), Watch("a/b/", str), Watch("a/b/key", bytes)
        watches: list[Watch[Any]] = [ALL, DEEP, KEY]

        def __init__(self) -> None:
            self.seen: list[dict[str, list[str]]] = []

        @hookimpl
        def on_resync(self, event: Event) -> None: ...

        @hookimpl
        def on_change(self, event: Event) -> None:
            self.seen.append(
                {watch.path: [change.name for change in event.changes(watch)] for watch in self.watches}
            )
            self.values = [dict(event[watch]) for watch in self.watches]

    plugin = Nested()
    harness = Harness(nested=plugin)
    harness.commit({"a/1": "x", "a/b/1": "y", "a/b/key": "z", "a/b/keys": "k"})
    assert plugin.seen == [{"a/": ["1"], "a/b/": ["1", "keys"], "a/b/key": ["key"]}]
    assert plugin.values == [{"1": "x"}, {"1": "y", "keys": "k"}, {"key": b"z"}]
    harness.put("a/b/key", "zz")
    assert harness.calls[-1].changes == [("UPDATE", "a/b/key", b"zz", b"z")]


def test_equal_bytes_at_a_new_revision_are_no_change() -> None:
    harness = Harness(p=Recording())
    harness.put("a/1", "x")
    count = len(harness.calls)
    harness.put("a/1", "x")
    assert len(harness.calls) == count
    assert harness.in_sync()


def test_a_value_that_returns_before_it_was_told_is_no_change() -> None:
    low = Recording("a/")
    harness = Harness(low=low, high=Recording("b/", requires=["low"]))
    harness.put("b/1", "x")
    low.fail = [ValueError("closes the gate")]
    harness.put("a/1", "x")
    harness.put("b/1", "y")
    harness.put("b/1", "x")
    harness.calls.clear()
    harness.advance(5)
    assert [call.plugin for call in harness.calls] == ["low"]
    assert harness.in_sync()


def test_G14_plugins_resynced_in_one_round_see_one_state() -> None:
    harness = Harness(one=Recording("a/"), two=Recording("a/"), three=Recording("", requires=["one"]))
    harness.commit({"a/1": "x", "b/1": "x"})
    harness.lose()
    harness.commit({"a/1": "y", "b/1": "y"})
    harness.calls.clear()
    harness.back()
    assert {call.plugin: call.reason for call in harness.calls} == dict.fromkeys(
        ("one", "two", "three"), "reconnect"
    )
    assert len({call.round for call in harness.calls}) == 1
    assert {call.values["a/1"] for call in harness.calls} == {"y"}


def test_G2_what_happened_while_away_is_told_after_a_resume_as_changes() -> None:
    harness = Harness(p=Recording())
    harness.commit({"a/1": "x", "a/2": "x"})
    harness.lose()
    harness.put("a/1", "y")
    harness.delete("a/2")
    harness.calls.clear()
    harness.back(resume=True)
    assert {call.hook for call in harness.calls} == {"on_change"}
    assert sorted(change for call in harness.calls for change in call.changes) == [
        ("DELETE", "a/2", None, "x"),
        ("UPDATE", "a/1", "y", "x"),
    ]


def test_G2_what_happened_while_away_is_told_after_a_snapshot_as_a_resync() -> None:
    harness = Harness(p=Recording())
    harness.commit({"a/1": "x", "a/2": "x", "a/3": "x"})
    harness.lose()
    harness.commit({"a/1": "y", "a/2": None})
    harness.back()
    assert harness.calls[-1].hook == "on_resync"
    assert harness.calls[-1].changes[0] == ("DELETE", "a/2", None, "x")
    assert sorted(harness.calls[-1].changes[1:]) == [("UPDATE", "a/1", "y", "x"), ("UPDATE", "a/3", "x", "x")]


def test_a_flush_is_told_as_deletes() -> None:
    harness = Harness(p=Recording())
    harness.commit({"a/1": "x", "b/1": "x"})
    harness.clear()
    assert harness.calls[-1].changes == [("DELETE", "a/1", None, "x")]


def test_two_stores_with_one_key_are_told_apart() -> None:
    class Both:
        MAIN, AUX = Watch("a/", str), Watch("a/", str, store="aux")
        watches = [MAIN, AUX]

        @hookimpl
        def on_resync(self, event: Event) -> None: ...

        @hookimpl
        def on_change(self, event: Event) -> None:
            self.main, self.aux = dict(event[self.MAIN]), dict(event[self.AUX])

    plugin = Both()
    harness = Harness(stores=("main", "aux"), both=plugin)
    harness.put("a/1", "x")
    harness.put("a/1", "y", store="aux")
    assert (plugin.main, plugin.aux) == ({"1": "x"}, {"1": "y"})
    assert harness.calls[-1].values == {("main", "a/1"): "x", ("aux", "a/1"): "y"}


def test_what_a_plugin_publishes_into_what_it_watches_comes_back_once() -> None:
    class Echo:
        WATCH = Watch("a/", str)
        watches = [WATCH]

        @hookimpl
        def on_start(self, context: Context) -> None:
            self.publisher = context.publisher()

        @hookimpl
        def on_resync(self, event: Event) -> None: ...

        @hookimpl
        def on_change(self, event: Event) -> None:
            for change in event.changes(self.WATCH):
                if change.name == "question":
                    self.publisher.put("a/answer", "42")

    harness = Harness(echo=Echo())
    harness.put("a/question", "?")
    assert [call.changes for call in harness.calls[1:]] == [
        [("CREATE", "a/question", "?", None)],
        [("CREATE", "a/answer", "42", None)],
    ]


def test_actual_may_be_the_live_mapping_that_applying_changes_alters() -> None:
    class Follows:
        WATCH = Watch("a/", str)
        watches = [WATCH]

        def __init__(self) -> None:
            self.system = {f"old{number}": "x" for number in range(50)} | {"k1": "stale"}

        @hookimpl
        def on_resync(self, event: Event) -> None:
            for change in event.changes(self.WATCH, actual=self.system):
                if change.deleted:
                    del self.system[change.name]
                else:
                    self.system[change.name] = change.value

    plugin = Follows()
    harness = Harness(paused=True, p=plugin)
    harness.lose()
    harness.commit({f"a/k{number}": "v" for number in range(30)})
    harness.back()
    assert plugin.system == {f"k{number}": "v" for number in range(30)}
