"""What the embedded store refuses or cannot do: one sentence each, and nothing is lost."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from datasync_core.transport import ConnectionLost, Misconfigured, Put, StoreError, Unsupported, Url
from datasync_transports.sqlite import SqliteTransport
from tests.transports.stores import Store, read, values

CHILD = """
import os, sys
from datasync_core.transport import Put, StoreError, Url
from datasync_transports.sqlite import SqliteTransport

if sys.argv[3:] and os.geteuid() == 0:
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
transport = SqliteTransport(Url.parse("sqlite:" + sys.argv[1]))
done = 0
try:
    if sys.argv[2] == "read":
        subscription = transport.subscribe([""])
        print(sorted(entry.key for chunk in subscription.snapshot() for entry in chunk))
        print(subscription.poll(0.05))
        subscription.close()
    else:
        writer = transport.writer()
        while True:
            writer.commit([Put(f"k{done}/{i}", bytes(1000)) for i in range(50)])
            done += 1
            if sys.argv[2] == "once":
                break
        writer.close()
except StoreError as error:
    print(type(error).__name__, error, sep=": ")
    if sys.argv[2] != "read":
        writer.close()
print(done)
"""


def run(command: list[str], file: Path, what: str, *nobody: str) -> list[str]:
    """Use the file in a process of its own, as ``nobody`` where root would be let in; what it printed."""
    done = subprocess.run(
        [*command, sys.executable, "-c", CHILD, str(file), what, *nobody],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that other users reach; pytest's own are closed to them."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize("text", ["sqlite:", "sqlite::memory:", "sqlite:?create=true"])
def test_a_url_without_a_file_is_told_about_memory(text: str) -> None:
    with pytest.raises(
        Misconfigured, match="names no file; write sqlite:FILE, or use memory: for what need not last"
    ):
        SqliteTransport(Url.parse(text))


def test_a_url_with_a_server_is_refused() -> None:
    with pytest.raises(Misconfigured, match="names a server; write sqlite:FILE or sqlite:///FOLDER/FILE"):
        SqliteTransport(Url.parse("sqlite://data.db"))


def test_a_file_that_is_no_database_is_named_and_left_alone(sqlite: Store, file: Path) -> None:
    text = b"routes = [\n" * 1000
    file.write_bytes(text)
    for use in (lambda: read(sqlite.subscribe("")), lambda: sqlite.commit(Put("a", b""))):
        with pytest.raises(Misconfigured, match=r"test\.db is no SQLite database; name another file"):
            use()
    assert file.read_bytes() == text


def test_a_database_of_another_program_is_left_alone(sqlite: Store, file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE kv (key TEXT, value TEXT)")
        connection.execute("INSERT INTO kv VALUES ('a', '1')")
        connection.commit()
    before = file.read_bytes()
    for use in (lambda: read(sqlite.subscribe("")), lambda: sqlite.commit(Put("a", b""))):
        with pytest.raises(
            Misconfigured, match=r"test\.db is the database of another program; name another file"
        ):
            use()
    assert file.read_bytes() == before
    assert [found.name for found in file.parent.iterdir()] == [file.name]


def test_tables_of_another_version_are_refused(sqlite: Store, file: Path) -> None:
    sqlite.commit(Put("a", b"1"))
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE meta SET version = 7")
        connection.commit()
    with pytest.raises(Misconfigured, match="tables of version 7, this program knows 1"):
        sqlite.commit(Put("a", b"2"))


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    transport = SqliteTransport(Url.parse("sqlite:no/where.db", tmp_path))
    for use in (lambda: read(transport.subscribe([""])), lambda: transport.writer().commit([Put("a", b"")])):
        with pytest.raises(Misconfigured, match=r"where\.db is not there; create .*/no$"):
            use()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_place_of_the_file_is_named(file: Path, sqlite: Store) -> None:
    file.mkdir()
    with pytest.raises(Misconfigured, match="is a folder; name a file in it"):
        read(sqlite.subscribe(""))


def test_a_lock_that_is_held_too_long_is_a_lost_connection_and_passes(sqlite: Store, file: Path) -> None:
    sqlite.commit(Put("a", b"1"))
    transport = sqlite.transport()
    transport.liveness = 0.1
    writer = transport.writer()
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ConnectionLost, match="is locked by another process"):
            writer.commit([Put("a", b"2")])
        assert values(read(sqlite.subscribe(""))) == {"a": b"1"}, "readers do not wait for writers"
        other.execute("ROLLBACK")
    assert writer.commit([Put("a", b"2")]) == 2
    writer.close()


def test_a_refused_commit_leaves_nothing_half_done(sqlite: Store) -> None:
    writer = sqlite.writer()
    writer.commit([Put("a", b"1")])
    with pytest.raises(Unsupported):
        writer.commit([Put("b", b"1"), Put("c", b"1", alive=True)])
    with pytest.raises(StoreError):
        writer.commit([Put("b", b"1"), Put("c", b"1")], expect={"a": 5})
    assert writer.commit([Put("d", b"1")]) == 2
    assert set(read(sqlite.subscribe(""))) == {"a", "d"}


def test_a_folder_that_may_not_be_written_is_named(shared: Path) -> None:
    shared.chmod(0o555)
    for what in ("read", "once"):
        said = run([], shared / "new.db", what, "nobody")[0]
        assert said.startswith("Misconfigured: "), said
        assert said.endswith(
            "new.db cannot be opened; make it and its folder readable and writable for this user"
        )
    assert list(shared.iterdir()) == []
    shared.chmod(0o755)


def test_a_file_that_may_not_be_read_is_named(shared: Path) -> None:
    file = shared / "secret.db"
    Store(lambda: SqliteTransport(Url.parse(f"sqlite:{file}"))).commit(Put("a", b"1"))
    file.chmod(0)
    said = run([], file, "read", "nobody")[0]
    assert said.startswith("Misconfigured: "), said
    assert "secret.db cannot be opened" in said


@pytest.mark.slow
def test_a_file_that_may_only_be_read_is_read_and_not_written(shared: Path) -> None:
    file = shared / "shown.db"
    store = Store(lambda: SqliteTransport(Url.parse(f"sqlite:{file}")))
    store.commit(Put("a", b"1"), Put("old", b"1", ttl=0.000_001))
    shared.chmod(0o777)
    file.chmod(0o444)
    assert run([], file, "read", "nobody") == ["['a']", "None", "0"]
    said = run([], file, "once", "nobody")[0]
    assert said.startswith("Misconfigured: "), said
    assert "shown.db cannot be written; make it and its folder writable for this user" in said
    assert values(read(store.subscribe(""))) == {"a": b"1"}
    store.close()


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare, of the Debian package util-linux")
def test_a_full_disk_is_an_error_and_nothing_is_lost_or_half_written(tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    file, kept = mount / "full.db", tmp_path / "kept"
    kept.mkdir()
    script = 'mount -t tmpfs -o size=2m none "$0" && shift 0 && "$@"; cp "$0"/* "$KEPT"'
    unshare = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    said = run(["env", f"KEPT={kept}", *unshare, "sh", "-c", script, str(mount)], file, "flood")
    assert said[0].startswith("StoreError: "), said
    assert said[0].endswith("full.db cannot grow, the disk is full; nothing was written")
    whole(kept / "full.db", int(said[1]))


def test_a_file_that_may_not_grow_is_an_error_and_stays_whole(tmp_path: Path) -> None:
    """Every acknowledged transaction is there, none in part, and the file can be written again."""
    file = tmp_path / "full.db"
    said = run(["prlimit", "--fsize=1000000"], file, "flood")
    assert said[0].startswith(("ConnectionLost: ", "StoreError: ")), said
    whole(file, int(said[1]))


def whole(file: Path, commits: int) -> None:
    """The file holds what was acknowledged, whole, and can be used again."""
    store = Store(lambda: SqliteTransport(Url.parse(f"sqlite:{file}")))
    assert commits > 5
    assert set(read(store.subscribe(""))) == {f"k{done}/{i}" for done in range(commits) for i in range(50)}
    assert store.commit(Put("again", b"")) == commits + 1
    store.close()
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
