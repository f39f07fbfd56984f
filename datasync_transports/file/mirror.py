"""What a subscription has given out of a directory, and how the directory differs from that now."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from datasync_core.transport import Batch, Entry, Gone
from datasync_transports.file import documents
from datasync_transports.file.documents import Document
from datasync_transports.file.tree import Directory, Paths, Tree

_BURST = 1.0
"""Seconds for which what began in a calm directory may last (a checkout) before it is taken as it is."""
_FIRST = 0.5
"""The same for the first look: who waits for it has nothing yet."""
_RESTLESS = 0.0
"""The same where the look before found changes, too, and no end is to be expected: until one pause is over."""


class Mirror:
    """One look after another at one directory. One thread uses it.

    ``pause`` waits a moment for the directory to become quiet; false where the look shall be given up.
    """

    def __init__(self, root: Path, paths: Paths, pause: Callable[[], bool]) -> None:
        """Raises `ConnectionLost` or `Misconfigured` where there is no such directory."""
        self._directory = Directory(root, paths)
        self._pause = pause
        self._known: dict[str, Document] = {}
        self._calm = False  # whether the look before found nothing

    def look(self, *, hurry: bool = False) -> Batch | None:
        """What is different from what was given out before; ``hurry``: no pause where nothing moves meanwhile.

        What is read is read between two listings that agree, unless they never do.
        """
        begun = time.monotonic()
        longest = _FIRST if hurry else _BURST if self._calm else _RESTLESS
        tree = self._directory.scan()
        while True:
            stale = self._stale(tree)
            if not stale and self._known.keys() <= tree.keys():
                self._calm = True
                return None
            if not hurry and not self._pause():
                return None
            read = {key: documents.read(tree[key]) for key in stale}
            after = self._directory.scan()
            if after == tree or time.monotonic() - begun > longest:
                self._calm = False
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

    def _accept(self, tree: Tree, read: dict[str, Document | None]) -> Batch | None:
        known = self._known
        gone = [key for key in known if key not in tree or read.get(key, known[key]) is None]
        flushed = bool(gone) and len(gone) == len(known)  # by mistake, as likely as not
        changes: list[Entry | Gone] = [] if flushed else [Gone(key) for key in gone]
        for key in gone:
            del known[key]
        for key, document in read.items():
            if document is None:
                continue
            before = known.get(key)
            known[key] = document
            if before is None or (before.value, before.error) != (document.value, document.error):
                changes.append(Entry(key, document.value, error=document.error))
        return Batch(changes, flushed) if changes or flushed else None
