"""Looking through a directory: which documents are there, and where that cannot be said.

Hidden names are passed over (``.git``, editors' temporary files, Kubernetes' ``..data``), and so is every file
whose suffix is not that of a document. Links are followed, to files and to directories, but not in circles, and each
link once: where directories are linked to each other there are more paths than could ever be walked. What is not
behind a link comes first, then the links in the order of their paths, so that it is always the same path that counts.
What could not be looked into is named (`Listing.unknown`), for its keys are not known to be absent.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator
from heapq import heappop, heappush
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import NamedTuple, TypeAlias

from datasync_core.transport import ConnectionLost, Misconfigured, key_name
from datasync_transports.file.tree import PASSED_OVER, SUFFIXES, File, Listing, Paths, folders_of

MOST = 1_000_000
"""Entries that a directory has at most, hidden ones and those behind links included."""
_STEP = 200  # entries from one pause to the next
_Identity = tuple[int, int]  # device and inode
Scan: TypeAlias = Generator[None, None, Listing]


class _Folder(NamedTuple):
    path: str
    prefix: str
    identity: _Identity
    above: frozenset[_Identity]  # itself, too


class Directory:
    """The directory as it was when first seen; that it was replaced, removed or unmounted is a lost connection.

    One thread uses it.
    """

    def __init__(self, root: Path, paths: Paths, liveness: float) -> None:
        """Raises `ConnectionLost` where there is no such directory, `Misconfigured` for what is none."""
        self.root = root
        self._paths = paths
        self._liveness = liveness
        self._mounts: dict[str, _Identity] = {}
        try:
            found = root.stat()
            if not S_ISDIR(found.st_mode):
                raise NotADirectoryError
            with os.scandir(root):
                pass
        except FileNotFoundError as error:
            raise ConnectionLost(f"there is no {root}; make the directory, or name another one") from error
        except NotADirectoryError as error:
            raise Misconfigured(f"{root} is no directory; name the one that holds the documents") from error
        except PermissionError as error:
            raise Misconfigured(f"{root} cannot be listed; make it readable for this user") from error
        except OSError as error:
            raise ConnectionLost(f"{root} cannot be listed: {error.strerror}") from error
        self._identity = (found.st_dev, found.st_ino)

    def scan(self) -> Scan:
        """Return what is there now; it pauses each few entries, and may be given up there.

        Raises `ConnectionLost` where the answer is not sure, has more than `MOST` entries, or takes more than
        ``liveness`` seconds of work.
        """
        listing = Listing({}, {}, set())
        mounts: dict[str, _Identity] = {}
        followed: set[tuple[_Identity, str]] = set()
        pending = [_Folder(str(self.root), "", self._identity, frozenset((self._identity,)))]
        links: list[tuple[int, str, _Folder]] = []
        count = 0
        yield
        left = self._liveness
        begun = time.monotonic()
        self._check()
        while pending or links:
            at = pending.pop() if pending else heappop(links)[2]
            for entry in self._listed(at, listing):
                count += 1
                if count % _STEP == 0:
                    left -= time.monotonic() - begun
                    self._check_cost(count, left)
                    yield
                    begun = time.monotonic()
                if entry.name.startswith(".") or entry.name == PASSED_OVER:
                    continue
                identity = self._take(entry, at, listing)
                folder = f"{at.prefix}{entry.name}/"
                if identity is None or identity in at.above or not self._paths.reach(folder):
                    continue
                inner = _Folder(entry.path, folder, identity, at.above | {identity})
                if not entry.is_symlink():
                    pending.append(inner)
                elif (link := (at.identity, entry.name)) not in followed:
                    followed.add(link)
                    heappush(links, (folder.count("/"), folder, inner))
                    listing.links.add(folder)
                else:
                    continue
                if identity[0] != self._identity[0]:
                    mounts[folder] = identity
        self._check()
        if "" in listing.unknown:
            raise ConnectionLost(f"{self.root} {listing.unknown['']}")
        self._check_mounts(mounts, listing)
        return listing

    def _check(self) -> None:
        try:
            found = self.root.stat()
        except OSError as error:
            raise ConnectionLost(f"{self.root} is gone: {error.strerror}") from error
        if (found.st_dev, found.st_ino) != self._identity:
            raise ConnectionLost(f"{self.root} was replaced by another directory, or (un)mounted")

    def _check_cost(self, count: int, left: float) -> None:
        if count > MOST:
            raise ConnectionLost(
                f"{self.root} has more than {MOST} entries; divide it, or remove links in it"
            )
        if left <= 0:
            raise ConnectionLost(
                f"{self.root} was not listed within {self._liveness:g} s; divide it, or set a longer liveness"
            )

    def _check_mounts(self, mounts: dict[str, _Identity], listing: Listing) -> None:
        for folder, identity in self._mounts.items():
            if any(folders_of(folder, listing.unknown)):
                mounts[folder] = identity  # not known to be gone
            elif mounts.get(folder) != identity:
                raise ConnectionLost(f"{self.root / folder} was unmounted or replaced")
        self._mounts = mounts

    def _listed(self, at: _Folder, listing: Listing) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(at.path) as entries:
                yield from entries
        except (
            FileNotFoundError,
            NotADirectoryError,
        ) as error:  # since it was found; the next look knows more
            listing.unknown[at.prefix] = f"cannot be listed: {error.strerror}"
        except OSError as error:
            raise _closed(at.path, error) from error

    def _take(self, entry: os.DirEntry[str], at: _Folder, listing: Listing) -> _Identity | None:
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
        except OSError as error:
            try:
                problem = _problem(entry, at, listing, error)
            except OSError:  # not even what it is
                raise _closed(entry.path, error) from error
            if problem is None:
                return None
        key = at.prefix + stem
        if suffix in SUFFIXES and self._paths.cover(key):
            name = at.prefix + entry.name
            raw = key.encode(errors="surrogateescape")
            if (shown := raw.decode(errors="backslashreplace")) != key:
                key, name = key_name(raw), shown + suffix
                problem = "has a name that is no UTF-8 text; rename it"
            listing.tree.setdefault(key, []).append(File(name, entry.path, signature, problem))
        return None


def _problem(entry: os.DirEntry[str], at: _Folder, listing: Listing, error: OSError) -> str | None:
    """Why an entry is not known; None where it is there no more. A link may have led to a directory."""
    missing = isinstance(error, FileNotFoundError)
    if entry.is_symlink():
        why = f"is a link that cannot be followed: {error.strerror}; point it to what is there, or remove it"
        listing.unknown[f"{at.prefix}{entry.name}/"] = why
        return "is a link to a file that is not there" if missing else f"cannot be read: {error.strerror}"
    if missing:  # removed since it was listed, or what it is in was moved away
        if not _is_at(at):
            listing.unknown[at.prefix] = f"cannot be listed: {error.strerror}"
        return None
    if entry.is_dir(follow_symlinks=False):
        raise _closed(entry.path, error) from error
    return f"cannot be read: {error.strerror}"


def _is_at(at: _Folder) -> bool:
    try:
        found = os.stat(at.path)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == at.identity


def _closed(path: str, error: OSError) -> ConnectionLost:
    return ConnectionLost(
        f"{path} cannot be listed, so its keys are not known: {error.strerror}; make it readable for this user"
    )
