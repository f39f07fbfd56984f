from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from datasync_core.model.errors import EventExpired
from datasync_core.spec.event import Event
from datasync_core.spec.watch import Watch
from tests.spec.view import FakeView, event_of

ROUTES = Watch("routes/", int)
PROXY = Watch("cfg/proxy", str)
ALL = Watch("", int)
LINKS = Watch("links/", int, store="aux")
DATA = {"routes/a": b"1", "routes/b/c": b"2", "cfg/proxy": b"on"}


def make(
    watches: list[Watch[Any]], data: Mapping[str, bytes] = DATA, **stores: Any
) -> tuple[FakeView, Event]:
    view = FakeView(watches, {"main": data, **stores})
    return view, event_of(view)


def test_the_state_of_a_watch_is_a_mapping_by_name() -> None:
    _, event = make([ROUTES, PROXY])
    state = event[ROUTES]
    assert dict(state) == {"a": 1, "b/c": 2}
    assert state == {"a": 1, "b/c": 2}
    assert (len(state), list(state), state["b/c"], state.get("x"), "a" in state) == (
        2,
        ["a", "b/c"],
        2,
        None,
        True,
    )
    assert list(state.items()) == [("a", 1), ("b/c", 2)]
    assert list(state.values()) == [1, 2]
    assert (("a", 1) in state.items(), 2 in state.values(), len(state.items())) == (True, True, 2)
    assert repr(state) == "<2 values of Watch('routes/')>"


def test_a_watch_of_one_key_has_one_name() -> None:
    _, event = make([ROUTES, PROXY])
    assert dict(event[PROXY]) == {"proxy": "on"}
    assert event[PROXY]["proxy"] == "on"


def test_what_a_watch_does_not_cover_is_not_in_its_state() -> None:
    view, event = make([PROXY])
    view.states[PROXY].entries = {
        **view.states[PROXY].entries,
        "cfg/other": view.states[PROXY].entries["cfg/proxy"],
    }
    assert "other" not in event[PROXY]
    with pytest.raises(KeyError, match="other"):
        event[PROXY]["other"]


@pytest.mark.parametrize("name", ["x", "", "routes/a"])
def test_a_name_that_is_not_there_is_a_key_error(name: str) -> None:
    _, event = make([ROUTES])
    assert name not in event[ROUTES]
    with pytest.raises(KeyError) as error:
        event[ROUTES][name]
    assert error.value.args == (name,)


def test_what_is_no_text_is_no_name() -> None:
    _, event = make([ROUTES])
    name: object = 3
    assert name not in event[ROUTES]


def test_items_and_values_take_one_pass_without_looking_up() -> None:
    view, event = make([ROUTES])
    assert list(event[ROUTES].items())
    assert list(event[ROUTES].values())
    assert view.states[ROUTES].lookups == 0


def test_the_state_of_all_watches_is_a_mapping_by_key() -> None:
    _, event = make([ROUTES, PROXY])
    assert event.values == {"routes/a": 1, "routes/b/c": 2, "cfg/proxy": "on"}
    assert (len(event.values), event.values["cfg/proxy"], event.values.get("a")) == (3, "on", None)


def test_of_several_stores_it_is_a_mapping_by_store_and_key() -> None:
    _, event = make([ROUTES, LINKS], aux={"links/a": b"3", "routes/a": b"4"})
    assert event.values == {("main", "routes/a"): 1, ("main", "routes/b/c"): 2, ("aux", "links/a"): 3}
    assert len(event.values) == 3
    assert event.values["aux", "links/a"] == 3


@pytest.mark.parametrize(
    "key",
    [
        "routes/a",
        ("aux", "routes/a"),
        ("main", "links/a"),
        ("main",),
        ("main", "routes/a", 1),
        3,
        ("main", 3),
    ],
)
def test_what_is_no_key_of_several_stores_is_a_key_error(key: Any) -> None:
    _, event = make([ROUTES, LINKS], aux={"links/a": b"3"})
    with pytest.raises(KeyError):
        event.values[key]


@pytest.mark.parametrize("key", ["routes/x", "other", ("main", "routes/a"), 3])
def test_what_is_no_key_is_a_key_error(key: Any) -> None:
    _, event = make([ROUTES])
    assert key not in event.values
    with pytest.raises(KeyError):
        event.values[key]


def test_the_longest_path_decides_where_watches_overlap() -> None:
    watch = Watch("routes/", str)
    _, event = make([ALL, watch], {"routes/a": b"1", "x": b"2"})
    assert event.values == {"routes/a": "1", "x": 2}


USES: dict[str, Callable[[Mapping[Any, Any]], object]] = {
    "getitem": lambda values: values["a"],
    "get": lambda values: values.get("a"),
    "contains": lambda values: "a" in values,
    "iter": lambda values: list(values),
    "len": lambda values: len(values),
    "bool": lambda values: bool(values),
    "keys": lambda values: list(values.keys()),
    "items": lambda values: list(values.items()),
    "values": lambda values: list(values.values()),
    "equality": lambda values: values == {},
    "repr of a watch's": lambda values: len(values.items()),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("path", ["a", "everything"])
def test_a_mapping_that_was_kept_is_over_when_the_hook_returns(
    use: Callable[[Mapping[Any, Any]], object], path: str
) -> None:
    _, event = make([ALL], {"a": b"1"})
    values = event[ALL] if path == "a" else event.values
    use(values)
    event.expire()
    with pytest.raises(EventExpired):
        use(values)
