"""A plugin that keeps up is told straight from the copy, and nothing of the rules is lost by it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest

from datasync_core import Change, Context, Event, Reject, Watch, hookimpl
from datasync_core.dispatch.attempts import Patience
from datasync_core.model.errors import EventExpired
from datasync_core.testing import Harness
from tests.dispatch.recording import Recording

TRY_SOON = Patience(first=1, most=1)


def behind(harness: Harness, plugin: str) -> set[str]:
    """The keys that a plugin's ledger remembers."""
    return set(harness.inspect().plugins[plugin].pending)


def test_a_plugin_that_keeps_up_leaves_nothing_in_its_ledger() -> None:
    seen: list[set[str]] = []

    class Looking(Recording):
        @hookimpl
        def on_change(self, event: Event) -> None:
            seen.append(behind(harness, "p"))

    harness = Harness(p=Looking("a/"))
    harness.put("a/1", "x")
    harness.commit({"a/1": "y", "a/2": "z"})
    harness.delete("a/2")
    assert seen == [set(), set(), set()]
    assert harness.inspect().plugins["p"].keeps_up
    assert harness.calls[-1].changes == [("DELETE", "a/2", None, "z")]


def test_G7_what_a_failed_call_was_told_is_pending_and_told_again() -> None:
    plugin = Recording("a/")
    harness = Harness(patience=TRY_SOON, p=plugin)
    harness.put("a/1", "x")
    plugin.fail = [ValueError("no")]
    harness.commit({"a/1": "y", "a/2": "z"})
    assert behind(harness, "p") == {"a/1", "a/2"}
    assert not harness.inspect().plugins["p"].keeps_up
    harness.put("a/1", "x")  # back to what was applied: uncertain all the same
    harness.advance(2)
    assert harness.calls[-1].changes == [("UPDATE", "a/1", "x", "x"), ("CREATE", "a/2", "z", None)]
    assert harness.inspect().plugins["p"].keeps_up


def test_a_reject_out_of_a_call_waits_for_a_change() -> None:
    plugin = Recording("a/")
    harness = Harness(patience=TRY_SOON, p=plugin)
    plugin.fail = [Reject("never")]
    harness.put("a/1", "x")
    calls = len(harness.calls)
    harness.advance(10)
    assert len(harness.calls) == calls
    harness.put("a/2", "x")
    assert [change.key for change in harness.calls[-1].changes] == ["a/1", "a/2"]


def test_a_key_that_failed_alone_is_set_aside_and_the_rest_is_applied() -> None:
    plugin = Recording("a/")
    harness = Harness(patience=TRY_SOON, p=plugin)
    harness.put("a/1", "x")
    plugin.fail_on = {"a/1": ValueError("no")}
    harness.commit({"a/1": "y", "a/2": "z"})
    assert behind(harness, "p") == {"a/1"}
    plugin.fail_on = {}
    harness.advance(2)
    assert harness.calls[-1].changes == [("UPDATE", "a/1", "y", "x")]


def test_an_invalid_value_among_others_is_alone_in_not_being_told() -> None:
    harness = Harness(p=Recording("a/", type=int))
    harness.put("a/1", "1")
    harness.commit({"a/1": "no number", "a/2": "2"})
    assert harness.calls[-1].changes == [("CREATE", "a/2", 2, None)]
    assert harness.calls[-1].values == {"a/1": 1, "a/2": 2}


class Asking(Recording):
    """Notes what is invalid, by call."""

    def __init__(self, path: str = "a/", **options: Any) -> None:
        super().__init__(path, **options)
        self.invalid: list[dict[Any, str]] = []

    @hookimpl
    def on_change(self, event: Event) -> None:
        self.invalid.append(dict(event.invalid))
        super().on_change(event)


@pytest.fixture
def frosty() -> tuple[Harness, Asking]:
    """A plugin that keeps up, with one key that is invalid and one that it rejected."""
    plugin = Asking(type=int)
    harness = Harness(patience=TRY_SOON, p=plugin)
    harness.commit({"a/bad": "1", "a/no": "2", "a/ok": "3"})
    plugin.fail_on = {"a/no": Reject("never")}
    harness.commit({"a/bad": "x", "a/no": "20", "a/ok": "4"})
    assert harness.inspect().plugins["p"].keeps_up
    return harness, plugin


