"""Reading a store once."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from datasync_core.cli.session import say, shows_progress
from datasync_core.model.keys import covers

if TYPE_CHECKING:
    from datasync_core.sync.store import Store
    from datasync_core.transport import Entry


def read(store: Store, path: str, *, progress: bool = False) -> list[Entry]:
    """Everything under a path, sorted by key. Raises a `StoreError` unless the whole of it could be read."""
    found: dict[str, Entry] = {}
    for entry in _entries(store, [path], progress):
        found[entry.key] = entry  # a key may come twice; the later one counts
    if store.compares_values:
        for entry in found.values():  # what --expect takes
            entry.revision = store.transport.revision_of(entry.value)
    return [found[key] for key in sorted(found)]


def unreadable(store: Store, paths: Sequence[str]) -> dict[str, str]:
    """Key → why, of those that are there and cannot be read, sorted by key. Raises as `read` does."""
    found: dict[str, str] = {}
    for entry in _entries(store, paths, progress=True):
        if entry.error is not None:
            found[entry.key] = entry.error
        elif found:
            found.pop(entry.key, None)
    return {key: found[key] for key in sorted(found)}


def name_unreadable(entries: list[Entry]) -> int:
    """Name the keys that are there and cannot be read; how many there are."""
    unreadable = [entry for entry in entries if entry.error is not None]
    for entry in unreadable:
        say(f"{entry.key}: {entry.error}")
    return len(unreadable)


def _entries(store: Store, paths: Sequence[str], progress: bool) -> Iterator[Entry]:
    subscription = store.subscribe(paths)
    try:
        with click.progressbar(
            _wanted(subscription.snapshot(), paths),
            label="reading",
            show_pos=True,
            hidden=not (progress and shows_progress()),
            file=sys.stderr,
            update_min_steps=1000,
        ) as entries:
            yield from entries
    finally:
        subscription.close()


def _wanted(chunks: Iterable[Sequence[Entry]], paths: Sequence[str]) -> Iterator[Entry]:
    return (entry for chunk in chunks for entry in chunk if any(covers(path, entry.key) for path in paths))
