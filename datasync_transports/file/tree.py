"""Which documents a directory holds: a file's name, where it is, and a signature that changes when it is written."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import NamedTuple

from datasync_core.transport import is_subtree

SUFFIXES = (".json", ".yaml", ".yml", ".toml")
PASSED_OVER = "lost+found"  # of a file system's own root; closed to all but root


class File(NamedTuple):
    """A file that holds a key's document. ``problem``: why it cannot be read."""

    name: str
    path: str
    signature: tuple[int, ...]
    problem: str | None = None


Tree = dict[str, list[File]]
"""Key → the files that hold it; one, unless somebody made a mistake."""


class Listing(NamedTuple):
    """What was found. ``unknown``: folder → why it could not be looked into, so that its keys are not known.

    ``links``: the folders that are links. A folder is what its keys begin with.
    """

    tree: Tree
    unknown: dict[str, str]
    links: set[str]


def folders_of(key: str, among: Container[str]) -> Iterator[str]:
    """Give the folders of a key that are ``among`` others, the outermost first."""
    end = key.find("/") + 1
    while end:
        if (folder := key[:end]) in among:
            yield folder
        end = key.find("/", end) + 1


class Paths:
    """The watched paths; immutable."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._keys = frozenset(path for path in paths if not is_subtree(path))
        self._prefixes = tuple(path for path in paths if is_subtree(path))

    def cover(self, key: str) -> bool:
        """Whether a key is watched."""
        return key.startswith(self._prefixes) or key in self._keys

    def reach(self, folder: str) -> bool:
        """Whether a key that begins with ``folder`` may be watched."""
        if folder.startswith(self._prefixes):
            return True
        return any(path.startswith(folder) for group in (self._prefixes, self._keys) for path in group)
