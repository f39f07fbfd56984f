"""G3: whatever ends the stream is told, soon, once and for all; and what was missed is in the next snapshot."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from datasync_core.transport import ConnectionLost, Put, StoreError, Subscription, Transport, Url
from datasync_transports.zookeeper import ZookeeperTransport
from tests.servers.proxy import Proxy
from tests.servers.zookeeper import Ensemble, ZooKeeper
from tests.transports.stores import Held, apply, follow, read, values
from tests.transports.zookeepers import Outside, Zoo, until_lost

pytestmark = pytest.mark.server


@pytest.fixture
def proxy(zookeeper_server: ZooKeeper) -> Iterator[Proxy]:
    with Proxy(zookeeper_server.address) as proxy:
        yield proxy


def read_through(zoo: Zoo, proxy: Proxy, liveness: float) -> Subscription:
    transport = zoo.through(proxy.port)
    transport.liveness = liveness
    subscription = transport.subscribe([""])
    read(subscription)
    return subscription


@pytest.mark.parametrize(
    ("loss", "said", "liveness", "most"),
    [
        (Proxy.cut, "the connection was lost", 120.0, 60.0),
        (Proxy.close, "the connection was lost", 120.0, 60.0),
        (Proxy.stall, r" does not answer within [1-4](\.\d)? s", 4.0, 40.0),
    ],
)
def test_G3_a_lost_connection_is_told_within_liveness_and_stays_lost(
    zoo: Zoo,
    proxy: Proxy,
    loss: Callable[[Proxy], None],
    said: str,
    liveness: float,
    most: float,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A connection that ends is told at once, long before ``liveness``; one that says nothing when that is over."""
    zoo.outside.put("a", b"1")
    subscription = read_through(zoo, proxy, liveness)
    caplog.set_level(logging.WARNING)
    loss(proxy)
    began = time.monotonic()
    error = until_lost(subscription)
    assert isinstance(error, ConnectionLost)
    assert re.search(rf"{said}$", str(error)), error
    assert time.monotonic() - began < most
    proxy.flow()
    zoo.outside.put("a", b"2")
    assert str(until_lost(subscription, 1.0)) == str(error)
    subscription.close()
    assert not caplog.records, "kazoo's warnings are errors here already"
    assert values(read(read_through_anew(zoo, proxy))) == {"a": b"2"}


def read_through_anew(zoo: Zoo, proxy: Proxy) -> Subscription:
    subscription = zoo.through(proxy.port).subscribe([""])
    zoo.closing(subscription.close)
    return subscription


def test_G3_a_silent_store_is_asked_and_a_quiet_one_is_not_lost(zoo: Zoo) -> None:
    transport, liveness = zoo.transport(), 3.0
    transport.liveness = liveness
    subscription = transport.subscribe([""])
    read(subscription)
    began = time.monotonic()
    while (left := began + 2 * liveness - time.monotonic()) > 0:
        assert subscription.poll(left) is None
    zoo.outside.put("a", b"1")
    assert subscription.poll(60.0) is not None
    subscription.close()


def test_G3_an_expired_session_is_a_lost_connection(zoo: Zoo, zookeeper_server: ZooKeeper) -> None:
    before = set(zookeeper_server.sessions())
    subscription = zoo.subscribe("")
    read(subscription)
    (session,) = set(zookeeper_server.sessions()) - before
    zookeeper_server.expire(session)
    assert isinstance(until_lost(subscription), ConnectionLost)


def test_G3_a_snapshot_that_loses_its_server_raises(zoo: Zoo, proxy: Proxy) -> None:
    zoo.commit(*(Put(f"k/{i}", b"x" * 2000) for i in range(400)))
    proxy.delay(0.02)
    subscription = zoo.through(proxy.port).subscribe([""])
    timer = threading.Timer(0.05, proxy.cut)
    timer.start()
    with pytest.raises(ConnectionLost):
        read_again_and_again(subscription)
    timer.join()
    subscription.close()


def read_again_and_again(subscription: Subscription) -> None:
    while True:
        read(subscription)


