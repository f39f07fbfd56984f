"""Forgetting: what no subscription can ask for any more is removed, a little at a time, by writers."""

from __future__ import annotations

import sqlite3

COMMITS = 100_000
"""How many commits are kept at most, however young."""


def purge(connection: sqlite3.Connection, *, before: float, limit: int) -> bool:
    """Remove up to ``limit`` old commits and tombstones each, inside a transaction; whether more may be left.

    A place in the history is current until the next commit comes, so the newest commit that was ``before``
    is kept: who has waited there through a long silence can still go on.
    """
    oldest = connection.execute("SELECT rev, at FROM commits ORDER BY rev LIMIT ?", (limit + 1,)).fetchall()
    (newest,) = connection.execute("SELECT max(rev) FROM commits").fetchall()[0]
    floor = oldest[0][0]
    for rev, at in oldest:
        if at >= before and rev > newest - COMMITS:
            break
        floor = rev
    connection.execute("DELETE FROM commits WHERE rev < ?", (floor,))
    buried = connection.execute(
        "DELETE FROM kv WHERE rowid IN (SELECT rowid FROM kv WHERE value IS NULL AND rev <= ? LIMIT ?)",
        (floor, limit),
    ).rowcount
    return (floor == oldest[-1][0] and len(oldest) > limit) or buried == limit