def test_G8_a_plugin_keeps_up_beside_keys_that_are_invalid_or_rejected(
    frosty: tuple[Harness, Asking],
) -> None:
    harness, plugin = frosty
    harness.put("a/ok", "5")
    assert harness.calls[-1].changes == [("UPDATE", "a/ok", 5, 4)]
    harness.commit({"a/ok": "6", "a/new": "1"})
    assert harness.calls[-1].changes == [("UPDATE", "a/ok", 6, 5), ("CREATE", "a/new", 1, None)]
    harness.delete("a/new")
    assert harness.calls[-1].values == {"a/bad": 1, "a/no": 2, "a/ok": 6}
    assert [set(found) for found in plugin.invalid[-3:]] == [{"a/bad", "a/no"}] * 3
    assert plugin.invalid[-1]["a/no"] == "never"
    assert harness.inspect().plugins["p"].keeps_up


def test_G8_a_diff_in_a_change_leaves_frozen_keys_as_they_are() -> None:
    found: list[list[tuple[str, str]]] = []

    class Comparing(Recording):
        @hookimpl
        def on_change(self, event: Event) -> None:
            changes = event.changes(self.watch, actual={"bad": 9, "no": 9, "ok": 9, "other": 9})
            found.append([(change.kind.name, change.key) for change in changes])
            super().on_change(event)

    plugin = Comparing("a/", type=int)
    harness = Harness(patience=TRY_SOON, p=plugin)
    harness.put("a/no", "1")
    plugin.fail_on = {"a/no": Reject("never")}
    harness.commit({"a/bad": "x", "a/no": "2", "a/ok": "3"})
    assert harness.inspect().plugins["p"].keeps_up
    harness.put("a/ok", "4")
    assert found[-1] == [("DELETE", "a/other"), ("UPDATE", "a/ok")]


@pytest.mark.parametrize(
    ("writes", "told", "frozen"),
    [
        ({"a/bad": "7"}, [("UPDATE", "a/bad", 7, 1)], {"a/no"}),
        ({"a/ok": "5", "a/bad": "7"}, [("UPDATE", "a/ok", 5, 4), ("UPDATE", "a/bad", 7, 1)], {"a/no"}),
        ({"a/bad": None, "a/ok": "5"}, [("DELETE", "a/bad", None, 1), ("UPDATE", "a/ok", 5, 4)], {"a/no"}),
        ({"a/no": "20"}, [("UPDATE", "a/no", 20, 2)], {"a/bad"}),  # the same bytes, written anew
        ({"a/no": "20", "a/ok": "5"}, [("UPDATE", "a/ok", 5, 4), ("UPDATE", "a/no", 20, 2)], {"a/bad"}),
        ({"a/bad": "y"}, None, {"a/bad", "a/no"}),
    ],
)
def test_G8_what_is_frozen_is_told_again_when_it_changes(
    frosty: tuple[Harness, Asking], writes: dict[str, str | None], told: list[Any] | None, frozen: set[str]
) -> None:
    harness, plugin = frosty
    plugin.fail_on = {}
    calls = len(harness.calls)
    harness.commit(writes)
    if told is None:
        assert len(harness.calls) == calls
    else:
        assert len(harness.calls) == calls + 1
        assert sorted(harness.calls[-1].changes, key=repr) == sorted(told, key=repr)
    assert harness.inspect().plugins["p"].blocked.keys() == frozen
    assert harness.inspect().plugins["p"].keeps_up


def test_the_fault_names_the_key_that_was_handed_out_last() -> None:
    class Fails(Recording):
        @hookimpl
        def on_change(self, event: Event) -> None:
            for number, _ in enumerate(event):
                if number == 1:
                    raise ValueError("no")

    harness = Harness(p=Fails("a/"))
    harness.commit({"a/1": "x", "a/2": "x", "a/3": "x"})
    assert "failed at a/2: " in harness.faults()[-1]


class Over:
    """Goes over the changes of two watches at once; raises at the change of that number, if any."""

    def __init__(self, at: int | None = None) -> None:
        self.watches = [Watch("a/", int), Watch("b/", int)]
        self.at = at

    @hookimpl
    def on_resync(self, event: Event) -> None:
        """Nothing is there yet."""

    @hookimpl
    def on_change(self, event: Event) -> None:
        for number, _ in enumerate(event):
            if number == self.at:
                raise ValueError("no")


@pytest.mark.parametrize(("at", "key"), [(0, "a/1"), (1, "a/2"), (2, "b/1"), (3, "b/2")])
def test_the_fault_names_the_key_in_a_loop_over_several_watches(at: int, key: str) -> None:
    harness = Harness(p=Over(at))
    harness.commit({"a/1": "1", "a/2": "2", "b/1": "3", "b/2": "4"})
    assert f"failed at {key}: " in harness.faults()[-1]


