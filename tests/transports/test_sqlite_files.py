"""The file of the embedded store: made, found, removed, replaced, rolled back, purged."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from datasync_core.transport import ConnectionLost, CursorExpired, Delete, Entry, Gone, Put, Url
from datasync_transports.sqlite import SqliteTransport, purge
from tests.transports.stores import Store, cursor_of, drain, keys, read, values


@contextmanager
def raw(file: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        yield connection


def save(file: Path, to: Path) -> None:
    """A backup, made by SQLite's own means while the store is in use."""
    with raw(file) as source, raw(to) as target:
        source.backup(target)


def put_in_place(backup: Path, file: Path) -> None:
    """What an operator does: the copy takes the place of the file."""
    for suffix in ("-wal", "-shm"):
        Path(f"{file}{suffix}").unlink(missing_ok=True)
    copy = backup.with_suffix(".copy")
    shutil.copy(backup, copy)
    copy.replace(file)


def test_a_relative_path_belongs_to_the_file_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "conf").mkdir()
    monkeypatch.chdir(tmp_path)
    store = Store(lambda: SqliteTransport(Url.parse("sqlite:a%20%3F%23%25.db", tmp_path / "conf")))
    store.commit(Put("a", b"1"))
    assert (tmp_path / "conf" / "a ?#%.db").exists()
    here = SqliteTransport(Url.parse("sqlite:here.db"))
    monkeypatch.chdir("/")
    writer = here.writer()
    writer.commit([Put("a", b"1")])
    writer.close()
    assert (tmp_path / "here.db").exists()


def test_nothing_is_opened_until_used_and_nothing_stays(sqlite: Store, file: Path) -> None:
    transport = sqlite.transport()
    subscription, writer = transport.subscribe([""]), transport.writer()
    assert not file.exists()
    writer.commit([Put("a", b"1")])
    read(subscription)
    subscription.close()
    writer.close()
    assert [found.name for found in file.parent.iterdir()] == [file.name]


def test_a_reader_that_must_not_create_says_so_and_creates_nothing(file: Path) -> None:
    transport = SqliteTransport(Url.parse(f"sqlite:{file}"), create=False)
    subscription = transport.subscribe([""])
    with pytest.raises(
        ConnectionLost, match=r"there is no .*test\.db yet; whoever writes to it first creates it"
    ):
        read(subscription)
    assert not file.exists()
    file.touch()
    with pytest.raises(ConnectionLost, match=r"test\.db is empty"):
        read(subscription)
    assert file.stat().st_size == 0
    writer = transport.writer()
    writer.commit([Put("a", b"1")])
    assert values(read(subscription)) == {"a": b"1"}
    writer.close()
    subscription.close()


def test_a_file_that_is_gone_is_a_lost_connection_and_not_an_empty_store(sqlite: Store, file: Path) -> None:
    transport = sqlite.transport()
    writer = transport.writer()
    writer.commit([Put("a", b"1")])
    subscription = transport.subscribe([""])
    read(subscription)
    file.unlink()
    with pytest.raises(ConnectionLost, match="removed or replaced"):
        subscription.poll(5.0)
    again = transport.subscribe([""])
    for use in (lambda: read(again), lambda: writer.commit([Put("a", b"2")])):
        with pytest.raises(ConnectionLost, match="was there and is gone"):
            use()
    assert not file.exists()
    writer.close()
    subscription.close()
    again.close()


def test_a_file_that_was_replaced_is_a_lost_connection_and_another_history(sqlite: Store, file: Path) -> None:
    sqlite.commit(Put("a", b"1"))
    subscription = sqlite.subscribe("")
    read(subscription)
    writer = sqlite.writer()
    writer.commit([Put("a", b"2")])
    other = file.with_name("other.db")
    SqliteTransport(Url.parse(f"sqlite:{other}"))
    made = SqliteTransport(Url.parse(f"sqlite:{other}")).writer()
    made.commit([Put("b", b"1")])
    made.close()
    other.replace(file)
    for suffix in ("-wal", "-shm"):
        Path(f"{file}{suffix}").unlink()
    with pytest.raises(ConnectionLost):
        subscription.poll(5.0)
    with pytest.raises(CursorExpired, match="another database"):
        sqlite.subscribe("").resume(cursor_of(subscription))
    writer.commit([Put("c", b"1")])
    assert set(read(sqlite.subscribe(""))) == {"b", "c"}