def test_G3_a_server_that_lost_its_data_is_lost_and_then_empty(tmp_path: Path) -> None:
    with ZooKeeper(tmp_path) as server:
        transport = ZookeeperTransport(Url.parse(server.url))
        writer = transport.writer()
        for i in range(20):
            writer.commit([Put("a", b"%d" % i)])
        subscription = transport.subscribe([""])
        before = read(subscription)
        server.restart(keep_data=False, kill=True)
        assert isinstance(until_lost(subscription), ConnectionLost)
        subscription.close()
        again = transport.subscribe([""])
        assert read(again) == {}
        writer.close()
        writer.commit([Put("a", b"new")])
        held: Held = {}
        follow(again, held, lambda: "a" in held)
        assert held["a"][1] < before["a"][1], "so the host can tell that history went back"
        again.close()
        writer.close()


def test_a_subscription_closed_while_it_connects_ends(zookeeper_server: ZooKeeper) -> None:
    with Proxy(zookeeper_server.address) as proxy:
        proxy.stall()
        transport = ZookeeperTransport(Url.parse(f"zookeeper://127.0.0.1:{proxy.port}"))
        transport.liveness = 5.0
        subscription = transport.subscribe([""])
        timer = threading.Timer(0.2, subscription.close)
        timer.start()
        with pytest.raises(StoreError):
            read(subscription)
        timer.join()
        transport.close()


def test_G1_an_ensemble_that_loses_its_leader_is_followed(tmp_path: Path) -> None:
    with Ensemble(tmp_path) as ensemble:
        with ensemble.using() as client:
            outside = Outside(client, "/apps")
            for i in range(200):
                outside.put(f"k/{i}", b"1")
        transport = ZookeeperTransport(Url.parse(f"{ensemble.url}/apps"))
        transport.liveness = 10.0
        followers = [transport.subscribe([""]) for _ in range(4)]
        held = [read(one) for one in followers]
        assert all(len(one) == 200 for one in held)
        ensemble.leader().kill()
        written = written_at_last(transport, "k/7", b"2")
        for subscription, copy in zip(followers, held, strict=True):
            goes_on(transport, subscription, copy, lambda copy=copy: copy["k/7"][1] >= written)  # type: ignore[misc]
            assert len(copy) == 200
        transport.close()


def written_at_last(transport: Transport, key: str, value: bytes) -> int:
    """Write as often as it takes; the revision."""
    deadline = time.monotonic() + 120
    writer = transport.writer()
    while True:
        try:
            return writer.commit([Put(key, value)])
        except ConnectionLost:
            assert time.monotonic() < deadline
        finally:
            writer.close()


def goes_on(transport: Transport, subscription: Subscription, held: Held, until: Callable[[], bool]) -> None:
    """Poll as the host does: after a loss a new snapshot, which may need some attempts."""
    deadline = time.monotonic() + 120
    current: Subscription | None = subscription
    while not until():
        assert time.monotonic() < deadline
        try:
            if current is None:
                current = transport.subscribe([""])
                found = read(current)
                for key, (_, revision) in found.items():
                    assert revision >= held.get(key, (b"", 0))[1], f"{key} went back"
                held.clear()
                held.update(found)
            elif (batch := current.poll(0.2)) is not None:
                apply(held, batch)
        except ConnectionLost:
            assert current is not None
            current.close()
            current = None
    if current is not None:
        current.close()


def test_G3_a_follower_without_quorum_is_lost_and_no_write_is(tmp_path: Path) -> None:
    """Raises ConnectionLost while the follower has no quorum, and then tells every acknowledged write."""
    with Ensemble(tmp_path) as ensemble:
        leader = ensemble.leader()
        mine, other = (server for server in ensemble.servers if server is not leader)
        with leader.using() as client:
            outside = Outside(client, "/apps")
            for i in range(200):
                outside.put(f"k/{i}", b"1")
        transport, aside = (ZookeeperTransport(Url.parse(f"{one.url}/apps")) for one in (mine, leader))
        transport.liveness = aside.liveness = 6.0
        subscription = transport.subscribe([""])
        held = read(subscription)
        assert len(held) == 200
        last = written_at_last(aside, "k/3", b"just before")  # of which the follower may not know yet
        leader.freeze()
        other.freeze()
        try:
            assert isinstance(until_lost(subscription), ConnectionLost)
            again = transport.subscribe([""])
            with pytest.raises(ConnectionLost):
                read(again)
            again.close()
        finally:
            leader.thaw()
            other.thaw()
        written = written_at_last(transport, "k/7", b"after")
        goes_on(transport, subscription, held, lambda: held["k/7"][1] >= written)
        assert held["k/3"] == (b"just before", last)
        assert held["k/7"] == (b"after", written)
        assert len(held) == 200
        transport.close()
        aside.close()
