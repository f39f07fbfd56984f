"""Answers that no store of its kind gives, and files that are damaged: a sentence that names the store."""

from __future__ import annotations

import socket
import sqlite3
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from datasync_core.plugins.transports import make_transport
from datasync_core.transport import ConnectionLost, Misconfigured, Put, Url
from datasync_transports.zookeeper.nodes import Node, decode
from datasync_transports.zookeeper.reading import Reader
from datasync_transports.zookeeper.requests import GET_CHILDREN, GET_DATA, MultiRead
from tests.transports.stores import Store, read, values

HELLO = b"%3\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:3\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
SOUND = {
    b"HELLO": HELLO,
    b"PING": b"+PONG\r\n",
    b"SCAN": b"*2\r\n$1\r\n0\r\n*1\r\n$1\r\na\r\n",
    b"EXISTS": b":1\r\n",
    b"TYPE": b"+hash\r\n",
    b"MGET": b"*1\r\n_\r\n",
    b"HGETALL": b"%1\r\n$1\r\nf\r\n$1\r\nv\r\n",
    b"EXEC": b"*0\r\n",
}


@contextmanager
def speaker(answers: dict[bytes, bytes]) -> Iterator[str]:
    """The URL of a server that gives each command its answer, over one connection."""

    def serve() -> None:
        connection, _ = listener.accept()
        connection.settimeout(60)
        with connection, connection.makefile("rb") as stream:
            while line := stream.readline():
                words = []
                for _ in range(int(line[1:])):
                    size = int(stream.readline()[1:])
                    words.append(stream.read(size))
                    stream.read(2)
                connection.sendall(answers.get(words[0].upper(), b"+OK\r\n"))

    def run() -> None:
        try:
            serve()
        except OSError:
            return  # the other side has had enough

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=run)
        thread.start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        thread.join()


def contents(url: str) -> dict[str, bytes]:
    transport = make_transport(Url.parse(url), {})
    subscription = transport.subscribe([""])
    try:
        return {entry.key: entry.value for chunk in subscription.snapshot() for entry in chunk}
    finally:
        subscription.close()


def test_the_server_of_these_tests_is_sound() -> None:
    with speaker(SOUND) as url:
        assert contents(url) == {"a": b'{"f":"v"}'}


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("MGET", b"*0\r\n"),
        ("MGET", b":5\r\n"),
        ("MGET", b"*1\r\n:7\r\n"),
        ("MGET", b"*2\r\n$1\r\n1\r\n$1\r\n2\r\n"),
        ("SCAN", b"*1\r\n$1\r\n0\r\n"),
        ("SCAN", b":3\r\n"),
        ("SCAN", b"*2\r\n$1\r\nx\r\n*0\r\n"),
        ("SCAN", b"*2\r\n$1\r\n0\r\n*1\r\n:7\r\n"),
        ("SCAN", b"*2\r\n$1\r\n0\r\n$1\r\na\r\n"),
        ("TYPE", b":1\r\n"),
        ("TYPE", b"$1\r\n\xff\r\n"),
        ("HGETALL", b"*1\r\n$1\r\nf\r\n"),
        ("HGETALL", b"%1\r\n$1\r\nf\r\n:1\r\n"),
    ],
)
def test_an_answer_of_another_shape_than_redis_gives_is_a_lost_connection(
    command: str, answer: bytes
) -> None:
    with speaker({**SOUND, command.encode(): answer}) as url:
        with pytest.raises(
            ConnectionLost, match=rf"^redis://127\S+ gave an answer to {command} that is not"
        ) as caught:
            contents(url)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        b"$abc\r\n",
        b"*-7\r\n",
        b"?\r\n",
        b">2\r\n$10\r\ninvalidate\r\n:7\r\n+PONG\r\n",
        b">2\r\n$10\r\ninvalidate\r\n*1\r\n:7\r\n+PONG\r\n",
        b">1\r\n$10\r\ninvalidate\r\n+PONG\r\n",
    ],
)
def test_what_is_not_the_protocol_of_redis_is_a_sentence(answer: bytes) -> None:
    with speaker({**SOUND, b"PING": answer}) as url:
        with pytest.raises((ConnectionLost, Misconfigured), match="127.0.0.1") as caught:
            contents(url)
    assert "does not answer as Redis does" in str(caught.value)


