from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import attrs
import pytest

from datasync_core.model.changes import Change, Kind
from datasync_core.model.errors import EventExpired, Reject
from datasync_core.spec.event import Event
from datasync_core.spec.watch import Watch
from tests.spec.view import FakeView, event_of

ROUTES = Watch("routes/", int)
PROXY = Watch("cfg/proxy", str)
LINKS = Watch("links/", int, store="aux")


def make(
    watches: list[Watch[Any]] | None = None,
    data: dict[str, bytes] | None = None,
    aux: dict[str, bytes] | None = None,
) -> tuple[FakeView, Event]:
    held = {"routes/a": b"1", "routes/b": b"2", "cfg/proxy": b"on"} if data is None else data
    view = FakeView([ROUTES, PROXY] if watches is None else watches, {"main": held, "aux": aux or {}})
    return view, event_of(view)


def told(changes: Iterable[Change[Any]]) -> list[tuple[str, str, Any, Any]]:
    return [(change.kind.value, change.key, change.value, change.previous) for change in changes]


def test_an_event_says_whose_and_why_it_is() -> None:
    _, event = make()
    assert (event.plugin, event.reason, event.first, event.round) == ("p", "change", False, 7)


def test_changes_come_deletes_first() -> None:
    view, event = make()
    view.applied[ROUTES] = {"routes/gone": b"9", "routes/a": b"0"}
    assert told(event.changes(ROUTES)) == [
        ("DELETE", "routes/gone", None, 9),
        ("UPDATE", "routes/a", 1, 0),
        ("CREATE", "routes/b", 2, None),
    ]


def test_an_event_iterates_over_all_watches_deletes_first() -> None:
    view, event = make()
    view.applied = {ROUTES: {"routes/x": b"9", "routes/a": b"1"}, PROXY: {"cfg/proxy": b"off"}}
    assert told(event) == [
        ("DELETE", "routes/x", None, 9),
        ("UPDATE", "routes/a", 1, 1),
        ("CREATE", "routes/b", 2, None),
        ("UPDATE", "cfg/proxy", "on", "off"),
    ]


def test_a_delete_carries_the_stores_newest_revision_and_a_put_its_own() -> None:
    view, event = make()
    view.applied[ROUTES] = {"routes/gone": b"9"}
    assert [(change.key, change.revision) for change in event.changes(ROUTES)] == [
        ("routes/gone", 99),
        ("routes/a", 1),
        ("routes/b", 2),
    ]


def test_the_name_of_a_change_is_relative_to_its_watch() -> None:
    _, event = make()
    assert [change.name for change in event] == ["a", "b", "proxy"]


def test_an_undeclared_watch_is_refused_and_the_declared_are_named() -> None:
    _, event = make()
    other = Watch("routes/", int)
    uses: list[Callable[[], object]] = [
        lambda: event[other],
        lambda: event.changes(other),
        lambda: event.changes(other, actual={}),
    ]
    for use in uses:
        with pytest.raises(KeyError) as error:
            use()
        assert error.value.args[0] == (
            "Watch('routes/') is no watch of plugin p; it declares Watch('routes/'), Watch('cfg/proxy')"
        )


def test_the_key_that_was_last_handed_out_is_remembered() -> None:
    view, event = make()
    view.applied[ROUTES] = {"routes/gone": b"9"}
    assert event.handed is None
    seen: list[str | None] = []
    for change in event.changes(ROUTES):
        seen.append(event.handed)
        assert event.handed == change.key
    for _, _ in event[ROUTES].items():
        seen.append(event.handed)
    seen += [event.handed for _ in event.changes(ROUTES, actual={"stray": 1, "a": 1})]
    assert seen == [
        *("routes/gone", "routes/a", "routes/b"),
        *("routes/a", "routes/b"),
        *("routes/stray", "routes/b"),
    ]


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        ({}, [("CREATE", "routes/a", 1, None), ("CREATE", "routes/b", 2, None)]),
        ({"a": 1, "b": 2}, []),
        ({"a": 1, "b": 7}, [("UPDATE", "routes/b", 2, 7)]),
        ({"a": 1, "b": 2, "c": 3}, [("DELETE", "routes/c", None, 3)]),
        ({"a": None, "b": 2}, [("UPDATE", "routes/a", 1, None)]),
        (
            {"c": 3, "b": 7, "d": None},
            [
                ("DELETE", "routes/c", None, 3),
                ("DELETE", "routes/d", None, None),
                ("CREATE", "routes/a", 1, None),
                ("UPDATE", "routes/b", 2, 7),
            ],
        ),
    ],
)
def test_against_actual_only_what_differs_is_told(actual: dict[str, Any], expected: list[Any]) -> None:
    _, event = make()
    assert told(event.changes(ROUTES, actual=actual)) == expected


def test_against_actual_it_does_not_matter_what_was_applied() -> None:
    view, event = make()
    view.applied[ROUTES] = {"routes/a": b"1", "routes/gone": b"9"}
    assert told(event.changes(ROUTES, actual={"b": 2})) == [("CREATE", "routes/a", 1, None)]


