"""What SQLite's errors mean to a host, in a sentence each."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datasync_core.transport import ConnectionLost, Misconfigured, StoreError


@contextmanager
def explained(file: Path) -> Iterator[None]:
    """Turn errors of the library into those of the SPI, chained and naming the file."""
    try:
        yield
    except sqlite3.Error as error:
        raise _meaning(file, error) from error


def damaged(file: Path, what: str) -> Misconfigured:
    """What is in a table cannot have been written by this program."""
    return Misconfigured(f"{file} is damaged ({what}); restore it from a backup, or name another file")


def is_passing(error: sqlite3.Error) -> bool:
    """Whether somebody else has the lock that was wanted."""
    return _name(error).startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def is_read_only(error: sqlite3.Error) -> bool:
    """Whether the file, its folder or its file system may not be written by us."""
    return _name(error).startswith("SQLITE_READONLY")


def _name(error: sqlite3.Error) -> str:
    return getattr(error, "sqlite_errorname", None) or ""


def _meaning(file: Path, error: sqlite3.Error) -> StoreError:
    name = _name(error)
    if name == "SQLITE_NOTADB":
        return Misconfigured(f"{file} is no SQLite database; name another file, or one that is not there yet")
    if is_passing(error):
        return ConnectionLost(f"{file} is locked by another process; find out which one holds it so long")
    if is_read_only(error):
        return Misconfigured(f"{file} cannot be written; make it and its folder writable for this user")
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        return Misconfigured(
            f"{file} cannot be opened; make it and its folder readable and writable for this user"
        )
    if name == "SQLITE_FULL":
        return StoreError(f"{file} cannot grow, the disk is full; nothing was written")
    if name.startswith("SQLITE_CORRUPT"):
        return StoreError(f"{file} is damaged ({error}); restore it from a backup")
    return ConnectionLost(f"{file} failed: {error}{f' ({name})' if name else ''}")
