"""The servers of tests do what tests want of them: they begin, outlive a kill, lose their data, freeze and end."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as Silent

from tests.servers.certificates import Certificates
from tests.servers.redis import Redis, Sentinel
from tests.servers.server import HOST, PATIENCE, NotServing, Server
from tests.servers.zookeeper import Ensemble, ZooKeeper, session_password, using

pytestmark = pytest.mark.server


def test_a_redis_outlives_a_kill_with_its_data_and_a_wipe_without(tmp_path: Path) -> None:
    with Redis(tmp_path, persistent=True, password="secret") as server:
        first = server.pid
        server.call("SET", "a", "1")
        server.restart(kill=True)
        assert server.pid != first
        assert server.call("GET", "a") == b"1"
        server.restart(keep_data=False)
        assert server.call("GET", "a") is None
        with server.client(password=None) as client, pytest.raises(AuthenticationError):
            client.ping()
    assert not _exists(first)


def test_a_frozen_server_answers_when_thawed_and_ends_when_stopped(
    redis_server: Redis, tmp_path: Path
) -> None:
    with Redis(tmp_path) as server:
        server.freeze()
        with server.client(socket_timeout=0.05) as client, pytest.raises(Silent):
            client.ping()
        server.thaw()
        assert server.call("PING")
        server.freeze()
    assert not server.running
    assert redis_server.call("PING")  # the one that tests share is another


def test_a_port_that_is_taken_is_given_up_for_another(tmp_path: Path) -> None:
    with Redis(tmp_path / "a") as one, ZooKeeper(tmp_path / "b") as other:
        for server, taken in (
            (Redis(tmp_path / "c"), one.port),
            (Redis(tmp_path / "d"), other.port),
            (ZooKeeper(tmp_path / "e"), one.port),
            (ZooKeeper(tmp_path / "f"), other.port),
        ):
            server.port = taken
            with server:
                assert server.port != taken
                assert server.serves()


def test_a_server_that_cannot_begin_says_what_its_log_says(tmp_path: Path) -> None:
    server = Redis(tmp_path, settings={"maxmemry": "1mb"})
    with pytest.raises(NotServing, match="maxmemry"), server:
        pass
    assert not server.running


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="only setpriv lets a process end with its parent")
def test_a_server_ends_with_tests_that_are_killed(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from tests.servers.redis import Redis
server = Redis(Path({str(tmp_path)!r})).start()
print(server.pid, flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as tests:
        assert tests.stdout is not None
        pid = int(tests.stdout.readline())
        assert _exists(pid)
        tests.kill()
    deadline = time.monotonic() + PATIENCE
    while _exists(pid):
        assert time.monotonic() < deadline, f"the server {pid} outlives who started it"


def test_redis_speaks_TLS_asks_for_a_certificate_and_knows_its_users(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path / "ca")
    mine = certificates.issue("client")
    with Redis(
        tmp_path / "redis", certificates=certificates, unix_socket=True, users={"bob": "on >secret ~* +@all"}
    ) as server:
        with server.client(
            port=server.tls_port,
            ssl=True,
            ssl_ca_certs=str(certificates.ca),
            ssl_certfile=str(mine.certificate),
            ssl_keyfile=str(mine.key),
            username="bob",
            password="secret",
        ) as client:
            assert client.acl_whoami() == "bob"
        with server.client(unix_socket_path=str(server.socket)) as client:
            assert client.ping()


def test_a_sentinel_promotes_the_replica_of_a_master_that_was_killed(tmp_path: Path) -> None:
    with (
        Redis(tmp_path / "a", password="secret") as master,
        Redis(tmp_path / "b", password="secret", replica_of=master) as replica,
        Sentinel(tmp_path / "s", master) as sentinel,
    ):
        _until(sentinel.knows_replica, sentinel)
        master.kill()

        def is_promoted() -> bool:
            with suppress(RedisConnectionError):  # a server ends its connections when its role changes
                return bool(replica.call("ROLE")[0] == b"master")
            return False

        _until(is_promoted, replica)


def test_a_zookeeper_outlives_a_kill_with_its_data_and_a_wipe_without(tmp_path: Path) -> None:
    with ZooKeeper(tmp_path) as server:
        with server.using() as client:
            client.create("/a", b"1")
            server.restart(kill=True)
            assert client.retry(client.get, "/a")[0] == b"1"
        server.restart(keep_data=False)  # refuses clients that have seen more than it has
        with server.using() as client:
            assert client.exists("/a") is None


def test_the_session_of_a_zookeeper_client_can_be_ended_from_outside(zookeeper_server: ZooKeeper) -> None:
    with zookeeper_server.using() as client, zookeeper_server.using() as other:
        session, password = client.client_id
        assert session_password(session) == password
        assert session in zookeeper_server.sessions()
        client.create("/mine", b"", ephemeral=True)
        zookeeper_server.expire(session)
        assert other.exists("/mine") is None


def test_zookeeper_speaks_TLS(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path / "ca")
    mine = certificates.issue("client")
    with ZooKeeper(tmp_path / "tls", certificates=certificates) as server:
        options = {
            "use_ssl": True,
            "ca": str(certificates.ca),
            "certfile": str(mine.certificate),
            "keyfile": str(mine.key),
        }
        with using(f"127.0.0.1:{server.tls_port}", **options) as client:
            assert client.get_children("/") == ["zookeeper"]


def test_a_zookeeper_that_knows_no_persistent_watch_can_be_had(tmp_path: Path) -> None:
    with ZooKeeper(tmp_path, version="3.5.10") as server, server.using() as client:
        assert client.server_version() == (3, 5, 10)


def test_an_ensemble_gives_up_ports_that_are_taken(tmp_path: Path) -> None:
    ensemble = Ensemble(tmp_path / "a")
    with socket.create_server((HOST, ensemble.servers[1].port)), ensemble:
        assert sorted(server.mode for server in ensemble.servers) == ["follower", "follower", "leader"]


def test_an_ensemble_goes_on_without_its_leader(tmp_path: Path) -> None:
    with Ensemble(tmp_path) as ensemble, ensemble.using() as client:
        client.create("/a", b"1")
        first = ensemble.leader()
        first.kill()
        assert ensemble.leader() is not first
        assert client.retry(client.get, "/a")[0] == b"1"


def _until(condition: Callable[[], bool], server: Server) -> None:
    """Ask until it is so; each question is a round trip, none more than the server can bear."""
    deadline = time.monotonic() + 2 * PATIENCE  # a Sentinel that was starved does nothing for half a minute
    while not condition():
        assert time.monotonic() < deadline, f"not so in time: {server}\n{server.said()}"


def _exists(pid: int | None) -> bool:
    """Whether a process is there that has not ended, waited for or not."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False