def test_G3_a_backup_that_is_put_back_expires_later_cursors(
    sqlite: Store, file: Path, tmp_path: Path
) -> None:
    sqlite.commit(Put("a", b"1"))
    early = sqlite.subscribe("")
    read(early)
    save(file, tmp_path / "backup")
    sqlite.commit(Put("b", b"1"))
    late = sqlite.subscribe("")
    read(late)
    put_in_place(tmp_path / "backup", file)
    with pytest.raises(CursorExpired, match="cannot go on from revision 2"):
        sqlite.subscribe("").resume(cursor_of(late))
    sqlite.subscribe("").resume(cursor_of(early))


def test_G3_a_backup_that_has_overtaken_the_cursor_is_noticed(
    sqlite: Store, file: Path, tmp_path: Path
) -> None:
    sqlite.commit(Put("a", b"1"))
    early = sqlite.subscribe("")
    read(early)
    save(file, tmp_path / "backup")
    sqlite.commit(Put("b", b"1"))
    late = sqlite.subscribe("")
    read(late)
    put_in_place(tmp_path / "backup", file)
    for i in range(5):
        sqlite.commit(Put(f"c{i}", b"1"))
    with pytest.raises(CursorExpired, match="rolled back to a backup"):
        sqlite.subscribe("").resume(cursor_of(late))
    again = sqlite.subscribe("")
    again.resume(cursor_of(early))
    assert len(keys(drain(again))) == 5


@pytest.mark.parametrize("overtaken", [False, True])
def test_G3_a_backup_restored_into_the_open_file_ends_the_stream(
    sqlite: Store, file: Path, tmp_path: Path, overtaken: bool
) -> None:
    sqlite.commit(Put("a", b"1"))
    save(file, tmp_path / "backup")
    sqlite.commit(Put("b", b"1"))
    subscription = sqlite.subscribe("")
    read(subscription)
    with raw(tmp_path / "backup") as source, raw(file) as target:
        source.backup(target)
    if overtaken:
        sqlite.commit(Put("c", b"1"))
    with pytest.raises(CursorExpired):
        subscription.poll(5.0)


def test_deletes_are_remembered_for_the_retention_and_no_longer(sqlite: Store, file: Path) -> None:
    now = time.time()
    transport = sqlite.transport()
    transport.clock = lambda: now  # type: ignore[attr-defined]
    writer = transport.writer()
    writer.commit([Put(f"k{i}", b"1") for i in range(50)])
    old = sqlite.subscribe("")
    read(old)
    writer.commit([Delete(f"k{i}") for i in range(40)])
    idle = sqlite.subscribe("")
    read(idle)
    now += 4000.0
    live = transport.subscribe([""])
    live.resume(cursor_of(idle))
    for i in range(150):
        writer.commit([Put("a", str(i).encode())])
    assert keys(drain(live)) == ["a"], "who waited through a silence can go on"
    with pytest.raises(CursorExpired, match="cannot go on from revision 1; read a snapshot"):
        sqlite.subscribe("").resume(cursor_of(old))
    with pytest.raises(CursorExpired):
        old.poll(1.0)
    with raw(file) as connection:
        assert connection.execute("SELECT count(*) FROM kv WHERE value IS NULL").fetchone() == (0,)
        assert connection.execute("SELECT count(*), max(rev) FROM commits").fetchone() == (151, 152)
    assert len(read(sqlite.subscribe(""))) == 11
    live.close()
    writer.close()


def test_G9_commits_are_remembered_up_to_a_number(
    sqlite: Store, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge, "COMMITS", 20)
    writer = sqlite.writer()
    for i in range(300):
        writer.commit([Put(f"a{i}", b"")])
        writer.commit([Delete(f"a{i}")])
    with raw(file) as connection:
        assert connection.execute("SELECT count(*) FROM commits").fetchone()[0] < 150
        assert connection.execute("SELECT count(*) FROM kv").fetchone()[0] < 80


@pytest.mark.slow
def test_many_tombstones_are_purged_faster_than_they_come(sqlite: Store, file: Path) -> None:
    now = time.time()
    transport = sqlite.transport()
    transport.clock = lambda: now  # type: ignore[attr-defined]
    writer = transport.writer()
    for i in range(20):
        now += 2000.0
        writer.commit([Put(f"k{i}/{j}", b"") for j in range(2000)])
        writer.commit([Delete(f"k{i}/{j}") for j in range(2000)])
    for i in range(101):
        now += 2000.0
        writer.commit([Put("a", str(i).encode())])
    with raw(file) as connection:
        assert connection.execute("SELECT count(*) FROM kv").fetchone() == (1,)
    writer.close()


