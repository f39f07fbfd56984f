"""Entries that live with the host are there for as long as it has a session, and are nobody else's."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kazoo.client import KazooClient

from datasync_core.plugins.transports import make_transport
from datasync_core.transport import AuthenticationFailed, ConnectionLost, Delete, Put, Url, Writer
from datasync_transports.zookeeper import ZookeeperTransport
from datasync_transports.zookeeper.session import Session
from tests.servers.proxy import Proxy
from tests.servers.zookeeper import ZooKeeper
from tests.transports.zookeepers import LIVENESS, Zoo

pytestmark = pytest.mark.server


def eventually(condition: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so within {seconds} s"


@pytest.fixture
def living(zoo: Zoo) -> Iterator[ZookeeperTransport]:
    transport = zoo.transport()
    assert isinstance(transport, ZookeeperTransport)
    yield transport
    transport.close()


def owner(zoo: Zoo, key: str) -> int:
    """The session that an entry ends with; 0 where it is not there."""
    return owned(zoo.outside.client, f"{zoo.outside.root}/{key}")


def owned(client: KazooClient, path: str) -> int:
    """The session that a node ends with; 0 where it is not there."""
    stat = client.exists(path)
    return 0 if stat is None else int(stat.ephemeralOwner)


def commit_or_lose(writer: Writer, op: Put) -> bool:
    """Whether it was written; raises what is no lost connection."""
    try:
        writer.commit([op])
    except ConnectionLost:
        return False
    return True


def expire(zoo: Zoo, server: ZooKeeper, key: str) -> int:
    """Let the session of a living entry end; its number."""
    ended = owner(zoo, key)
    assert ended
    server.expire(ended)
    return ended


def test_a_life_is_made_anew_where_the_chroot_comes_later(tmp_path: Path) -> None:
    with ZooKeeper(tmp_path) as server:
        with server.using() as client:
            zoo = Zoo(client, server.url, "/apps")
            transport = zoo.transport()
            transport.writer().commit([Put("hosts/me", b"1", alive=True)])
        server.restart(keep_data=False, kill=True)
        with server.using() as client:
            eventually(lambda: len(server.sessions()) > 1)
            assert not threading.Event().wait(0.5), "it has been tried by now"
            client.create("/apps")
            eventually(lambda: client.exists("/apps/hosts/me"))
            zoo.close()
            assert client.exists("/apps/hosts/me") is None


def test_a_life_is_made_anew_though_the_new_connection_is_cut(
    zoo: Zoo, living: ZookeeperTransport, zookeeper_server: ZooKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cuts the connection of the new session at once, so that nothing that was sent over it arrives."""
    heard, cuts = Session._heard, -1  # the first connection stays

    def cut_once(session: Session, state: str) -> None:
        nonlocal cuts
        heard(session, state)
        if state == "CONNECTED":
            cuts += 1
            if cuts == 1:
                session._handler.cut()  # what was sent by now never arrives

    monkeypatch.setattr(Session, "_heard", cut_once)
    living.writer().commit([Put("hosts/me", b"1", alive=True), Put("you", b"2", alive=True)])
    first = owner(zoo, "you")
    expire(zoo, zookeeper_server, "you")
    eventually(lambda: owner(zoo, "you") not in (0, first))
    eventually(lambda: owner(zoo, "hosts/me") == owner(zoo, "you"))
    assert cuts == 2


def test_a_life_that_others_deleted_or_overwrote_is_not_brought_back(
    zoo: Zoo, living: ZookeeperTransport, zookeeper_server: ZooKeeper
) -> None:
    writer = living.writer()
    keys = ("deleted", "set", "replaced", "mine")
    for key in keys:
        writer.commit([Put(key, b"old", alive=True)])
    writer.commit([Put("mine", b"new", alive=True)])
    first = owner(zoo, "mine")
    zoo.outside.delete("deleted")
    zoo.outside.put("set", b"theirs")
    zoo.outside.delete("replaced")
    zoo.outside.put("replaced", b"theirs")
    eventually(lambda: set(living._lives._entries) == {f"{zoo.outside.root}/mine"})
    expire(zoo, zookeeper_server, "mine")
    eventually(lambda: owner(zoo, "mine") not in (0, first))
    client, root = zoo.outside.client, zoo.outside.root
    assert client.get(f"{root}/mine")[0] == b"new"
    assert client.get(f"{root}/replaced")[0] == b"theirs"
    assert sorted(client.get_children(root)) == ["mine", "replaced"]


