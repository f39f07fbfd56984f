"""Nothing is lost in silence: whatever ends a connection to Redis is raised, and a new one has it all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import RedisError

from datasync_core import Event, Host, Watch, hookimpl
from datasync_core.config import HostSettings, Settings
from datasync_core.transport import AuthenticationFailed, ConnectionLost, Put, StoreError
from tests.servers.proxy import Proxy
from tests.servers.redis import Redis, Sentinel
from tests.transports.redis_mirror import PATIENCE, Mirror

pytestmark = pytest.mark.server


@pytest.fixture
def client(redis_server: Redis) -> Iterator[Any]:
    """redis-py's client of database 0, which is empty, as all are."""
    with redis_server.client() as client:
        client.flushall()
        yield client


def tracked(client: Any) -> list[Any]:
    """The connections that are told of changes."""
    return [one for one in client.client_list() if "t" in one["flags"]]


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    pause = threading.Event()
    while not holds():
        assert time.monotonic() < deadline
        pause.wait(0.02)


def test_G3_a_killed_connection_is_lost(redis_server: Redis, client: Any) -> None:
    with Mirror(redis_server.url) as copy:
        copy.read()
        [mine] = tracked(client)
        client.client_kill_filter(_id=mine["id"])
        client.set("p/a", "1")
        assert type(copy.until_lost()) is ConnectionLost
        with pytest.raises(ConnectionLost):
            copy.poll()
        assert tracked(client) == []  # and nothing has made another one in secret


def test_G3_a_frozen_server_is_lost_within_liveness(tmp_path: Path) -> None:
    liveness = 2.0
    with Redis(tmp_path) as server, Mirror(server.url, liveness=liveness) as copy:
        copy.read()
        began = time.monotonic()
        while time.monotonic() - began < 2.5 * liveness:  # one that is merely silent is not
            copy.poll()
        server.freeze()
        began = time.monotonic()
        error = copy.until_lost()
        assert type(error) is ConnectionLost
        assert "has said nothing for 2 s, nor answered when it was asked" in str(error)
        assert time.monotonic() - began < 10 * liveness
        server.thaw()


@pytest.mark.parametrize("master", [False, True])
def test_a_push_after_a_request_restarts_the_liveness_timeout(
    redis_server: Redis, client: Any, master: bool
) -> None:
    """Gives the server the whole liveness timeout from the moment at which the push came.

    A push may have been on its way when a server froze that had not read yet what it was asked.
    """
    with Mirror(redis_server.url, liveness=4.0) as copy:
        copy.read()
        subscription: Any = copy.subscription
        wire = subscription._opened[0]
        wire._master = master  # HELLO alone proves it then, but a push is a word as well
        client.set("p/a", "1")
        while not wire.dirty:
            wire.listen()
        wire.asked = wire.heard - 1.0  # as if the answer had not come by then
        wire.proven = wire.heard - 3.0
        assert subscription._beat(wire, wire.heard + 1.5) == pytest.approx(2.5)
        with pytest.raises(ConnectionLost, match="has said nothing for 4 s, nor answered when it was asked"):
            subscription._beat(wire, wire.heard + 4.0)


def test_a_reader_that_was_away_for_long_is_not_taken_for_a_dead_server(
    redis_server: Redis, client: Any
) -> None:
    with Mirror(redis_server.url, liveness=2.0) as copy:
        copy.read()
        threading.Event().wait(4.0)
        client.set("p/a", "1")
        copy.until(lambda: copy.values == {"p/a": b"1"})


def test_G3_a_connection_that_the_server_cuts_for_its_backlog_is_lost(
    redis_server: Redis, client: Any
) -> None:
    with Mirror(redis_server.url) as copy:
        copy.read()
        client.config_set("client-output-buffer-limit", "normal 65536 65536 1")
        try:
            name = "p/" + "x" * 1000
            for number in range(100):
                with client.pipeline(transaction=False) as many:
                    for key in range(100):
                        many.set(f"{name}{number}.{key}", "1")
                    many.execute()
                if not tracked(client):
                    break
            assert not tracked(client)
        finally:
            client.config_set("client-output-buffer-limit", "normal 0 0 0")
        assert type(copy.until_lost()) is ConnectionLost
    with Mirror(redis_server.url) as again:
        assert len(again.read().values) == client.dbsize()


