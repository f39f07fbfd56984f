"""Where each key of a store lies: one shelf for each distinct path that is watched.

A key lies on the shelf of the longest path that covers it, so a watch reads its own shelf and those of the
longer paths below it, and nothing is kept twice. Finding the shelf of a key costs one dictionary look-up where
the key was seen lately, two where its directory was, and at most one a directory level otherwise, however many
paths are watched.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from itertools import takewhile

from datasync_core.model.entries import Entry
from datasync_core.model.keys import covers, is_subtree

_MEMO = 1 << 16  # keys and directories remembered; beyond it the memo starts anew


class Shelf:
    """The entries under one path that lie under no longer one, and what changed in the current round."""

    __slots__ = ("checked", "deletes", "delta", "entries", "errors", "fresh", "path", "renewed")

    def __init__(self, path: str) -> None:
        self.path = path
        self.entries: dict[str, Entry] = {}
        self.delta: dict[str, Entry | None] = {}
        """Key → the entry before this round (None: there was none), where the bytes changed."""
        self.renewed: dict[str, Entry] = {}
        """Key → the entry before this round, where the same bytes were written again."""
        self.fresh: list[Entry] = []
        """The new entries, in the order of ``delta``, of a round that only changes (`Replica.plain`)."""
        self.deletes = 0
        """How many keys this round deleted."""
        self.errors = 0
        """How many of the new entries cannot be read."""
        self.checked = 0
        """A bit for each codec that could decode all the new entries."""

    def settle(self) -> None:
        """Forget what the last round changed."""
        self.delta = {}
        self.fresh = []
        self.checked = 0
        if self.deletes or self.errors or self.renewed:
            self.deletes = self.errors = 0
            self.renewed = {}


class Shelves:
    """All shelves of one store. Owned by the dispatcher thread, but for `peek` and `watches`."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.all: dict[str, Shelf] = {path: Shelf(path) for path in sorted(set(paths))}
        self._paths = [*self.all]
        self._exact = {path: shelf for path, shelf in self.all.items() if not is_subtree(path)}
        self._subtrees = {path: shelf for path, shelf in self.all.items() if is_subtree(path)}
        self.memo: dict[str, Shelf] = {}
        """Where keys lie that were seen lately and are there."""
        self._by_directory: dict[str, Shelf | None] = {}

    def of(self, key: str) -> Shelf | None:
        """The shelf of a key, or None where nothing watches it; remembers the key while it is there."""
        shelf = self.memo.get(key)
        if shelf is None:
            shelf = self.find(key)
            entry = None if shelf is None else shelf.entries.get(key)
            if shelf is not None and entry is not None:
                if len(self.memo) >= _MEMO:
                    self.memo.clear()
                # By the text that the shelf may have, too, not by an equal one: a look-up in both touches less memory.
                self.memo[entry.key] = shelf
        return shelf

    def find(self, key: str) -> Shelf | None:
        """The same without remembering the key: for snapshots, which name each key once."""
        shelf = self._exact.get(key) if self._exact else None
        if shelf is not None:
            return shelf
        directory = key[: key.rfind("/") + 1]
        memo = self._by_directory
        if directory in memo:
            return memo[directory]
        shelf = self._subtree(directory)
        if len(memo) >= _MEMO:
            memo.clear()
        memo[directory] = shelf
        return shelf

    def remove(self, shelf: Shelf, key: str) -> Entry:
        """Take the entry of a key off its shelf, and remember the key no more."""
        self.memo.pop(key, None)
        return shelf.entries.pop(key)

    def peek(self, key: str) -> Entry | None:
        """The entry of a key, for any thread: touches no memo."""
        shelf = self._exact.get(key) or self._subtree(key[: key.rfind("/") + 1])
        return None if shelf is None else shelf.entries.get(key)

    def watches(self, key: str) -> bool:
        """Whether anything watches a key; any thread may ask."""
        return key in self._exact or self._subtree(key[: key.rfind("/") + 1]) is not None

    def remembered(self) -> int:
        """How many keys and directories the memos have."""
        return len(self.memo) + len(self._by_directory)

    def under(self, path: str) -> list[Shelf]:
        """The shelves whose every key ``path`` covers."""
        if not is_subtree(path):
            return [self.all[path]] if path in self.all else []
        paths = self._paths
        first = bisect_left(paths, path)  # those below it follow it
        below = (paths[place] for place in range(first, len(paths)))
        return [self.all[one] for one in takewhile(lambda one: covers(path, one), below)]

    def get(self, key: str) -> Entry | None:
        """The entry of a key."""
        shelf = self.of(key)
        return None if shelf is None else shelf.entries.get(key)

    def _subtree(self, directory: str) -> Shelf | None:
        while True:
            shelf = self._subtrees.get(directory)
            if shelf is not None or not directory:
                return shelf
            directory = directory[: directory.rfind("/", 0, -1) + 1]
