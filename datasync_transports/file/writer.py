"""Writing a document: into a hidden file beside it, onto the disk, then into its place in one step."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from datasync_core.transport import (
    ConnectionLost,
    Delete,
    Misconfigured,
    Put,
    StoreError,
    Unsupported,
    Writer,
)
from datasync_transports.file.broken import Broken
from datasync_transports.file.documents import MAX_DOCUMENT, to_json
from datasync_transports.file.tree import PASSED_OVER, SUFFIXES

KEY_BYTES = 250
"""With ``.json`` behind it, what every file system of Linux takes as a name."""


class FileWriter(Writer):
    """Writes one document a commit. Any thread may call it; it keeps nothing open."""

    def __init__(self, root: Path, max_document: int = MAX_DOCUMENT) -> None:
        self._root = root
        self._max_document = max_document

    def commit(self, ops: Sequence[Put | Delete], *, expect: Mapping[str, int] = {}) -> int:
        root = self._root
        if expect:
            raise Unsupported(f"{root} has no revisions to expect")
        if len(ops) > 1:
            raise Unsupported(f"{root} has no transactions; write one key at a time")
        for op in ops:
            if isinstance(op, Put) and (op.alive or op.ttl is not None):
                raise Unsupported(f"{root} cannot end the life of a key")
            stem = self._stem(op.key)
            with _explained(op.key, root):
                if not root.is_dir():
                    raise ConnectionLost(f"there is no {root}; make the directory, or name another one")
                there = [file for suffix in SUFFIXES if os.path.lexists(file := Path(f"{stem}{suffix}"))]
                if isinstance(op, Put):
                    _put(Path(f"{stem}.json"), op, there, self._max_document)
                else:
                    for file in there:
                        file.unlink(missing_ok=True)
                    if there:
                        _sync(stem.parent)
        return 0

    def _stem(self, key: str) -> Path:
        """A key's file without its suffix. Raises `Unsupported` for a key that no file can have."""
        parts = key.split("/")
        if any(not part or part.startswith(".") or part == PASSED_OVER or "\0" in part for part in parts):
            raise Unsupported(f"the key {key!r} has a part that is no name of a file that {self._root} shows")
        if len(key.encode()) > KEY_BYTES:
            raise Unsupported(f"the key {key!r} is longer than {KEY_BYTES} bytes, what {self._root} takes")
        return self._root.joinpath(*parts)


def _put(file: Path, op: Put, there: Sequence[Path], max_document: int) -> None:
    try:
        to_json(file.name, op.value, max_document)
    except Broken as broken:
        raise Unsupported(f"the value of {op.key} cannot be kept as {file.name}{broken}") from broken
    for other in there:
        if other != file or other.is_symlink():
            what = "a link" if other.is_symlink() else "in another form"
            raise Unsupported(f"{op.key} is kept in {other}, which is {what}; edit or remove that file")
    file.parent.mkdir(parents=True, exist_ok=True)
    hidden = file.with_name(f".{uuid.uuid4().hex}")
    try:
        with open(
            os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), "wb"
        ) as target:
            with suppress(FileNotFoundError):
                os.fchmod(target.fileno(), file.stat().st_mode & 0o7777)
            target.write(op.value if op.value.endswith(b"\n") else op.value + b"\n")
            target.flush()
            os.fsync(target.fileno())
        hidden.replace(file)
    except BaseException:
        hidden.unlink(missing_ok=True)
        raise
    _sync(file.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _explained(key: str, root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise Misconfigured(
                f"{key} cannot be written: {error.strerror}; make {root} writable for this user"
            ) from error
        if error.errno in (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST):
            raise Unsupported(f"{key} cannot be a file in {root}: {error.strerror}") from error
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreError(
                f"{root} has no room for {key}: {error.strerror}; nothing was written"
            ) from error
        raise ConnectionLost(f"{key} cannot be written in {root}: {error.strerror}") from error