@pytest.mark.parametrize("how", ["cut", "close"])
def test_G3_a_snapshot_that_is_cut_in_the_middle_is_no_snapshot(
    redis_server: Redis, client: Any, how: str
) -> None:
    client.mset({f"p/{number}": "x" * 100 for number in range(20_000)})
    with Proxy(redis_server.address) as proxy, Mirror(f"redis://127.0.0.1:{proxy.port}/0") as copy:
        chunks = copy.subscription.snapshot()
        for _ in range(4):
            assert next(chunks) == []
        getattr(proxy, how)()
        with pytest.raises(ConnectionLost):
            list(chunks)
        with pytest.raises(StoreError):
            copy.poll()
    with Mirror(redis_server.url) as again:
        assert len(again.read().values) == 20_000


def test_G3_a_server_that_was_restarted_empty_is_lost_and_then_read(tmp_path: Path) -> None:
    with Redis(tmp_path) as server, Mirror(server.url) as copy:
        server.call("SET", "p/a", "1")
        copy.read()
        server.restart(kill=True, keep_data=False)
        assert type(copy.until_lost()) is ConnectionLost
        with Mirror(server.url) as again:
            assert again.read().values == {}


def test_a_changed_password_refuses_the_next_connection_only(tmp_path: Path) -> None:
    """Ends no connection that is authenticated already."""
    with Redis(tmp_path, password="old") as server, Mirror(f"redis://:old@127.0.0.1:{server.port}/0") as copy:
        copy.read()
        with server.client() as client:
            client.config_set("requirepass", "new")
            client.set("p/a", "1")
            copy.until(lambda: copy.values == {"p/a": b"1"})
            client.client_kill_filter(_type="normal", skipme=True)
        assert type(copy.until_lost()) is ConnectionLost
        subscription = copy.transport.subscribe(["p/"])
        with pytest.raises(AuthenticationFailed, match="refused the user default") as raised:
            list(subscription.snapshot())
        assert "old" not in str(raised.value)
        subscription.close()


def test_a_server_that_loads_its_data_is_waited_for(tmp_path: Path) -> None:
    slowly = {"key-load-delay": "100", "loading-process-events-interval-bytes": "1024"}
    with Redis(tmp_path, persistent=True, settings=slowly) as server:
        with server.client() as client:
            client.mset({f"p/{number}": "x" * 100 for number in range(20_000)})
            client.bgrewriteaof()
            eventually(lambda: client.info("persistence")["aof_rewrite_in_progress"] == 0)
        server.stop()
        server.spawn()  # it loads for seconds
        said: list[str] = []
        eventually(lambda: _said(server.url, said) and "is still loading its data" in said[-1])
        eventually(lambda: not _said(server.url, said))
        assert all("connection refused" in one or "is still loading its data" in one for one in said)
        with Mirror(server.url) as copy:
            assert len(copy.read().values) == 20_000


def _said(url: str, said: list[str]) -> bool:
    """Whether the connection was lost, and how."""
    with Mirror(url) as copy:
        try:
            copy.read()
        except ConnectionLost as error:
            said.append(str(error))
            return True
    return False


def test_G3_after_a_failover_the_new_master_is_read_and_written(tmp_path: Path) -> None:
    with (
        Redis(tmp_path / "a", password="sesame") as master,
        Redis(tmp_path / "b", password="sesame", replica_of=master) as replica,
        Sentinel(tmp_path / "s", master) as sentinel,
    ):
        eventually(sentinel.knows_replica)
        url = f"redis://:sesame@127.0.0.1:{sentinel.port}/0?service=mymaster"
        with Mirror(url) as copy:
            writer = copy.transport.writer()
            writer.commit([Put("p/a", b"1")])
            copy.read()
            assert copy.values == {"p/a": b"1"}
            eventually(lambda: replica.call("GET", "p/a") == b"1")
            master.kill()
            assert type(copy.until_lost()) is ConnectionLost
            eventually(lambda: _is_master(replica))
            with Mirror(url) as again:
                eventually(lambda: _reads(again))
                assert again.values == {"p/a": b"1"}
                eventually(lambda: _writes(writer, Put("p/b", b"2")))
                again.until(lambda: again.values == {"p/a": b"1", "p/b": b"2"})
            writer.close()


