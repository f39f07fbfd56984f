"""What a subscription has given out of a directory, and how the directory differs from that now."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from datasync_core.transport import Entry, Gone
from datasync_transports.file import documents
from datasync_transports.file.documents import Document
from datasync_transports.file.tree import Directory, Paths, Tree

_LONGEST = 0.5
"""Seconds for which a directory may go on changing before it is taken as it is."""


class Mirror:
    """One look after another at one directory. One thread uses it.

    ``pause`` waits a moment for the directory to become quiet; false where the look shall be given up.
    """

    def __init__(self, root: Path, paths: Paths, pause: Callable[[], bool]) -> None:
        """Raises `ConnectionLost` or `Misconfigured` where there is no such directory."""
        self._directory = Directory(root, paths)
        self._pause = pause
        self._known: dict[str, Document] = {}

    def look(self, *, hurry: bool = False) -> list[Entry | Gone]:
        """What is different from what was given out before; ``hurry``: no pause where nothing moves meanwhile.

        What is read is read between two listings that agree, unless they never do.
        """
        give_up = time.monotonic() + _LONGEST
        tree = self._directory.scan()
        while True:
            stale = self._stale(tree)
            if not stale and self._known.keys() <= tree.keys():
                return []
            if not hurry and not self._pause():
                return []
            read = {key: documents.read(tree[key]) for key in stale}
            after = self._directory.scan()
            if after == tree or time.monotonic() > give_up:
                return self._accept(tree, read)
            tree, hurry = after, False

    def _stale(self, tree: Tree) -> list[str]:
        """The keys whose documents have to be read."""
        known = self._known
        stale = []
        for key, files in tree.items():
            before = known.get(key)
            if before is not None and before.files == files:
                if not before.fresh:
                    continue
                again = documents.read(files)
                if again is not None and (again.value, again.error) == (before.value, before.error):
                    known[key] = again
                    continue
            stale.append(key)
        return stale

    def _accept(self, tree: Tree, read: dict[str, Document | None]) -> list[Entry | Gone]:
        known = self._known
        gone = [key for key in known if key not in tree or read.get(key, known[key]) is None]
        changes: list[Entry | Gone] = [Gone(key) for key in gone]
        for key in gone:
            del known[key]
        for key, document in read.items():
            if document is None:
                continue
            before = known.get(key)
            known[key] = document
            if before is None or (before.value, before.error) != (document.value, document.error):
                changes.append(Entry(key, document.value, error=document.error))
        return changes
