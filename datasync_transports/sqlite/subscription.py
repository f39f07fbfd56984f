"""Reading: a snapshot at one revision, then what has a later one."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from operator import itemgetter

from datasync_core.transport import (
    Batch,
    ConnectionLost,
    Cursor,
    CursorExpired,
    Entry,
    Gone,
    Owner,
    StoreError,
    Subscription,
    key_name,
)
from datasync_transports.sqlite import expiry
from datasync_transports.sqlite.database import Database, Place
from datasync_transports.sqlite.failures import explained
from datasync_transports.sqlite.paths import Paths

_CHUNK = 1000
_POSITION = re.compile(r"([0-9]{1,18}):([0-9a-f]+)\Z")
_TICK = 0.01  # seconds between two looks for commits of others
_AGAIN = 0.1  # seconds until what has expired is tried again, where another had the lock


class SqliteSubscription(Subscription):
    """A place in the file's history. One thread uses it; `wake` and `close` are for any.

    The lock is held while the connection is in use, and never while waiting or handing out.
    """

    def __init__(self, place: Place, paths: Sequence[str], *, create: bool) -> None:
        self._place = place
        self._owner = Owner(f"a subscription to {place.file}")
        self._paths = Paths(paths)
        self._watched = tuple(self._paths.alternatives())
        self._create = create
        self._lock = threading.Lock()
        self._bell = threading.Event()
        self._woken = False
        self._closed = False
        self._database: Database | None = None
        self._position: tuple[int, str] | None = None  # the newest revision that was given out, and its mark
        self._version: int | None = None  # data_version when it was read last
        self._expires: float | None = None  # when the next key expires

    def snapshot(self) -> Iterator[Sequence[Entry]]:
        self._owner.check()
        self._position = None
        with self._lock, explained(self._place.file):
            database = self._opened()
            database.rollback()
            expiry.sweep_if_free(database, self._place.clock())
            database.connection.execute("BEGIN")
            position = database.head()
            now = self._place.clock()
        try:
            for condition, arguments in self._paths.conditions():
                yield from self._read(database, condition, (*arguments, now))
        finally:
            with self._lock:
                if not self._closed:
                    database.rollback()
        self._position = position
        self._version = None

    def resume(self, cursor: Cursor) -> None:
        self._owner.check()
        with self._lock, explained(self._place.file):
            database = self._opened()
            place = _POSITION.match(cursor.position)
            if cursor.epoch != database.epoch or place is None:
                raise CursorExpired(
                    f"{self._place.file} is another database than the one before; read a snapshot"
                )
            self._position = (int(place[1]), place[2])
            self._version = None
            try:
                self._prove(database)
            except CursorExpired:
                self._position = None
                raise

    def poll(self, timeout: float) -> Batch | None:
        self._owner.check()
        deadline = time.monotonic() + timeout
        while True:
            self._bell.clear()
            before = self.revision
            with self._lock, explained(self._place.file):
                batch = self._look(self._opened())
            remaining = deadline - time.monotonic()
            if batch is not None or self._woken or remaining <= 0 or self.revision > before:
                self._woken = False
                return batch
            self._bell.wait(min(remaining, _TICK))

    @property
    def cursor(self) -> Cursor | None:
        if self._position is None or self._database is None:
            return None
        return Cursor(self._database.epoch, f"{self._position[0]}:{self._position[1]}")

    @property
    def revision(self) -> int:
        return 0 if self._position is None else self._position[0]

    def wake(self) -> None:
        self._woken = True
        self._bell.set()

    def close(self) -> None:
        if not self._owner.is_here:
            return  # the parent's locks are on the file
        self._closed = True
        with self._lock:
            if self._database is not None:
                self._database.close()

    def _opened(self) -> Database:
        if self._closed:
            raise ConnectionLost(f"{self._place.file}: the subscription was closed")
        if self._database is None:
            self._database = Database(self._place, create=self._create)
        self._database.check()
        return self._database

    def _read(
        self, database: Database, condition: str, arguments: tuple[object, ...]
    ) -> Iterator[Sequence[Entry]]:
        with self._lock, explained(self._place.file):
            self._opened()
            rows = database.connection.execute(
                f"SELECT key, value, rev FROM kv WHERE {condition} AND value IS NOT NULL"
                " AND (expires IS NULL OR expires > ?)",
                arguments,
            )
        try:
            while True:
                with self._lock, explained(self._place.file):
                    self._opened()
                    chunk = rows.fetchmany(_CHUNK)
                if not chunk:
                    return
                yield _entries(chunk)
        finally:
            with self._lock:
                if not self._closed:
                    rows.close()  # one that is not read to its end pins the old state of the file

    def _look(self, database: Database) -> Batch | None:
        """What is new, under the lock; a look that finds nothing costs a few microseconds."""
        if self._position is None:
            raise StoreError(f"{self._place.file}: poll comes after a snapshot or resume")
        now = self._place.clock()
        if self._expires is not None and self._expires <= now:
            swept = expiry.sweep_if_free(database, now)
            self._expires = None if swept is None else now + _AGAIN
            if swept:
                self._version = None  # it does not change for our own commits
        (version,) = database.connection.execute("PRAGMA data_version").fetchall()[0]
        if version == self._version:
            return None
        with database.transaction() as connection:
            self._prove(database)
            head = database.head()
            changed = [
                row
                for condition, arguments in self._watched
                for row in connection.execute(
                    f"SELECT key, value, rev FROM kv INDEXED BY kv_rev WHERE rev > ? AND ({condition})",
                    (self._position[0], *arguments),
                ).fetchall()
            ]
            self._expires = expiry.next_expiry(connection)
        self._position = head
        self._version = version
        changed.sort(key=itemgetter(2))
        return Batch(list(_changes(changed))) if changed else None

    def _prove(self, database: Database) -> None:
        """That the history goes on from the position: its commit is there, and is the one that was seen."""
        assert self._position is not None
        revision, mark = self._position
        found = database.mark(revision)
        if found is None:
            raise CursorExpired(f"{self._place.file} cannot go on from revision {revision}; read a snapshot")
        if found != mark:
            raise CursorExpired(
                f"{self._place.file} was rolled back to a backup and went on; read a snapshot"
            )


def _entries(rows: Sequence[tuple[bytes, bytes, int]]) -> list[Entry]:
    keys = b"".join([row[0] for row in rows])
    if b"\0" not in keys:  # else a key may need another name than its text
        with suppress(UnicodeDecodeError):
            return [Entry(key.decode(), value, rev) for key, value, rev in rows]
    return [_entry(*row) for row in rows]


def _entry(key: bytes, value: bytes, rev: int) -> Entry:
    try:
        key.decode()
    except UnicodeDecodeError:
        shown = key.decode(errors="backslashreplace")
        return Entry(key_name(key), value, rev, f"the key {shown} is no UTF-8 text; write it anew")
    return Entry(key_name(key), value, rev)


def _changes(rows: Sequence[tuple[bytes, bytes | None, int]]) -> Iterator[Entry | Gone]:
    for key, value, rev in rows:
        yield Gone(key_name(key), rev) if value is None else _entry(key, value, rev)