@pytest.mark.parametrize("how", ["closed", "broken"])
def test_a_snapshot_left_behind_lets_the_file_go(sqlite: Store, file: Path, how: str) -> None:
    sqlite.commit(*(Put(f"k{i}", b"") for i in range(5000)))
    subscription = sqlite.subscribe("")
    chunks = subscription.snapshot()
    next(chunks)
    kept = None
    if how == "closed":
        chunks.close()  # type: ignore[attr-defined]
    else:
        with pytest.raises(ZeroDivisionError) as kept:
            chunks.throw(ZeroDivisionError)  # type: ignore[attr-defined]
    read(sqlite.subscribe(""))
    sqlite.commit(Put("a", b""))
    with raw(file) as connection:
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0, (
            "a reader is in the way"
        )
    assert kept is None or kept.traceback, "what broke it keeps its frames alive"


def test_a_key_that_is_no_text_is_named_and_hurts_no_other(sqlite: Store, file: Path) -> None:
    sqlite.commit(Put("a", b"1"), Put("c", b"1"))
    subscription = sqlite.subscribe("")
    read(subscription)
    with raw(file) as connection:
        connection.execute("INSERT INTO kv VALUES (CAST(x'62ff2f' AS TEXT), x'31', 2, NULL)")
        connection.execute("INSERT INTO commits VALUES (2, 'ab', 0)")
    sqlite.commit(Put("d", b"1"))
    for changes in (subscription.poll(1.0).changes, *sqlite.subscribe("").snapshot()):  # type: ignore[union-attr]
        errors = {change.key: change.error for change in changes if isinstance(change, Entry)}
        assert errors.pop("b\0\\xff/") == "the key b\\xff/ is no UTF-8 text; write it anew"
        assert {"d": None}.items() <= errors.items()
        assert set(errors.values()) == {None}


def test_a_key_that_is_no_text_leaves_the_text_spelled_alike_alone(sqlite: Store, file: Path) -> None:
    sqlite.commit(Put(r"k\xfe", b"text"))
    subscription = sqlite.subscribe("")
    read(subscription)
    told: list[Entry | Gone] = []
    for revision, value in ((2, b"raw"), (3, None)):
        with raw(file) as connection:
            connection.execute("DELETE FROM kv WHERE key = CAST(x'6bfe' AS TEXT)")
            connection.execute("INSERT INTO kv VALUES (CAST(x'6bfe' AS TEXT), ?, ?, NULL)", (value, revision))
            connection.execute("INSERT INTO commits VALUES (?, 'ab', 0)", (revision,))
        told += [change for batch in drain(subscription) for change in batch.changes]
        names = [entry.key for chunk in sqlite.subscribe("").snapshot() for entry in chunk]
        assert len(set(names)) == len(names) == (2 if value else 1)
        assert r"k\xfe" in names
    assert [(type(change), change.key) for change in told] == [(Entry, "k\0\\xfe"), (Gone, "k\0\\xfe")]


def test_text_that_looks_like_the_name_of_another_key_has_its_own(sqlite: Store, file: Path) -> None:
    sqlite.commit(Put("first", b"1"))
    with raw(file) as connection:
        for key in ("6bfe", "6b005c786665"):  # the second is the first one's name
            connection.execute(f"INSERT INTO kv VALUES (CAST(x'{key}' AS TEXT), x'31', 1, NULL)")
    names = [entry.key for chunk in sqlite.subscribe("").snapshot() for entry in chunk]
    assert sorted(names) == ["first", "k\0\\x00\\xfe", "k\0\\xfe"]


def test_a_file_that_is_reached_by_a_link_is_one_store(sqlite: Store, file: Path) -> None:
    sqlite.commit(Put("a", b"1"))
    link = file.with_name("link.db")
    link.symlink_to(file)
    other = Store(lambda: SqliteTransport(Url.parse(f"sqlite:{link}")))
    subscription = other.subscribe("")
    read(subscription)
    sqlite.commit(Put("b", b"1"))
    assert keys(drain(subscription)) == ["b"]
    other.close()
    assert os.path.samefile(link, file)
