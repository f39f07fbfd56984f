"""The embedded store between processes, and after some of them were killed."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from datasync_core.transport import Delete, Entry, Put, Url
from datasync_transports.sqlite import SqliteTransport
from tests.transports.stores import Store, apply, drain, follow, read, values

pytestmark = pytest.mark.slow

CHILD = """
import sys
from datasync_core.transport import Conflict, Put, Url
from datasync_transports.sqlite import SqliteTransport

transport = SqliteTransport(Url.parse("sqlite:" + sys.argv[1]))
writer = transport.writer()
"""
ANSWER = (
    CHILD
    + """
for number, line in enumerate(sys.stdin):
    writer.commit([Put("t", str(number).encode())])
    print("done", flush=True)
"""
)
FLOOD = (
    CHILD
    + """
for i in range(1, 10**9):
    writer.commit([Put(f"k{k}", str(i).encode()) for k in range(20)] + [Put(f"n{i % 500}", b"x" * 500)])
    print(i, flush=True)
"""
)
COUNT = (
    CHILD
    + """
sys.stdin.readline()
done = 0
while done < 50:
    subscription = transport.subscribe(["n"])
    found = [entry for chunk in subscription.snapshot() for entry in chunk]
    subscription.close()
    value, revision = (int(found[0].value), found[0].revision) if found else (0, 0)
    try:
        writer.commit([Put("n", str(value + 1).encode())], expect={"n": revision})
        done += 1
    except Conflict:
        pass
writer.close()
"""
)
CREATE = (
    CHILD
    + """
sys.stdin.readline()
print(writer.commit([Put("made/" + sys.argv[2], b"1")]), flush=True)
writer.close()
"""
)
HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE kv SET value = x'00', rev = 99")
print("held", flush=True)
sys.stdin.readline()
"""


@contextmanager
def child(script: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def say(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


class Rests:
    """In place of the bell that a poll waits for between two looks: another process commits meanwhile."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.waits: list[float] = []
        self._process = process

    def wait(self, timeout: float) -> None:
        self.waits.append(timeout)
        say(self._process)
        assert hear(self._process) == "done"

    def clear(self) -> None:
        """Nobody rings."""

    set = clear


def test_a_poll_looks_for_commits_of_others_each_hundredth_second(
    sqlite: Store, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts looks, not time: the first one after a commit finds it."""
    subscription = sqlite.subscribe("")
    read(subscription)
    with child(ANSWER, file) as process:
        rests = Rests(process)
        monkeypatch.setattr(subscription, "_bell", rests)
        for number in range(21):
            batch = subscription.poll(120.0)
            assert batch is not None
            assert list(batch.changes) == [Entry("t", b"%d" % number, number + 1)]
            assert len(rests.waits) == number + 1
    assert max(rests.waits) <= 0.01


def test_G1_a_killed_writer_leaves_whole_transactions_and_no_lock(sqlite: Store, file: Path) -> None:
    """SIGKILL comes at several moments, and every acknowledged write is there."""
    subscription = sqlite.subscribe("")
    held = read(subscription)
    for attempt in range(5):
        with child(FLOOD, file) as process:
            acknowledged = [hear(process) for _ in range(10 + 37 * attempt)][-1]
            process.send_signal(signal.SIGKILL)
            process.wait()
        for batch in drain(subscription):
            apply(held, batch)
        assert held == read(sqlite.subscribe(""))
        state = {value for key, value in held.items() if key.startswith("k")}
        assert len(state) == 1, "half of a transaction stayed"
        assert int(state.pop()[0]) >= int(acknowledged), "an acknowledged write was lost"
        sqlite.commit(*(Delete(f"k{k}") for k in range(20)))  # raises ConnectionLost if a lock was left
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_of_several_processes_that_compare_and_set_each_counts_once(sqlite: Store, file: Path) -> None:
    with child(COUNT, file) as one, child(COUNT, file) as two, child(COUNT, file) as three:
        for process in (one, two, three):
            say(process)
        assert [process.wait(240) for process in (one, two, three)] == [0, 0, 0]
    assert values(read(sqlite.subscribe(""))) == {"n": b"150"}


def test_processes_that_make_the_file_at_once_make_one(sqlite: Store, file: Path) -> None:
    with child(CREATE, file, 1) as one, child(CREATE, file, 2) as two, child(CREATE, file, 3) as three:
        together = (one, two, three)
        for process in together:
            say(process)
        assert sorted(hear(process) for process in together) == ["1", "2", "3"]
        assert [process.wait(60) for process in together] == [0, 0, 0]
    assert set(read(sqlite.subscribe(""))) == {"made/1", "made/2", "made/3"}


def test_a_process_killed_with_the_lock_leaves_nothing_of_what_it_did(sqlite: Store, file: Path) -> None:
    sqlite.commit(Put("a", b"1"))
    with child(HOLD, file) as process:
        assert hear(process) == "held"
        process.kill()
        process.wait()
    assert sqlite.commit(Put("b", b"1")) == 2
    assert values(read(sqlite.subscribe(""))) == {"a": b"1", "b": b"1"}


def test_a_time_to_live_is_served_when_its_writer_is_dead(sqlite: Store, file: Path) -> None:
    script = CHILD + 'writer.commit([Put("a", b"1", ttl=0.5), Put("b", b"1")]); print("done", flush=True)'
    subscription = sqlite.subscribe("")
    held = read(subscription)
    with child(script, file) as process:
        assert hear(process) == "done"
        process.kill()
    follow(subscription, held, lambda: set(held) == {"b"})


def test_a_sweep_waits_for_no_lock_and_comes_after_it(sqlite: Store, file: Path) -> None:
    now = time.time()
    transport = sqlite.transport()
    transport.clock = lambda: now  # type: ignore[attr-defined]
    transport.liveness = 120.0  # a lock is waited for so long
    writer = transport.writer()
    writer.commit([Put("a", b"1", ttl=10.0)])
    subscription, reader = transport.subscribe([""]), transport.subscribe([""])
    held = read(subscription)
    subscription.poll(0.0)
    with child(HOLD, file) as process:
        assert hear(process) == "held"
        now += 11.0
        began = time.monotonic()
        assert subscription.poll(0.2) is None
        assert read(reader) == {}, "what has expired is not shown"
        assert time.monotonic() - began < 60
        process.kill()
        process.wait()
    now += 1.0
    follow(subscription, held, lambda: not held)
    for each in (subscription, reader, writer):
        each.close()


def test_several_who_make_the_file_at_one_moment_wait_for_each_other(tmp_path: Path) -> None:
    """SQLite's own waiting for locks leaves out the change to write-ahead logging."""
    failed: list[Exception] = []

    def write(transport: SqliteTransport, together: threading.Barrier) -> None:
        together.wait(60)
        writer = transport.writer()
        try:
            writer.commit([Put("a", b"1")])
        except Exception as error:
            failed.append(error)
        finally:
            writer.close()

    for number in range(60):
        transport = SqliteTransport(Url.parse(f"sqlite://{tmp_path}/{number}.db"))
        together = threading.Barrier(3)
        threads = [threading.Thread(target=write, args=(transport, together)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert failed == []
