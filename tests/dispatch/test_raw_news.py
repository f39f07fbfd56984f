"""Several plugins are told the same raw values in one round; none notices the others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from datasync_core import Change, Event, Reject, Watch, hookimpl
from datasync_core.dispatch.attempts import Patience
from datasync_core.model.entries import Put
from datasync_core.model.errors import EventExpired
from datasync_core.testing import Harness
from tests.dispatch.recording import Recording

TRY_SOON = Patience(first=1, most=1)
NEW = {"a/1": "x", "a/2": "y"}


class Raw(Recording):
    """Takes bytes, notes its changes, and whatever it is to do with each."""

    def __init__(self, path: str = "a/") -> None:
        super().__init__(path, type=bytes)
        self.told: list[Change[Any]] = []
        self.loop: Iterator[Change[Any]] = iter(())

    @hookimpl
    def on_change(self, event: Event) -> None:
        self.loop = iter(event)
        self.told = list(event)
        next(self.loop)
        super().on_change(event)


@pytest.fixture
def two() -> tuple[Harness, Raw, Raw]:
    """Two that watch the same, told of two keys at once."""
    first, second = Raw(), Raw()
    harness = Harness(patience=TRY_SOON, p=first, q=second)
    harness.commit(NEW)
    return harness, first, second


def test_G7_kind_value_previous_and_revision_are_those_of_any_change(two: tuple[Harness, Raw, Raw]) -> None:
    harness, first, _ = two
    harness.commit({"a/1": "z", "a/2": None, "a/3": ""})
    assert harness.calls[-1].changes == harness.calls[-2].changes
    assert harness.calls[-1].changes == [
        ("DELETE", "a/2", None, b"y"),
        ("UPDATE", "a/1", b"z", b"x"),
        ("CREATE", "a/3", b"", None),
    ]
    assert [change.name for change in first.told] == ["2", "1", "3"]
    assert len({change.revision for change in first.told}) == 1


def test_G8_none_alters_what_another_is_told() -> None:
    class Altering(Raw):
        @hookimpl
        def on_change(self, event: Event) -> None:
            for change in event:
                change.key = "mine"

    second = Raw()
    Harness(p=Altering(), q=second).commit(NEW)
    assert [(change.key, change.value) for change in second.told] == [("a/1", b"x"), ("a/2", b"y")]


def test_names_begin_where_each_watch_says() -> None:
    wide, narrow = Raw(""), Raw("a/b/")
    Harness(p=wide, q=narrow).commit({"a/b/1": "x", "a/b/2": "y"})
    assert [change.name for change in wide.told] == ["a/b/1", "a/b/2"]
    assert [change.name for change in narrow.told] == ["1", "2"]


@pytest.mark.parametrize(("error", "pending"), [(ValueError("no"), {"a/1"}), (Reject("no"), set())])
def test_G8_a_key_that_fails_for_one_is_applied_by_the_other(error: Exception, pending: set[str]) -> None:
    first, second = Raw(), Raw()
    harness = Harness(patience=TRY_SOON, p=first, q=second)
    second.fail_on = {"a/1": error}
    harness.commit(NEW)
    plugins = harness.inspect().plugins
    assert plugins["q"].pending == pending
    assert plugins["q"].blocked.keys() == {"a/1"} - pending
    assert plugins["p"].keeps_up
    first.fail_on, second.fail_on = second.fail_on, {}
    harness.commit({"a/1": "z", "a/2": "z"})
    assert harness.calls[-1].plugin == "q"
    assert [change.previous for change in second.told][-1] == b"y"
    assert {*plugins["p"].pending, *plugins["p"].blocked} == {"a/1"}


def test_a_key_may_be_left_for_later_by_its_change() -> None:
    class Later(Raw):
        @hookimpl
        def on_change(self, event: Event) -> None:
            for change in event:
                if change.key == "a/1":
                    event.retry(change, "not now", 3600)

    harness = Harness(p=Raw(), q=Later())
    harness.commit(NEW)
    assert harness.inspect().plugins["q"].stores["main"].waiting.keys() == {"a/1"}


def test_what_is_kept_beyond_the_hook_is_over(two: tuple[Harness, Raw, Raw]) -> None:
    harness, first, second = two
    kept = first.told[0], second.told[0]
    loops = first.loop, second.loop
    for loop in loops:
        with pytest.raises(EventExpired):
            next(loop)
    harness.commit({"a/1": "z", "a/2": "z"})
    for change in kept:
        assert change.value == b"x"  # what was told is not taken back
        with pytest.raises(EventExpired), change:
            raise ValueError("too late to set this key aside")


def test_G8_a_kept_change_sets_nothing_aside_while_another_plugin_is_told() -> None:
    first = Raw()

    class Second(Raw):
        @hookimpl
        def on_change(self, event: Event) -> None:
            super().on_change(event)
            with pytest.raises(EventExpired), first.told[0]:
                raise ValueError("of the first")

    harness = Harness(p=first, q=Second())
    harness.commit(NEW)
    assert harness.calls[-1].plugin == "q"
    assert harness.faults() == []
    assert harness.inspect().plugins["q"].keeps_up


def test_the_next_round_has_changes_of_its_own(two: tuple[Harness, Raw, Raw]) -> None:
    harness, first, second = two
    harness.commit({"a/1": "x2", "a/2": "y2"})
    harness.commit({"a/3": "new", "a/4": "new"})
    assert [change.key for change in first.told] == ["a/3", "a/4"]
    assert [change.key for change in second.told] == ["a/3", "a/4"]


@pytest.mark.parametrize(("at", "key"), [(0, "a/1"), (1, "a/2"), (2, "b/1"), (3, "b/2")])
def test_the_fault_names_the_key_that_was_handed_out_last(at: int, key: str) -> None:
    class Over:
        watches = [Watch("a/", bytes), Watch("b/", bytes)]

        @hookimpl
        def on_resync(self, event: Event) -> None:
            """Nothing is there yet."""

        @hookimpl
        def on_change(self, event: Event) -> None:
            for number, _ in enumerate(event):
                if number == at:
                    raise ValueError("no")

    harness = Harness(p=Raw(), q=Over())
    harness.commit({"a/1": "1", "a/2": "2", "b/1": "3", "b/2": "4"})
    assert f"failed at {key}: " in harness.faults()[-1]


def test_G1_one_change_of_a_store_hides_none_of_another_in_the_same_round() -> None:
    class Both(Raw):
        def __init__(self) -> None:
            super().__init__()
            self.watches = [self.watch, Watch("a/", bytes, store="aux")]

    both = Both()
    harness = Harness(stores=["main", "aux"], q=both)
    harness._link("main").publisher.put("a/1", b"x")  # noqa: SLF001  # written to behind the harness, for one round
    harness._link("aux").publisher.commit([Put("a/2", b"y"), Put("a/3", b"y")])  # noqa: SLF001  # written to behind the harness, for one round
    harness.settle()
    assert [change.key for change in both.told] == ["a/1", "a/2", "a/3"]
