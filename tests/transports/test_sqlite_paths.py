"""A subscription to the embedded store reads what it watches, and nothing else."""

from __future__ import annotations

import tracemalloc

import pytest

from datasync_core.transport import Batch, Delete, Entry, Gone, Put
from tests.transports.stores import Store, keys, read

MANY = 1001
"""Paths, more than one expression of SQLite holds."""


def test_values_that_nobody_watches_are_not_read(sqlite: Store) -> None:
    subscription = sqlite.subscribe("mine/", "one")
    assert read(subscription) == {}
    size = 1_000_000
    for number in range(10):
        sqlite.commit(Put(f"other/{number}", bytes(size)))
    sqlite.commit(Put("one", b"1"), Put("mine/a", b"2"), Put("one-more", bytes(size)))
    tracemalloc.start()
    try:
        batch = subscription.poll(5.0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert batch is not None
    assert sorted(keys([batch])) == ["mine/a", "one"]
    assert peak < size


def test_G6_a_batch_over_many_paths_is_one_and_in_the_order_of_the_commits(sqlite: Store) -> None:
    paths = [f"{number:04}/" if number % 2 else f"{number:04}" for number in range(MANY)]
    key = [path + "k" if path.endswith("/") else path for path in paths]
    subscription = sqlite.subscribe(*paths)
    assert read(subscription) == {}
    first = sqlite.commit(Put(key[-1], b"last path first"))
    second = sqlite.commit(*(Put(one, b"2") for one in key[1:-1]), Put("unwatched", b"2"))
    third = sqlite.commit(Put(key[0], b"first path last"), Delete(key[1]))
    batch = subscription.poll(5.0)
    assert isinstance(batch, Batch)
    assert batch.changes[0] == Entry(key[-1], b"last path first", first)
    assert {change.key for change in batch.changes[1:-2]} == set(key[2:-1])
    assert {change.revision for change in batch.changes[1:-2]} == {second}
    assert {change.key: type(change) for change in batch.changes[-2:]} == {key[0]: Entry, key[1]: Gone}
    assert {change.revision for change in batch.changes[-2:]} == {third}
    assert subscription.poll(0.0) is None


@pytest.mark.parametrize("path", ["", "a/", "a", "a/\U0010ffff/"])
def test_what_is_polled_is_what_a_snapshot_reads(sqlite: Store, path: str) -> None:
    subscription = sqlite.subscribe(path)
    assert read(subscription) == {}
    there = ("a", "a/", "a/b", "a/\U0010ffff/x", "a0", "A/b", "b", "ab")
    sqlite.commit(*(Put(key, b"1") for key in there))
    batch = subscription.poll(0.1)
    assert sorted(keys([batch] if batch else [])) == sorted(read(sqlite.subscribe(path)))
