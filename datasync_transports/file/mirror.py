"""What a subscription has given out of a directory, and how the directory differs from that now."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TypeAlias

from datasync_core.transport import Batch, Entry, Gone
from datasync_transports.file import documents
from datasync_transports.file.directory import Directory
from datasync_transports.file.documents import MAX_DOCUMENT, Document
from datasync_transports.file.tree import File, Listing, Paths, Tree, folders_of

Look: TypeAlias = Generator[None, None, Batch | None]
Linked: TypeAlias = dict[str, frozenset[str]]
"""Folder that is a link → the keys that were below it when it could be followed."""

_BURST = 1.0
"""Seconds for which what began in a calm directory may last (a checkout) before it is taken as it is."""
_FIRST = 0.5
"""The same for the first look: who waits for it has nothing yet."""
_RESTLESS = 0.0
"""The same where the look before found changes, too, and no end is to be expected: until one pause is over."""


class Mirror:
    """One look after another at one directory. One thread uses it.

    ``pause`` waits a moment for the directory to become quiet; false where the look shall be given up. ``linked`` is
    what mirrors of the same directory know together, for one that begins while a link cannot be followed.
    """

    def __init__(
        self,
        root: Path,
        paths: Paths,
        pause: Callable[[], bool],
        *,
        max_document: int = MAX_DOCUMENT,
        liveness: float = 10.0,
        linked: Linked | None = None,
    ) -> None:
        """Raises `ConnectionLost` or `Misconfigured` where there is no such directory."""
        self._directory = Directory(root, paths, liveness)
        self._paths = paths
        self._pause = pause
        self._max_document = max_document
        self._linked: Linked = {} if linked is None else linked
        self._known: dict[str, Document] = {}
        self._calm = False  # whether the look before found nothing

    def look(self, *, hurry: bool = False) -> Look:
        """Return what is different from what was given out before; ``hurry``: no pause where nothing moves meanwhile.

        What is read is read between two listings that agree, unless they never do. A look pauses after each document
        and each few entries, and may be continued later.
        """
        begun = time.monotonic()
        longest = _FIRST if hurry else _BURST if self._calm else _RESTLESS
        listing = yield from self._list()
        while True:
            tree = listing.tree
            stale = yield from self._stale(tree)
            if not stale and self._known.keys() <= tree.keys():
                self._calm = True
                self._remember(listing)
                return None
            if not hurry and not self._pause():
                return None
            read = {}
            for key in stale:
                read[key] = self._read(tree[key])
                yield
            after = yield from self._list()
            if after == listing or time.monotonic() - begun > longest:
                self._calm = False
                self._remember(listing)
                return self._accept(tree, read)
            listing, hurry = after, False

    def _list(self) -> Generator[None, None, Listing]:
        """The listing, with an error for each key that is not known to be absent."""
        listing = yield from self._directory.scan()
        tree, unknown = listing.tree, listing.unknown
        if unknown:
            keys = set(self._known).union(*(self._linked.get(folder, ()) for folder in unknown))
            for key in keys - tree.keys():
                for folder in folders_of(key, unknown):
                    if self._paths.cover(key):
                        name = folder.removesuffix("/")
                        tree[key] = [File(name, name, (), unknown[folder])]
        return listing

    def _remember(self, listing: Listing) -> None:
        below: dict[str, set[str]] = {folder: set() for folder in listing.links}
        if below:
            for key in listing.tree:
                for folder in folders_of(key, below):
                    below[folder].add(key)
        for folder in self._linked.keys() - below.keys() - listing.unknown.keys():
            if self._paths.reach(folder):  # else it was not looked for
                self._linked.pop(folder, None)
        for folder, keys in below.items():
            self._linked[folder] = frozenset(keys)

    def _read(self, files: list[File]) -> Document | None:
        return documents.read(files, self._max_document)

    def _stale(self, tree: Tree) -> Generator[None, None, list[str]]:
        """The keys whose documents have to be read."""
        known = self._known
        stale = []
        for key, files in tree.items():
            before = known.get(key)
            if before is not None and before.files == files:
                if not before.fresh:
                    continue
                again = self._read(files)
                yield
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
