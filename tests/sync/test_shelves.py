from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasync_core.model.entries import Entry
from datasync_core.model.keys import covers
from datasync_core.sync import shelves
from datasync_core.sync.shelves import Shelves

PATH = st.text("ab/", max_size=6)


def longest(paths: list[str], key: str) -> str | None:
    return max((path for path in paths if covers(path, key)), key=len, default=None)


@pytest.mark.slow
@given(st.lists(PATH, max_size=8), st.lists(PATH, min_size=1, max_size=20))
def test_a_key_lies_on_the_shelf_of_the_longest_path_that_covers_it(
    paths: list[str], keys: list[str]
) -> None:
    found = Shelves(paths)
    for key in [*keys, *keys]:  # the second time from what is remembered
        for shelf in (found.find(key), found.of(key)):
            assert (None if shelf is None else shelf.path) == longest(paths, key)


@pytest.mark.slow
@given(st.lists(PATH, max_size=8), PATH, st.lists(PATH, min_size=1, max_size=20))
def test_a_watch_reads_the_shelves_under_its_path(paths: list[str], path: str, keys: list[str]) -> None:
    """Every key that a watched path covers lies on a shelf under it, and those hold nothing else."""
    found = Shelves([*paths, path])
    under = found.under(path)
    for key in keys:
        assert (found.find(key) in under) == covers(path, key)


def test_a_path_that_is_watched_twice_has_one_shelf() -> None:
    assert list(Shelves(["b/", "a", "b/"]).all) == ["a", "b/"]


def test_an_entry_is_found_by_its_key() -> None:
    found = Shelves(["a/", "b"])
    entry = Entry("a/x", b"1")
    found.all["a/"].entries["a/x"] = entry
    assert found.get("a/x") is entry
    assert found.get("a/y") is None
    assert found.get("c") is None


def test_a_single_key_is_no_directory() -> None:
    found = Shelves(["", "a/b"])
    assert [shelf.path for shelf in map(found.of, ["a/b", "a/b/c", "a/"]) if shelf] == ["a/b", "", ""]


def test_G9_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelves, "_MEMO", 64)
    found = Shelves(["a/"])
    sizes = []
    for number in range(1000):
        key = f"a/{number}/x"
        shelf = found.all["a/"]
        shelf.entries[key] = Entry(key, b"v")
        assert found.of(key) is shelf
        assert found.of(f"b{number}/x") is None
        sizes.append(found.remembered())
    assert max(sizes) <= 128


def test_G9_a_key_is_remembered_only_while_it_is_there() -> None:
    found = Shelves(["a/"])
    shelf = found.of("a/1")
    assert shelf is not None
    assert not found.memo
    shelf.entries["a/1"] = entry = Entry("a/1", b"v")
    assert found.of("a/1") is shelf
    assert "a/1" in found.memo
    assert found.remove(shelf, "a/1") is entry
    assert not found.memo
    assert not shelf.entries


def test_a_lookup_does_not_grow_with_the_number_of_paths() -> None:
    """Counted in calls, not in time: a lookup of ten thousand paths makes no more of them than one of ten."""

    def calls(count: int) -> int:
        found = Shelves(f"a/{number}/" for number in range(count))
        made = 0

        def count_call(frame: object, event: str, argument: object) -> None:
            nonlocal made
            made += 1

        sys.setprofile(count_call)
        try:
            found.find("a/5/x")
        finally:
            sys.setprofile(None)
        return made

    assert calls(10_000) == calls(10)
