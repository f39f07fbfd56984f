"""Which documents a directory holds: a file's name, where it is, and a signature that changes when it is written.

Hidden names are passed over (``.git``, editors' temporary files, Kubernetes' ``..data``), and so is every file
whose suffix is not that of a document. Links are followed, to files and to directories, but not in circles.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import NamedTuple

from datasync_core.transport import ConnectionLost, Misconfigured, is_subtree, key_name

SUFFIXES = (".json", ".yaml", ".yml", ".toml")
PASSED_OVER = "lost+found"  # of a file system's own root; closed to all but root
_Identity = tuple[int, int]  # device and inode


class File(NamedTuple):
    """A file that holds a key's document. ``problem``: why it cannot be read."""

    name: str
    path: str
    signature: tuple[int, ...]
    problem: str | None = None


Tree = dict[str, list[File]]
"""Key → the files that hold it; one, unless somebody made a mistake."""


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


class Directory:
    """The directory as it was when first seen; that it was replaced, removed or unmounted is a lost connection.

    One thread uses it.
    """

    def __init__(self, root: Path, paths: Paths) -> None:
        """Raises `ConnectionLost` where there is no such directory, `Misconfigured` for what is none."""
        self.root = root
        self._paths = paths
        self._mounts: dict[str, _Identity] = {}
        try:
            found = root.stat()
            if not S_ISDIR(found.st_mode):
                raise NotADirectoryError
            os.listdir(root)
        except FileNotFoundError as error:
            raise ConnectionLost(f"there is no {root}; make the directory, or name another one") from error
        except NotADirectoryError as error:
            raise Misconfigured(f"{root} is no directory; name the one that holds the documents") from error
        except PermissionError as error:
            raise Misconfigured(f"{root} cannot be listed; make it readable for this user") from error
        except OSError as error:
            raise ConnectionLost(f"{root} cannot be listed: {error.strerror}") from error
        self._identity = (found.st_dev, found.st_ino)

    def scan(self) -> Tree:
        """What is there now. Raises `ConnectionLost` where that cannot be said for sure."""
        tree: Tree = {}
        mounts: dict[str, _Identity] = {}
        self._check()
        pending = [(str(self.root), "", frozenset((self._identity,)))]
        while pending:
            path, prefix, above = pending.pop()
            for entry in self._listed(path):
                identity = self._take(entry, prefix, tree)
                folder = f"{prefix}{entry.name}/"
                if identity is None or identity in above or not self._paths.reach(folder):
                    continue
                if identity[0] != self._identity[0]:
                    mounts[folder] = identity
                pending.append((entry.path, folder, above | {identity}))
        self._check()
        for folder, identity in self._mounts.items():
            if mounts.get(folder) != identity:
                raise ConnectionLost(f"{self.root / folder} was unmounted or replaced")
        self._mounts = mounts
        return tree

    def _check(self) -> None:
        try:
            found = self.root.stat()
        except OSError as error:
            raise ConnectionLost(f"{self.root} is gone: {error.strerror}") from error
        if (found.st_dev, found.st_ino) != self._identity:
            raise ConnectionLost(f"{self.root} was replaced by another directory, or (un)mounted")

    def _listed(self, path: str) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(path) as entries:
                yield from (e for e in entries if not e.name.startswith(".") and e.name != PASSED_OVER)
        except (FileNotFoundError, NotADirectoryError):
            return  # removed since it was found, and so are its documents
        except OSError as error:
            raise _closed(path, error) from error

    def _take(self, entry: os.DirEntry[str], prefix: str, tree: Tree) -> _Identity | None:
        """Put a document into the tree; of a directory the identity."""
        stem, suffix = os.path.splitext(entry.name)
        signature: tuple[int, ...] = ()
        problem = None
        try:
            found = entry.stat()
            if S_ISDIR(found.st_mode):
                return found.st_dev, found.st_ino
            signature = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
            if not S_ISREG(found.st_mode):
                problem = "is no regular file"
        except FileNotFoundError:
            if not entry.is_symlink():
                return None  # removed since it was listed
            problem = "is a link to a file that is not there"
        except OSError as error:
            if entry.is_dir(follow_symlinks=False):
                raise _closed(entry.path, error) from error
            problem = f"cannot be read: {error.strerror}"
        key = prefix + stem
        if suffix in SUFFIXES and self._paths.cover(key):
            name = prefix + entry.name
            raw = key.encode(errors="surrogateescape")
            if (shown := raw.decode(errors="backslashreplace")) != key:
                key, name, problem = (
                    key_name(raw),
                    shown + suffix,
                    "has a name that is no UTF-8 text; rename it",
                )
            tree.setdefault(key, []).append(File(name, entry.path, signature, problem))
        return None


def _closed(path: str, error: OSError) -> ConnectionLost:
    return ConnectionLost(
        f"{path} cannot be listed, so its keys are not known: {error.strerror}; make it readable for this user"
    )