NODE = struct.pack("!iBii", GET_DATA, 0, 0, 1) + b"x" + bytes(68)
NAMES = struct.pack("!iBiii", GET_CHILDREN, 0, 0, 1, 1) + b"c"


def test_what_zookeeper_answers_is_decoded() -> None:
    node, names = decode((NODE + NAMES, 0), 2)
    assert isinstance(node, Node)
    assert (node.data, names) == (b"x", ["c"])


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        NODE[:-1],
        NODE[:10],
        NAMES[:-1],
        struct.pack("!iBii", 99, 0, 0, 0),
        struct.pack("!iBii", GET_DATA, 0, 0, 2**31 - 1),
        struct.pack("!iBiii", GET_CHILDREN, 0, 0, 2**31 - 1, -4),
        struct.pack("!iBiii", GET_CHILDREN, 0, 0, 1, 1) + b"\xff",
        struct.pack("!iBii", -1, 0, -12345, -12345),
        NAMES,
    ],
)
def test_a_broken_answer_to_many_reads_is_a_lost_connection(junk: bytes) -> None:
    place: Any = SimpleNamespace(__str__=str, directories=set())
    session: Any = SimpleNamespace(place=place)
    reader = Reader(session, lambda _: None, lambda _: None)
    reply: Any = SimpleNamespace(request=MultiRead([(GET_DATA, "/a", 0)]), value=(junk, 0))
    with pytest.raises(ConnectionLost, match="gave an answer that is not one of ZooKeeper's"):
        list(reader._results(reply))


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM meta",
        "INSERT INTO meta SELECT * FROM meta",
        "UPDATE meta SET version = 'one'",
        "UPDATE meta SET epoch = x'ff'",
        "UPDATE meta SET epoch = ''",
        "DELETE FROM commits",
        "UPDATE commits SET mark = x'ff'",
    ],
)
def test_a_damaged_file_is_named_with_what_to_do(sqlite: Store, file: Path, damage: str) -> None:
    sqlite.commit(Put("a", b"1"))
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(damage)
    for use in (lambda: read(sqlite.subscribe("")), lambda: sqlite.commit(Put("a", b"2"))):
        with pytest.raises(
            Misconfigured, match=r"test\.db is damaged \(.* table .*\); restore it from a backup"
        ):
            use()


def test_a_history_that_is_damaged_while_it_is_followed_is_named(sqlite: Store, file: Path) -> None:
    sqlite.commit(Put("a", b"1"))
    subscription = sqlite.subscribe("")
    read(subscription)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE commits SET mark = x'ff'")
    with pytest.raises(Misconfigured, match=r"test\.db is damaged"):
        subscription.poll(0.0)


@pytest.mark.parametrize("suffix", ["-shm", "-wal"])
def test_a_file_beside_it_that_was_removed_is_a_lost_connection(
    sqlite: Store, file: Path, suffix: str
) -> None:
    """Who opens the file then sees nothing of what is written through the removed one, nor the other way round."""
    writer = sqlite.writer()
    writer.commit([Put("a", b"1")])
    subscription = sqlite.subscribe("")
    read(subscription)
    Path(f"{file}{suffix}").unlink()
    with pytest.raises(
        ConnectionLost, match=rf"test\.db{suffix} was removed or replaced while test\.db was open"
    ):
        subscription.poll(0.0)
    subscription.close()


def test_a_connection_that_was_left_behind_removes_nothing_of_the_next_one(sqlite: Store, file: Path) -> None:
    """SQLite removes the ``-wal`` by its name when the last connection to a file ends, whosesoever it is by then."""
    sqlite.commit(Put("a", b"1"))
    behind = sqlite.subscribe("")
    read(behind)
    with (
        closing(sqlite3.connect(file)) as source,
        closing(sqlite3.connect(file.with_suffix(".new"))) as target,
    ):
        source.backup(target)
    for suffix in ("-wal", "-shm"):
        Path(f"{file}{suffix}").unlink()
    file.with_suffix(".new").replace(file)
    writer = sqlite.writer()
    writer.commit([Put("b", b"2")])
    with pytest.raises(ConnectionLost):
        behind.poll(0.0)
    behind.close()
    assert Path(f"{file}-wal").exists() or sys.version_info < (3, 12)
    assert values(read(sqlite.subscribe(""))) == {"a": b"1", "b": b"2"}