def test_no_difference_touches_a_frozen_key() -> None:
    view, event = make()
    view.untouchable = {"routes/a", "routes/held"}
    assert told(event.changes(ROUTES, actual={"held": 4, "a": 7, "b": 2})) == []


def test_a_difference_of_one_key_leaves_other_names_alone() -> None:
    _, event = make()
    assert told(event.changes(PROXY, actual={"proxy": "off", "other": "x"})) == [
        ("UPDATE", "cfg/proxy", "on", "off")
    ]
    _, event = make(data={})
    assert told(event.changes(PROXY, actual={"proxy": "off", "other": "x"})) == [
        ("DELETE", "cfg/proxy", None, "off")
    ]


def test_a_difference_leaves_alone_what_a_longer_watch_decides() -> None:
    everything, special = Watch("cfg/", str), Watch("cfg/special/", str)
    _, event = make([everything, special], {"cfg/special/x": b"1"})
    assert told(event.changes(everything, actual={"special/x": "1", "y": "2"})) == [
        ("DELETE", "cfg/y", None, "2")
    ]


def test_with_a_change_set_aside_the_view_is_told_of_its_store() -> None:
    view, event = make([ROUTES, LINKS], {"routes/a": b"1"}, {"links/a": b"2"})
    for change in event:
        with change:
            raise Reject("no") if change.key == "links/a" else ValueError("bad")
    assert view.said == [
        ("retry", "main", "routes/a", "ValueError: bad", None),
        ("reject", "aux", "links/a", "no"),
    ]


def test_a_key_or_a_change_may_be_rejected_or_retried() -> None:
    view, event = make([ROUTES, LINKS], {"routes/a": b"1"}, {"links/a": b"2"})
    event.reject("routes/a", "no")
    event.retry("routes/a", "later", 3.0)
    for change in event:
        event.retry(change, "later")
    for key in event.values:
        event.reject(key, "never")
    assert view.said == [
        ("reject", None, "routes/a", "no"),
        ("retry", None, "routes/a", "later", 3.0),
        ("retry", "main", "routes/a", "later", None),
        ("retry", "aux", "links/a", "later", None),
        ("reject", "main", "routes/a", "never"),
        ("reject", "aux", "links/a", "never"),
    ]


def test_what_is_invalid_or_held_is_the_views() -> None:
    view, event = make()
    view.invalid["routes/x"] = "expected int"
    view.held["routes/y"] = "brake"
    assert event.invalid == {"routes/x": "expected int"}
    assert event.held == {"routes/y": "brake"}


USES: dict[str, Callable[[Event], object]] = {
    "event[WATCH]": lambda event: event[ROUTES],
    "changes": lambda event: event.changes(ROUTES),
    "changes(actual=)": lambda event: event.changes(ROUTES, actual={}),
    "iter": lambda event: next(iter(event)),
    "values": lambda event: event.values,
    "invalid": lambda event: event.invalid,
    "held": lambda event: event.held,
    "reject": lambda event: event.reject("routes/a", "no"),
    "retry": lambda event: event.retry("routes/a", "no"),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_an_event_is_over_when_its_hook_returns(use: Callable[[Event], object]) -> None:
    _, event = make()
    use(event)
    event.expire()
    with pytest.raises(EventExpired):
        use(event)


@pytest.mark.parametrize(
    "begin",
    [
        lambda event: iter(event),
        lambda event: event.changes(ROUTES),
        lambda event: event.changes(ROUTES, actual={"x": 1, "y": 2}),
        lambda event: event.changes(ROUTES, actual={}),
        lambda event: iter(event[ROUTES]),
        lambda event: iter(event[ROUTES].items()),
        lambda event: iter(event[ROUTES].values()),
        lambda event: iter(event.values),
        lambda event: iter(event.values.items()),
    ],
)
@pytest.mark.parametrize("taken", [0, 1])
def test_an_iterator_that_was_kept_is_over_too(
    begin: Callable[[Event], Iterator[object]], taken: int
) -> None:
    view, event = make()
    view.applied[ROUTES] = {"routes/gone": b"9", "routes/gone2": b"9"}
    kept = begin(event)
    for _ in range(taken):
        next(kept)
    event.expire()
    with pytest.raises(EventExpired):
        next(kept)


def test_a_put_iterator_that_was_kept_is_over_too() -> None:
    _, event = make()
    kept = event.changes(ROUTES)
    assert next(kept).kind is Kind.CREATE
    event.expire()
    with pytest.raises(EventExpired):
        next(kept)


def test_a_change_that_was_kept_has_its_values_but_no_say() -> None:
    _, event = make()
    change = next(event.changes(ROUTES))
    event.expire()
    assert (change.value, change.previous) == (1, None)
    with pytest.raises(EventExpired), change:
        raise ValueError("too late")
    with pytest.raises(EventExpired):
        event.retry(change, "too late")


def test_values_are_decoded_for_each_event_anew() -> None:
    @attrs.define
    class Box:
        items: list[int]

    watch = Watch("boxes/", Box)
    _, event = make([watch], {"boxes/a": b'{"items": [1]}'})
    event[watch]["a"].items.append(2)
    for change in event.changes(watch):
        assert change.value == Box([1])
    assert event[watch]["a"] == Box([1])
