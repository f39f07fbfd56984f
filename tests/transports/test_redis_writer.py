"""Writing to Redis: transactions, what is expected, times to live, and a connection that the server has closed."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from datasync_core import Delete, Event, Host, Put, Watch, hookimpl
from datasync_core.cli.reading import read
from datasync_core.plugins.transports import make_transport
from datasync_core.sync.store import Store
from datasync_core.transport import Conflict, ConnectionLost, StoreError, Transport, Unsupported, Url, Writer
from tests.servers.proxy import Proxy
from tests.servers.redis import Redis
from tests.transports.redis_mirror import PATIENCE

pytestmark = pytest.mark.server


@pytest.fixture
def client(redis_server: Redis) -> Iterator[Any]:
    """redis-py's client of database 0, which is empty, as all are."""
    with redis_server.client() as client:
        client.flushall()
        yield client


@pytest.fixture
def transport(redis_server: Redis) -> Transport:
    return make_transport(Url.parse(redis_server.url), {})


@pytest.fixture
def writer(transport: Transport, client: Any) -> Iterator[Writer]:
    writer = transport.writer()
    yield writer
    writer.close()


def milliseconds(client: Any) -> int:
    """The server's clock."""
    seconds, microseconds = client.time()
    return int(seconds * 1000 + microseconds // 1000)


def test_what_is_expected_of_a_hash_and_a_string_is_watched(
    client: Any, transport: Transport, writer: Writer
) -> None:
    """Reading both takes two commands; a transaction of their own would end the watch before anything is written."""
    client.hset("p/h", "f", "1")
    client.set("p/s", "1")
    expect = {"p/h": transport.revision_of(b'{"f":"1"}'), "p/s": transport.revision_of(b"1")}
    seen: list[Any] = []

    class Overtaking(dict[str, int]):
        """Another writes when the values have been read and are about to be compared."""

        def items(self) -> Any:
            if not seen:
                seen.append(client.set("p/s", "2"))
            return super().items()

    with pytest.raises(Conflict):
        writer.commit([Put("p/s", b"3")], expect=Overtaking(expect))
    assert client.get("p/s") == b"2"


def test_a_put_replaces_what_was_there_with_its_time_to_live(client: Any, writer: Writer) -> None:
    client.hset("p/a", "f", "1")
    client.set("p/b", "1", ex=100)
    assert writer.commit([Put("p/a", b"\x00\xff"), Put("p/b", b""), Put("p/c", b"1", ttl=0.0001)]) == 0
    assert client.get("p/a") == b"\x00\xff"
    assert (client.get("p/b"), client.ttl("p/b")) == (b"", -1)
    before = milliseconds(client)
    writer.commit([Put("p/c", b"1", ttl=90.5)])
    assert before <= client.pexpiretime("p/c") - 90_500 <= milliseconds(client)
    writer.commit([Put("p/c", b"1"), Delete("p/c")])  # the later one counts
    assert client.exists("p/c") == 0


def test_a_conflict_writes_nothing_and_leaves_the_writer_as_it_was(
    client: Any, transport: Transport, writer: Writer
) -> None:
    number = transport.revision_of
    client.mset({"p/a": "1", "p/b": "2"})
    client.hset("p/h", mapping={"y": "1", "x": "2"})
    for expect in (
        {"p/a": 0},
        {"p/a": number(b"2")},
        {"p/a": number(b"1"), "p/b": number(b"1")},
        {"p/none": number(b"1")},
        {"p/h": 0},
        {"p/h": number(b'{"y":"1","x":"2"}')},
    ):
        said = "was expected not to be there" if 0 in expect.values() else "than what is expected"
        with pytest.raises(Conflict, match=said):
            writer.commit([Put("p/a", b"9"), Delete("p/b"), Put("p/new", b"9")], expect=expect)
    assert {client.get("p/a"), client.get("p/b"), client.get("p/new")} == {b"1", b"2", None}
    writer.commit([Put("p/a", b"3")])  # nothing is watched any more
    expect = {"p/a": number(b"3"), "p/none": 0, "p/h": number(b'{"x":"2","y":"1"}')}
    writer.commit([Put("p/a", b"4"), Delete("p/h")], expect=expect)
    assert client.get("p/a") == b"4"
    assert client.exists("p/h") == 0


def test_the_revision_that_get_shows_is_what_put_expects(
    client: Any, transport: Transport, writer: Writer
) -> None:
    client.set("p/a", "1")
    [entry] = read(Store("main", transport), "p/a")
    writer.commit([Put("p/a", b"2")], expect={"p/a": entry.revision})
    with pytest.raises(Conflict):
        writer.commit([Put("p/a", b"3")], expect={"p/a": entry.revision})


def test_of_many_who_count_with_what_is_expected_none_is_lost(
    client: Any, redis_server: Redis, transport: Transport
) -> None:
    client.set("p/n", "0")
    errors: list[Exception] = []

    def count() -> None:
        writer = transport.writer()
        try:
            with redis_server.client() as reader:
                for _ in range(50):
                    while True:
                        value = reader.get("p/n")
                        try:
                            ops = [Put("p/n", b"%d" % (int(value) + 1))]
                            writer.commit(ops, expect={"p/n": transport.revision_of(value)})
                        except Conflict:
                            continue
                        break
        except Exception as error:
            errors.append(error)
        finally:
            writer.close()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert client.get("p/n") == b"200"


def test_a_connection_that_the_server_closed_while_idle_is_made_anew(client: Any, writer: Writer) -> None:
    writer.commit([Put("p/a", b"1")])
    client.client_kill_filter(_type="normal", skipme=True)
    writer.commit([Put("p/a", b"2")])
    assert client.get("p/a") == b"2"


def test_a_connection_that_breaks_in_a_commit_is_lost_and_not_tried_again(
    client: Any, redis_server: Redis
) -> None:
    with Proxy(redis_server.address) as proxy:
        transport = make_transport(Url.parse(f"redis://127.0.0.1:{proxy.port}/0"), {})
        transport.liveness = 2.0
        writer = transport.writer()
        writer.commit([Put("p/a", b"1")])
        proxy.stall()
        with pytest.raises(ConnectionLost, match="does not answer"):
            writer.commit([Put("p/a", b"2")])
        with pytest.raises(ConnectionLost):
            writer.commit([Put("p/a", b"3")])
        proxy.flow()
        proxy.cut()
        writer.close()


@pytest.fixture
def limited(redis_server: Redis, client: Any) -> Iterator[Callable[..., Writer]]:
    """The writer of a user with all rights but those; as many as are asked for."""
    made: list[Writer] = []

    def make(*rules: str) -> Writer:
        client.execute_command("ACL", "SETUSER", "limited", "reset", "on", ">pw", "~*", "+@all", *rules)
        made.append(
            make_transport(Url.parse(f"redis://limited:pw@127.0.0.1:{redis_server.port}/0"), {}).writer()
        )
        return made[-1]

    yield make
    for writer in made:
        writer.close()
    client.execute_command("ACL", "DELUSER", "limited")


@pytest.mark.parametrize("right", ["unwatch", "mget", "ping"])
def test_a_failed_commit_leaves_no_key_watched(
    client: Any, transport: Transport, limited: Callable[..., Writer], right: str
) -> None:
    """A change of a key that the failed commit watched does not abort the next commit."""
    client.set("p/a", "1")
    writer = limited(f"-{right}")
    number = transport.revision_of(b"2" if right == "unwatch" else b"1")
    with pytest.raises(StoreError, match=f"limited [+]{right}"):
        writer.commit([Put("p/a", b"9")], expect={"p/a": number})
    client.set("p/a", "of somebody else")
    client.execute_command("ACL", "SETUSER", "limited", f"+{right}")
    writer.commit([Put("p/b", b"1"), Put("p/c", b"1")])
    assert client.mget("p/a", "p/b", "p/c") == [b"of somebody else", b"1", b"1"]


def test_an_aborted_transaction_is_known_to_be_unwritten(client: Any, writer: Writer) -> None:
    """Raises ConnectionLost, marked as unwritten, when the server aborts EXEC."""
    writer.commit([Put("p/a", b"1"), Put("p/d", b"1")])
    writer._wire.call("WATCH", "p/a")  # type: ignore[attr-defined]  # as a proxy may that shares connections
    client.set("p/a", "of somebody else")
    ops = [Put("p/b", b"1"), Put("p/c", b"1")]
    with pytest.raises(ConnectionLost, match="did not carry the transaction out") as raised:
        writer.commit(ops)
    assert raised.value.unwritten
    assert client.mget("p/b", "p/c") == [None, None]
    writer.commit(ops)
    assert client.mget("p/b", "p/c") == [b"1", b"1"]


@pytest.mark.parametrize("right", ["multi", "exec"])
def test_who_may_make_no_transactions_writes_no_part_of_one(
    client: Any, limited: Callable[..., Writer], right: str
) -> None:
    writer = limited(f"-{right}")
    with pytest.raises(StoreError, match=f"limited [+]{right}"):
        writer.commit([Put("p/a", b"1"), Put("p/b", b"1")])
    with pytest.raises(StoreError, match=f"limited [+]{right}"):
        writer.commit([Put("p/a", b"1")], expect={"p/a": 0})
    assert client.mget("p/a", "p/b") == [None, None]


def test_keys_that_others_write_all_the_time_are_given_up_within_liveness(
    client: Any, redis_server: Redis, transport: Transport, writer: Writer
) -> None:
    client.set("p/a", "1")
    ended, liveness = threading.Event(), 2.0
    begun = [threading.Event() for _ in range(2)]
    much = b"SET p/a 1\r\n" * 10_000

    def write(first: threading.Event) -> None:
        with socket.create_connection(redis_server.address) as other:
            other.sendall(b"CLIENT REPLY OFF\r\n")
            while not ended.is_set():
                other.sendall(much)
                first.set()
            other.sendall(b"CLIENT REPLY ON\r\n")
            other.recv(100)  # the server has done all that it was sent

    transport.liveness = liveness
    threads = [threading.Thread(target=write, args=(first,)) for first in begun]
    for thread in threads:
        thread.start()
    hasty = transport.writer()
    try:
        assert all(first.wait(PATIENCE) for first in begun)
        began = time.monotonic()
        with pytest.raises(StoreError, match=r"others have written the same keys all the time for 2 s"):
            hasty.commit([Put("p/b", b"1")], expect={"p/a": transport.revision_of(b"1")})
        assert time.monotonic() - began < 10 * liveness
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    hasty.commit([Put("p/c", b"1")], expect={"p/a": transport.revision_of(b"1")})
    hasty.close()
    assert client.mget("p/b", "p/c") == [None, b"1"]


def test_a_full_memory_is_said_and_nothing_is_written(client: Any, writer: Writer) -> None:
    client.config_set("maxmemory", 1)
    try:
        for ops in ([Put("p/a", b"1")], [Put("p/a", b"1"), Put("p/b", b"1")]):
            with pytest.raises(StoreError, match="no memory left for writes"):
                writer.commit(ops)
    finally:
        client.config_set("maxmemory", 0)
    assert client.exists("p/a") == 0


def test_what_is_bound_to_a_host_s_life_is_refused(client: Any, writer: Writer) -> None:
    with pytest.raises(Unsupported, match="cannot bind a key to the life of a host"):
        writer.commit([Put("p/a", b"1", alive=True)])


class Counts:
    """A plugin that keeps the newest change of each key."""

    watch = Watch("n/", str)
    watches = [watch]

    def __init__(self) -> None:
        self.revisions: dict[str, int] = {}
        self.told = threading.Event()

    @hookimpl
    def on_resync(self, event: Event) -> None:
        self.on_change(event)

    @hookimpl
    def on_change(self, event: Event) -> None:
        for change in event.changes(self.watch):
            self.revisions[change.key] = change.revision
            self.told.set()


def test_a_plugin_expects_the_revisions_that_it_was_told(redis_server: Redis, client: Any) -> None:
    client.set("me:n:a", "1")
    plugin = Counts()
    with Host(f"{redis_server.url}?prefix=me:&separator=:", {"counts": plugin}) as host:
        assert host.wait(PATIENCE)
        first = plugin.revisions["n/a"]
        publisher = host.publisher()
        publisher.put("n/new", "1", expect=0)
        publisher.put("n/a", "2", expect=first)
        assert client.get("me:n:a") == b"2"
        with pytest.raises(Conflict):  # the host has not read it yet, or has, and counted on
            publisher.put("n/a", "3", expect=first)
        while plugin.revisions["n/a"] == first:
            plugin.told.clear()
            assert plugin.told.wait(PATIENCE)
        publisher.delete("n/a", expect=plugin.revisions["n/a"])
        assert client.exists("me:n:a") == 0