def test_values_that_another_plugin_had_decoded_stand_by_their_keys() -> None:
    harness = Harness(p=Recording("a/", type=int), q=Over())
    harness.commit({"a/1": "1", "a/2": "2", "b/1": "3", "b/2": "4"})  # who asks first has what was decoded
    assert harness.calls[-1].plugin == "q"
    assert harness.calls[-1].changes == [
        ("CREATE", "a/1", 1, None),
        ("CREATE", "a/2", 2, None),
        ("CREATE", "b/1", 3, None),
        ("CREATE", "b/2", 4, None),
    ]


class Keeping:
    """Keeps an iterator and a change beyond its hook."""

    def __init__(self) -> None:
        self.watches = [Watch("a/", str), Watch("b/", str)]
        self.kept: Iterator[Change[Any]] = iter(())
        self.change: Change[str] | None = None

    @hookimpl
    def on_resync(self, event: Event) -> None:
        self.on_change(event)

    @hookimpl
    def on_change(self, event: Event) -> None:
        self.kept = iter(event)
        self.change = next(self.kept, None)


@pytest.mark.parametrize(
    "keys",
    [["a/1"], ["a/1", "a/2", "a/3"], ["a/1", "b/1", "b/2"]],
    ids=["one key", "one watch", "two watches"],
)
def test_an_iterator_kept_beyond_the_hook_says_that_its_event_is_over(keys: list[str]) -> None:
    plugin = Keeping()
    harness = Harness(p=plugin)
    harness.commit(dict.fromkeys(keys, "x"))
    assert plugin.change is not None
    with pytest.raises(EventExpired):
        next(plugin.kept)
    with pytest.raises(EventExpired), plugin.change:
        raise ValueError("too late to set this key aside")


def test_a_gate_that_closes_within_the_round_holds_the_dependent() -> None:
    """The dependent is told only after the plugin that it requires succeeded."""
    low = Recording("low/")
    harness = Harness(patience=TRY_SOON, low=low, high=Recording("high/", requires=["low"]))
    harness.commit({"low/1": "x", "high/1": "x"})
    low.fail = [ValueError("no")]
    harness.commit({"low/1": "y", "high/1": "y"})
    assert harness.calls[-1].plugin == "low"
    assert behind(harness, "high") == {"high/1"}
    harness.advance(2)
    assert [call.plugin for call in harness.calls[-2:]] == ["low", "high"]


def test_deletes_of_a_required_plugin_still_go_back() -> None:
    harness = Harness(low=Recording("low/"), high=Recording("high/", requires=["low"]))
    harness.commit({"low/1": "x", "high/1": "x"})
    del harness.calls[:]
    harness.commit({"low/1": None, "low/2": "x", "high/1": None})
    told = [(call.plugin, [change.key for change in call.changes]) for call in harness.calls]
    assert told == [("low", ["low/2"]), ("high", ["high/1"]), ("low", ["low/1"])]


def test_the_same_bytes_again_end_a_rejection_and_are_told_to_nobody_else() -> None:
    class Rejecting(Recording):
        @hookimpl
        def on_change(self, event: Event) -> None:
            for change in event.changes(self.watch):
                event.reject(change, "no")

    harness = Harness(p=Rejecting("a/"), q=Recording("a/"))
    harness.put("a/1", "x")
    del harness.calls[:]
    harness.put("a/1", "x")
    assert [(call.plugin, call.changes) for call in harness.calls] == [("p", [("CREATE", "a/1", "x", None)])]


def test_a_loop_that_was_not_begun_is_over_with_its_event_too() -> None:
    class Lazy(Recording):
        kept: list[Iterator[Change[Any]]] = []

        @hookimpl
        def on_resync(self, event: Event) -> None:
            self.kept += [event.changes(self.watch), iter(event)]

        @hookimpl
        def on_change(self, event: Event) -> None:
            self.kept += [event.changes(self.watch), iter(event)]

    plugin = Lazy("a/")
    harness = Harness(p=plugin)
    harness.put("a/1", "x")
    harness.commit({f"a/{number}": "y" for number in range(20)})
    harness.resync("p")
    assert len(plugin.kept) == 8
    for kept in plugin.kept:
        with pytest.raises(EventExpired):
            next(kept)


