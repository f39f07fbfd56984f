"""ZooKeeper keeps the rules for transports: a real server, at its top and below a chroot."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kazoo.retry import KazooRetry

from datasync_core.testing import OutsideStore, TransportConformance
from tests.servers.zookeeper import ZooKeeper
from tests.transports.zookeepers import Outside, outside_store


@pytest.fixture
def outside_of(zookeeper_server: ZooKeeper) -> Iterator[type[Outside]]:
    client = zookeeper_server.client(
        connection_retry=KazooRetry(-1, max_delay=0.1), command_retry=KazooRetry(-1, deadline=20)
    )

    class Ours(Outside):
        def __init__(self, root: str) -> None:
            super().__init__(client, root)

    yield Ours  # type: ignore[misc]  # a client less to give
    client.stop()
    client.close()


class Zookeeper(TransportConformance):
    largest = 1_000_000  # jute.maxbuffer, less what goes around it
    unwritable = "🎈\x01\ue000"


class TestZookeeper(Zookeeper):
    many = 100_000

    @pytest.fixture
    def outside(self, zookeeper_server: ZooKeeper, outside_of: type[Outside]) -> OutsideStore:
        return outside_store(zookeeper_server, outside_of(""))


class TestZookeeperBelowAChroot(Zookeeper):
    many = 5_000

    @pytest.fixture
    def outside(self, zookeeper_server: ZooKeeper, outside_of: type[Outside]) -> OutsideStore:
        outside = outside_of("/apps/ours")
        return outside_store(zookeeper_server, outside, vanish=outside.vanish)