def test_a_life_that_the_host_wrote_again_is_still_its_own(
    zoo: Zoo, living: ZookeeperTransport, zookeeper_server: ZooKeeper
) -> None:
    writer = living.writer()
    for number in range(50):
        writer.commit([Put("me", b"%d" % number, alive=True), Put("gone", b"1", alive=True)])
    writer.commit([Delete("gone")])
    writer.close()
    for _ in range(2):
        first = expire(zoo, zookeeper_server, "me")
        eventually(lambda first=first: owner(zoo, "me") not in (0, first))  # type: ignore[misc]
        assert zoo.outside.client.get(f"{zoo.outside.root}/me")[0] == b"49"
    assert not owner(zoo, "gone")


def test_a_life_that_others_took_while_the_host_was_away_stays_theirs(
    zoo: Zoo, zookeeper_server: ZooKeeper
) -> None:
    with Proxy(zookeeper_server.address) as proxy:
        transport = zoo.through(proxy.port)
        transport.writer().commit([Put("me", b"1", alive=True), Put("other", b"1", alive=True)])
        first = owner(zoo, "me")
        proxy.refuse()
        proxy.cut()
        zoo.outside.delete("me")
        zoo.outside.put("me", b"theirs")
        zookeeper_server.expire(first)
        proxy.flow()
        eventually(lambda: owner(zoo, "other") not in (0, first))
        assert zoo.outside.client.get(f"{zoo.outside.root}/me")[0] == b"theirs"
        eventually(lambda: set(transport._lives._entries) == {f"{zoo.outside.root}/other"})
        transport.close()


def test_a_life_is_made_anew_after_the_server_refused_its_host_for_a_while(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ZooKeeper(tmp_path, users={"bob": "secret"}) as server:
        transport = make_transport(Url.parse(f"zookeeper://bob:secret@{server.hosts}?sasl=DIGEST-MD5"), {})
        transport.liveness = LIVENESS
        writer = transport.writer()
        writer.commit([Put("me", b"1", alive=True)])
        with server.using() as client:
            former = owned(client, "/me")
        server.users["bob"] = "changed"
        server.restart(kill=True)
        with pytest.raises(AuthenticationFailed, match="refuses user bob; check"):
            eventually(lambda: commit_or_lose(writer, Put("me", b"2", alive=True)))
        server.users["bob"] = "secret"
        server.restart(kill=True)
        with server.using() as client:
            eventually(lambda: owned(client, "/me") not in (0, former))
            assert client.get("/me")[0] == b"1"
            writer.commit([Put("me", b"2", alive=True)])
            transport.close()
            assert client.exists("/me") is None
    said = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(said) == 1
    assert "refuses user bob" in said[0]
    assert "secret" not in said[0]


def test_nothing_was_written_while_the_session_is_away(zoo: Zoo, zookeeper_server: ZooKeeper) -> None:
    with Proxy(zookeeper_server.address) as proxy:
        transport = zoo.through(proxy.port)
        writer = transport.writer()
        writer.commit([Put("me", b"1", alive=True)])
        proxy.refuse()
        proxy.cut()
        session = transport._lives._session
        assert session is not None
        eventually(lambda: not session.connected)
        with pytest.raises(ConnectionLost, match="is not back yet") as caught:
            writer.commit([Put("me", b"2", alive=True)])
        assert caught.value.unwritten
        unopened = zoo.through(proxy.port)
        with pytest.raises(ConnectionLost) as caught:
            unopened.writer().commit([Put("me", b"2", alive=True)])
        assert caught.value.unwritten
        transport.close()
        with pytest.raises(ConnectionLost, match="was closed") as caught:
            writer.commit([Put("me", b"2", alive=True)])
        assert caught.value.unwritten