@pytest.mark.parametrize("busy", [False, True])
def test_G3_a_demoted_master_is_lost_within_liveness(tmp_path: Path, busy: bool) -> None:
    """Raises ConnectionLost although the Sentinels still name the demoted server as master.

    REPLICAOF ends no connection, and a replica tells changes as well as a master.
    """
    liveness = 2.0
    with (
        Redis(tmp_path / "a") as one,
        Redis(tmp_path / "b") as other,
        Sentinel(tmp_path / "s", one) as sentinel,
        Mirror(f"redis://127.0.0.1:{sentinel.port}/0?service=mymaster", liveness=liveness) as copy,
    ):
        copy.read()
        # A master is not lost, whether it says something or not.
        goes_on(copy, one if busy else None, 1.5 * liveness)
        sentinel.freeze()
        one.call("REPLICAOF", "127.0.0.1", other.port)
        began = time.monotonic()
        with pytest.raises(ConnectionLost, match="is no master any more; the Sentinels are asked for it"):
            goes_on(copy, other if busy else None, PATIENCE)
        assert time.monotonic() - began < 10 * liveness
        sentinel.thaw()
        again = copy.transport.subscribe(["p/"])
        with pytest.raises(ConnectionLost, match="name a server that is no master now"):
            list(again.snapshot())
        again.close()


def goes_on(copy: Mirror, written: Redis | None, seconds: float) -> None:
    """Poll for so long, while a server may be written all the time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if written is not None:
            written.call("SET", "p/a", time.monotonic())
        copy.poll(0.2 if written is None else 0.01)


def _is_master(server: Redis) -> bool:
    try:
        return bool(server.call("ROLE")[0] == b"master")
    except RedisError:  # who is promoted ends its connections
        return False


def _reads(copy: Mirror) -> bool:
    copy.subscription.close()
    copy.subscription = copy.transport.subscribe(["p/"])
    try:
        copy.read()
    except ConnectionLost:
        return False
    return True


def _writes(writer: Any, put: Put) -> bool:
    try:
        writer.commit([put])
    except ConnectionLost:
        return False
    return True


def test_a_master_that_became_a_replica_is_followed_and_takes_no_writes(tmp_path: Path) -> None:
    with Redis(tmp_path / "a") as one, Redis(tmp_path / "b") as other, Mirror(one.url) as copy:
        one.call("SET", "p/mine", "1")
        other.call("SET", "p/theirs", "2")
        writer = copy.transport.writer()
        writer.commit([Put("p/x", b"1")])
        copy.read()
        one.call("REPLICAOF", "127.0.0.1", other.port)
        eventually(lambda: one.call("INFO", "replication")["master_link_status"] == "up")
        copy.until(lambda: copy.values == {"p/theirs": b"2"})
        other.call("SET", "p/more", "3")
        copy.until(lambda: copy.values == {"p/theirs": b"2", "p/more": b"3"})
        with pytest.raises(ConnectionLost, match="is a replica, which takes no writes; name its master"):
            writer.commit([Put("p/x", b"1")])
        writer.close()


def test_what_SWAPDB_did_in_silence_an_audit_finds(redis_server: Redis, client: Any) -> None:
    """G3 with help: the server names no key, so nothing but a comparison can tell."""
    with redis_server.client(db=1) as other:
        other.mset({"p/a": "other", "p/c": "new"})
    client.mset({"p/a": "mine", "p/b": "mine"})
    reads = Reads()
    settings = Settings(HostSettings("audited", audit=0.05), {}, {}, Path.cwd())
    with Host(redis_server.url, {"reads": reads}, settings=settings) as host:
        assert host.wait(PATIENCE)
        assert reads.seen == {"a": "mine", "b": "mine"}
        client.execute_command("SWAPDB", 0, 1)
        eventually(lambda: reads.seen == {"a": "other", "c": "new"})
        [fault, *_] = [fault for fault in host.status()["faults"] if fault["kind"] == "audit"]
        assert "an audit found 3 keys that differ" in fault["text"]


def test_without_an_audit_SWAPDB_is_not_told(redis_server: Redis, client: Any) -> None:
    """What the page says: where this is told some day, no audit is needed for it."""
    client.set("p/a", "mine")
    with Mirror(redis_server.url) as copy:
        copy.read()
        client.execute_command("SWAPDB", 0, 1)
        client.set("p/b", "1")
        copy.until(lambda: "p/b" in copy.values)
        assert copy.values["p/a"] == b"mine"
        assert client.get("p/a") is None


class Reads:
    """A plugin that keeps what it is told."""

    watch = Watch("p/", str)
    watches = [watch]

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}

    @hookimpl
    def on_resync(self, event: Event) -> None:
        self.seen = dict(event[self.watch])

    @hookimpl
    def on_change(self, event: Event) -> None:
        self.seen = dict(event[self.watch])