@pytest.mark.parametrize("names", [["a/1"], ["b/1"], ["a/1", "b/1"], ["a/1", "a/2"], ["b/1", "b/2"]])
def test_a_watch_is_told_its_own_changes_however_few_there_are(names: list[str]) -> None:
    class Both(Recording):
        b = Watch("b/", str)
        heard: list[list[str]] = []

        @hookimpl
        def on_change(self, event: Event) -> None:
            self.heard += [[change.key for change in loop] for loop in (event.changes(self.b), event, event)]

    plugin = Both("a/")
    plugin.watches = [plugin.watch, plugin.b]
    harness = Harness(p=plugin)
    harness.commit(dict.fromkeys(["a/1", "a/2", "b/1", "b/2"], "x"))
    plugin.heard.clear()
    harness.commit(dict.fromkeys(names, "y"))
    assert plugin.heard == [[name for name in names if name.startswith("b/")], names, names]


def test_one_change_in_each_of_two_stores_is_told_in_one_call() -> None:
    class Both(Recording):
        other = Watch("a/", str, store="other")
        heard: list[list[str]] = []

        @hookimpl
        def on_start(self, context: Context) -> None:
            self.publishers = [context.publisher("main"), context.publisher("other")]

        @hookimpl
        def on_change(self, event: Event) -> None:
            self.heard.append([change.key for change in event])
            if not event[self.other]:
                for number, publisher in enumerate(self.publishers):
                    publisher.put(f"a/{number}", b'"x"')

    plugin = Both("a/")
    plugin.watches = [plugin.watch, plugin.other]
    harness = Harness(stores=["main", "other"], p=plugin)
    harness.put("a/go", "x")
    assert plugin.heard == [["a/go"], ["a/0", "a/1"]]


def test_a_value_that_a_plugin_alters_is_altered_for_nobody_else() -> None:
    class Altering(Recording):
        @hookimpl
        def on_change(self, event: Event) -> None:
            for _ in range(2):
                for change in event:
                    assert not change.deleted
                    seen.append(dict(change.value))
                    change.value["n"] = 0
            seen.append(dict(event[self.watch]["1"]))

    seen: list[dict[str, int]] = []
    harness = Harness(p=Altering("a/", type=dict[str, int]), q=Altering("a/", type=dict[str, int]))
    harness.put("a/1", {"n": 1})
    assert seen == [{"n": 1}] * 6
    del seen[:]
    harness.commit({"a/1": {"n": 2}, "a/2": {"n": 3}})
    assert seen == [{"n": 2}, {"n": 3}, {"n": 2}, {"n": 3}, {"n": 2}] * 2


def _blamed(body: Any) -> str | None:
    class Fails:
        a, b = Watch("a/", str), Watch("b/", str)
        watches = [a, b]

        @hookimpl
        def on_resync(self, event: Event) -> None:
            pass

        @hookimpl
        def on_change(self, event: Event) -> None:
            if not event[self.a]:
                return
            body(event, self.a, self.b)
            raise ValueError("no")

    harness = Harness(p=Fails())
    harness.put("b/x", "y")
    harness.commit({f"a/{number:02}": "x" for number in range(20)})
    text = harness.faults()[-1]
    return text.partition(" at ")[2].partition(":")[0] or None


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (lambda event, a, b: None, None),
        (lambda event, a, b: [list(event.changes(a)), list(event.changes(b))], "a/19"),
        (lambda event, a, b: [next(event.changes(a)), list(event.changes(a))], "a/19"),
        (lambda event, a, b: [next(event.changes(a)), list(event[b].items())], "b/x"),
        (lambda event, a, b: [list(event[b].items()), next(event.changes(a))], "a/00"),
        (lambda event, a, b: [next(event.changes(a)) for _ in range(10)], "a/00"),
        (lambda event, a, b: [list(event.changes(a)) for _ in islice(event, 2)], "a/19"),
    ],
    ids=["nothing", "an empty loop after", "abandoned", "then values", "values before", "many", "nested"],
)
def test_the_suspect_is_the_key_that_was_handed_out_last(body: Any, key: str | None) -> None:
    assert _blamed(body) == key


def test_one_failure_is_enough_for_a_resync_where_that_is_asked_for() -> None:
    plugin = Recording("a/")
    harness = Harness(patience=Patience(first=1, most=1, resync_after=1), p=plugin)
    plugin.fail = [ValueError("no")]
    harness.put("a/1", "x")
    harness.advance(3)
    assert [call.hook for call in harness.calls[-2:]] == ["on_change", "on_resync"]
