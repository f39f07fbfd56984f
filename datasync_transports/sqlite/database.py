"""One connection to the file, opened with care: never another program's, never a new one by mistake."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from datasync_core.transport import ConnectionLost, Misconfigured
from datasync_transports.sqlite import schema
from datasync_transports.sqlite.failures import damaged

_BESIDE = ("-wal", "-shm")  # there as long as anybody has the file open


@dataclass
class Place:
    """Where the database is and how it is used: what the connections of one transport share.

    ``seen`` is set by whoever opens the file first and never taken back: a file that was there and is gone
    is a lost store, not an empty one, and is not made again.
    """

    file: Path
    retention: float
    synchronous: str
    busy_timeout: float
    clock: Callable[[], float]
    seen: bool = False

    def identity(self, suffix: str = "") -> tuple[int, int] | None:
        """Which file is there now, or which of SQLite's own beside it; None where there is none."""
        try:
            found = os.stat(f"{self.file}{suffix}")
        except OSError:
            return None
        return (found.st_dev, found.st_ino)


class Database:
    """A connection. Not for two threads at once: its owner has a lock."""

    def __init__(self, place: Place, *, create: bool) -> None:
        self.place = place
        self._create = create
        self._look()
        found = place.identity()
        mode = "rwc" if found is None else "rw"
        self.connection = sqlite3.connect(
            f"file:{quote(os.fsencode(place.file))}?mode={mode}",
            uri=True,
            timeout=place.busy_timeout,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            self.connection.text_factory = bytes
            self.epoch = self._enter()
            self.connection.execute(f"PRAGMA synchronous = {place.synchronous}").fetchall()
            self._identity = found or place.identity()
            self._beside = {suffix: one for suffix in _BESIDE if (one := place.identity(suffix)) is not None}
            self.check()
        except BaseException:
            self.connection.close()
            raise
        place.seen = True

    def close(self) -> None:
        self.connection.close()

    def check(self) -> None:
        """Raise `ConnectionLost` unless the files that were opened are those that are there.

        Whoever opens the file without its ``-shm`` or ``-wal`` makes new ones, and neither sees the other's commits.
        """
        place = self.place
        if self._identity is None or place.identity() != self._identity:
            self._abandon()
            raise ConnectionLost(f"{place.file} was removed or replaced while it was open")
        for suffix, identity in self._beside.items():
            if place.identity(suffix) != identity:
                self._abandon()
                raise ConnectionLost(
                    f"{place.file}{suffix} was removed or replaced while {place.file.name} was open;"
                    " never touch it while a process uses the file"
                )

    def _abandon(self) -> None:
        """Let `close` write nothing back: it would remove, by name, the ``-wal`` of whoever came after us."""
        if sys.version_info >= (3, 12):  # before, there is no way to say so
            self.connection.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, True)

    @contextmanager
    def transaction(self, kind: str = "DEFERRED") -> Iterator[sqlite3.Connection]:
        """Commit at the end, roll back on any error."""
        self.connection.execute(f"BEGIN {kind}")
        try:
            yield self.connection
            self.connection.execute("COMMIT")
        except BaseException:
            self.rollback()
            raise

    def rollback(self) -> None:
        """End what transaction there is without an effect."""
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def head(self) -> tuple[int, str]:
        """The newest revision and its mark."""
        rows = self.connection.execute("SELECT rev, mark FROM commits ORDER BY rev DESC LIMIT 1").fetchall()
        if not rows:
            raise damaged(self.place.file, "its table commits has no row")
        [(rev, mark)] = rows
        return rev, schema.text(self.place.file, mark, "a mark in its table commits")

    def mark(self, rev: int) -> str | None:
        """The mark of a revision; None where it is purged, or never was."""
        found = self.connection.execute("SELECT mark FROM commits WHERE rev = ?", (rev,)).fetchall()
        return schema.text(self.place.file, found[0][0], "a mark in its table commits") if found else None

    def _look(self) -> None:
        """Raise where there is no file, and none may be made."""
        file = self.place.file
        if file.is_dir():
            raise Misconfigured(f"{file} is a folder; name a file in it")
        if file.exists():
            return
        if not file.parent.is_dir():
            raise Misconfigured(f"the folder of {file} is not there; create {file.parent}")
        if self.place.seen:
            raise ConnectionLost(f"{file} was there and is gone; put it back, or start anew for an empty one")
        if not self._create:
            raise ConnectionLost(f"there is no {file} yet; whoever writes to it first creates it")

    def _enter(self) -> str:
        epoch = schema.read_epoch(self.connection, self.place.file)
        if epoch is not None:
            return epoch
        if not self._create:
            raise ConnectionLost(f"{self.place.file} is empty; whoever writes to it first makes its tables")
        return schema.create(self.connection, self.place.file, self.place.clock(), self.place.busy_timeout)
