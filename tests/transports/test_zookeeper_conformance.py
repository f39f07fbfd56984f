"""ZooKeeper keeps the rules for transports: a real server, at its top and below a chroot."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from datasync_core.testing import OutsideStore, TransportConformance
from tests.servers.proxy import Proxy
from tests.servers.zookeeper import ZooKeeper
from tests.transports.many import MANY
from tests.transports.zookeepers import Outside

pytestmark = pytest.mark.server


def outside_store(server: ZooKeeper, root: str) -> Iterator[OutsideStore]:
    """The store below ``root`` through kazoo's own client; ours come through a proxy."""

    def lose() -> None:
        proxy.refuse()
        proxy.cut()

    with server.using() as client, Proxy(server.address) as proxy:
        outside = Outside(client, root)
        yield OutsideStore(
            f"zookeeper://suite:sesame-open@127.0.0.1:{proxy.port}{root}",
            outside.put,
            outside.delete,
            outside.commit,
            vanish=outside.vanish if root else None,
            stop=server.freeze,
            go=server.thaw,
            lose=lose,
            back=proxy.flow,
        )


class Zookeeper(TransportConformance):
    patience, liveness = 60.0, 4.0
    largest = 1_000_000  # jute.maxbuffer, less what goes around it
    unwritable = "🎈\x01\ue000"


@pytest.mark.timeout(900)  # a hundred thousand nodes take most of a minute
class TestZookeeper(Zookeeper):
    many = MANY

    @pytest.fixture
    def outside(self, zookeeper_server: ZooKeeper) -> Iterator[OutsideStore]:
        yield from outside_store(zookeeper_server, "")


class TestNewestZookeeper(Zookeeper):
    many = 2_000

    @pytest.fixture
    def outside(self, newest_zookeeper: ZooKeeper) -> Iterator[OutsideStore]:
        yield from outside_store(newest_zookeeper, "")


class TestZookeeperBelowAChroot(Zookeeper):
    many = 5_000

    @pytest.fixture
    def outside(self, zookeeper_server: ZooKeeper) -> Iterator[OutsideStore]:
        yield from outside_store(zookeeper_server, "/apps/ours")
