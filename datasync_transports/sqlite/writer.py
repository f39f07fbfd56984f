"""Writing: each commit is one transaction and one revision."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from datasync_core.transport import Conflict, ConnectionLost, Delete, Owner, Put, Unsupported, Writer
from datasync_transports.sqlite import expiry
from datasync_transports.sqlite.database import Database, Place
from datasync_transports.sqlite.failures import explained
from datasync_transports.sqlite.purge import purge

_PURGE_EVERY = 100  # commits of one writer
_PURGE_LIMIT = 1000  # rows

_PUT = (
    "INSERT INTO kv (key, value, rev, expires) VALUES (?, ?, ?, ?) ON CONFLICT (key)"
    " DO UPDATE SET value = excluded.value, rev = excluded.rev, expires = excluded.expires"
)
_DELETE = "UPDATE kv SET value = NULL, rev = ?, expires = NULL WHERE key = ? AND value IS NOT NULL"


class SqliteWriter(Writer):
    """Writes to the file; opens it when first used, anew where it was replaced. Any thread may call it."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._owner = Owner(f"a writer of {place.file}")
        self._lock = threading.Lock()
        self._database: Database | None = None
        self._until_purge = 0

    def commit(self, ops: Sequence[Put | Delete], *, expect: Mapping[str, int] = {}) -> int:
        self._owner.check()
        if any(isinstance(op, Put) and op.alive for op in ops):
            raise Unsupported(f"{self._place.file} cannot bind a key to the life of a host")
        with self._lock, explained(self._place.file):
            database = self._opened()
            revision = self._commit(database, ops, expect)
            database.check()  # else it went into a file that nobody finds any more
            return revision

    def close(self) -> None:
        if not self._owner.is_here:
            return  # the parent's locks are on the file
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    def _opened(self) -> Database:
        if self._database is not None:
            try:
                self._database.check()
            except ConnectionLost:
                self._database.close()
                self._database = None
        if self._database is None:
            self._database = Database(self._place, create=True)
        return self._database

    def _commit(self, database: Database, ops: Sequence[Put | Delete], expect: Mapping[str, int]) -> int:
        now = self._place.clock()
        last = {op.key: op for op in ops}
        with database.transaction("IMMEDIATE") as connection:
            head, _ = database.head()
            rev = head + 1
            changed = expiry.sweep(connection, rev, now)
            self._expect(database, expect)
            puts = [op for op in last.values() if isinstance(op, Put)]
            if puts:
                rows = ((op.key, op.value, rev, None if op.ttl is None else now + op.ttl) for op in puts)
                changed += connection.executemany(_PUT, rows).rowcount
            deletes = [(rev, op.key) for op in last.values() if isinstance(op, Delete)]
            if deletes:
                changed += connection.executemany(_DELETE, deletes).rowcount
            if not changed:
                return head
            expiry.commit(connection, rev, now)
            self._until_purge -= 1
            if self._until_purge < 0:
                limit = max(_PURGE_LIMIT, 2 * len(ops))
                more = purge(connection, before=now - self._place.retention, limit=limit)
                self._until_purge = 0 if more else _PURGE_EVERY
        return rev

    def _expect(self, database: Database, expect: Mapping[str, int]) -> None:
        for key, expected in expect.items():
            rows = database.connection.execute(
                "SELECT rev FROM kv WHERE key = ? AND value IS NOT NULL", (key,)
            ).fetchall()
            found = rows[0][0] if rows else 0
            if found != expected:
                raise Conflict(f"{key} has revision {found} in {self._place.file}, expected {expected}")
