"""The tables, and how to know a database that is ours.

``kv`` has a row for each key; one without a value is a tombstone. ``commits`` has a row for each revision
that a subscription can go on from, with a random mark that no other history shares, and when it was. The
oldest of them is the floor: tombstones up to it are of no use to anybody.
"""

from __future__ import annotations

import sqlite3
import threading
import time
import uuid
from pathlib import Path

from datasync_core.transport import ConnectionLost, Misconfigured
from datasync_transports.sqlite.failures import damaged, is_passing

VERSION = 1
_AGAIN = 0.002  # seconds between two attempts at what SQLite does not wait for itself

_TABLES = """
CREATE TABLE meta (version INTEGER NOT NULL, epoch TEXT NOT NULL);
CREATE TABLE kv (
    key TEXT PRIMARY KEY NOT NULL CHECK (typeof(key) = 'text'),
    value BLOB CHECK (typeof(value) IN ('blob', 'null')),
    rev INTEGER NOT NULL,
    expires REAL
);
CREATE INDEX kv_rev ON kv (rev);
CREATE INDEX kv_tombstones ON kv (rev) WHERE value IS NULL;
CREATE INDEX kv_expires ON kv (expires) WHERE expires IS NOT NULL;
CREATE TABLE commits (rev INTEGER PRIMARY KEY, mark TEXT NOT NULL, at REAL NOT NULL);
"""


def read_epoch(connection: sqlite3.Connection, file: Path) -> str | None:
    """The epoch; None where there are no tables. The database of another program is `Misconfigured`."""
    tables = {
        bytes(name).decode(errors="replace")
        for (name,) in connection.execute("SELECT name FROM sqlite_master").fetchall()
    }
    if not tables:
        return None
    if not {"meta", "kv", "commits"} <= tables:
        raise Misconfigured(f"{file} is the database of another program; name another file")
    rows = connection.execute("SELECT version, epoch FROM meta LIMIT 2").fetchall()
    if len(rows) != 1:
        raise damaged(file, f"its table meta has {'more than one row' if rows else 'no row'}")
    [(version, epoch)] = rows
    if not isinstance(version, int):
        raise damaged(file, "the version in its table meta is not a number")
    if version != VERSION:
        raise Misconfigured(
            f"{file} has tables of version {version}, this program knows {VERSION}; use the other one"
        )
    return text(file, epoch, "the epoch in its table meta")


def text(file: Path, value: object, what: str) -> str:
    """What one of our tables holds as a word; raises `Misconfigured` where it is something else."""
    if not isinstance(value, bytes) or not value or not value.isalnum() or not value.isascii():
        raise damaged(file, f"{what} is not a word")
    return value.decode()


def create(connection: sqlite3.Connection, file: Path, now: float, patience: float) -> str:
    """Make the tables, unless another process was faster; return the epoch.

    ``patience``: seconds to wait for others who make them at the same moment.
    """
    _use_wal(connection, patience)
    connection.execute("BEGIN IMMEDIATE")
    try:
        if read_epoch(connection, file) is None:
            for statement in filter(str.strip, _TABLES.split(";")):
                connection.execute(statement)
            connection.execute("INSERT INTO meta VALUES (?, ?)", (VERSION, uuid.uuid4().hex))
            connection.execute("INSERT INTO commits VALUES (0, lower(hex(randomblob(8))), ?)", (now,))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    epoch = read_epoch(connection, file)
    if epoch is None:
        raise ConnectionLost(f"{file} lost its tables while it was opened")
    return epoch


def _use_wal(connection: sqlite3.Connection, patience: float) -> None:
    """Turn on write-ahead logging, which SQLite's own waiting for locks leaves out: it says BUSY at once."""
    deadline = time.monotonic() + patience
    pause = threading.Event()
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
        except sqlite3.Error as error:
            if not is_passing(error) or time.monotonic() >= deadline:
                raise
            pause.wait(_AGAIN)
        else:
            return
