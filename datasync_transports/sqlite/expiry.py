"""Time to live: keys that have expired become tombstones in a commit of their own, by whoever comes first."""

from __future__ import annotations

import sqlite3

from datasync_transports.sqlite.database import Database
from datasync_transports.sqlite.failures import is_passing, is_read_only


def next_expiry(connection: sqlite3.Connection) -> float | None:
    """When the next key expires, in seconds since the Unix epoch."""
    found = connection.execute("SELECT min(expires) FROM kv WHERE expires IS NOT NULL").fetchall()[0][0]
    return None if found is None else float(found)


def sweep(connection: sqlite3.Connection, rev: int, now: float) -> int:
    """Bury what has expired at ``rev``, inside a transaction; how many there were."""
    return connection.execute(
        "UPDATE kv SET value = NULL, expires = NULL, rev = ? WHERE expires IS NOT NULL AND expires <= ?",
        (rev, now),
    ).rowcount


def commit(connection: sqlite3.Connection, rev: int, now: float) -> None:
    """Note a revision with its mark, inside the transaction that wrote it."""
    connection.execute("INSERT INTO commits VALUES (?, lower(hex(randomblob(8))), ?)", (rev, now))


def sweep_if_free(database: Database, now: float) -> int | None:
    """A reader's sweep, waiting for nobody: 0 where another has the lock, None where it may not write."""
    connection = database.connection
    due = next_expiry(connection)
    if due is None or due > now:
        return 0
    connection.execute("PRAGMA busy_timeout = 0").fetchall()
    try:
        with database.transaction("IMMEDIATE"):
            rev = database.head()[0] + 1
            swept = sweep(connection, rev, now)
            if swept:
                commit(connection, rev, now)
            return swept
    except sqlite3.Error as error:
        if is_read_only(error):
            return None
        if is_passing(error):
            return 0
        raise
    finally:
        connection.execute(f"PRAGMA busy_timeout = {int(database.place.busy_timeout * 1000)}").fetchall()
