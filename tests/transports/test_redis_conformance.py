"""Redis keeps the rules for transports, on a real server: through TCP, TLS and a socket; with both parsers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from datasync_core.testing import OutsideStore, TransportConformance
from tests.servers.certificates import Certificates
from tests.servers.proxy import Proxy
from tests.servers.redis import Redis
from tests.transports.many import MANY

pytestmark = pytest.mark.server

DB = 3
"""Not 0, so that a test notices who forgets it."""


def outside_of(client: Any, url: str, **more: Callable[[], object]) -> OutsideStore:
    """The store through redis-py's client."""

    def commit(values: Mapping[str, bytes | None]) -> None:
        with client.pipeline(transaction=True) as transaction:
            for key, value in values.items():
                if value is None:
                    transaction.delete(key)
                else:
                    transaction.set(key, value)
            transaction.execute()

    return OutsideStore(url, client.set, client.delete, commit, clear=client.flushdb, **more)


class TestRedis(TransportConformance):
    many = MANY

    patience, liveness = 60.0, 4.0

    @pytest.fixture
    def outside(self, redis_server: Redis) -> Iterator[OutsideStore]:
        server = redis_server
        server.call("ACL", "SETUSER", "suite", "on", ">sesame-open", "~*", "+@all")

        def lose() -> None:
            proxy.refuse()
            proxy.cut()

        with server.client(db=DB) as client, Proxy(server.address) as proxy:
            url = f"redis://suite:sesame-open@127.0.0.1:{proxy.port}/{DB}"
            yield outside_of(client, url, stop=server.freeze, go=server.thaw, lose=lose, back=proxy.flow)
            client.flushdb()


class Few(TransportConformance):
    patience, liveness = 60.0, 4.0
    many = 10_000


class TestRedisThroughTls(Few):
    @pytest.fixture(scope="class")
    @classmethod
    def server(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Redis, str]]:
        folder = tmp_path_factory.mktemp("tls")
        certificates = Certificates(folder / "ca")
        mine = certificates.issue("client")
        with Redis(folder / "redis", certificates=certificates) as server:
            options = f"ca={certificates.ca}&cert={mine.certificate}&key={mine.key}"
            yield server, f"rediss://127.0.0.1:{server.tls_port}/{DB}?{options}"

    @pytest.fixture
    def outside(self, server: tuple[Redis, str]) -> Iterator[OutsideStore]:
        redis, url = server
        with redis.client(db=DB) as client:
            yield outside_of(client, url, stop=redis.freeze, go=redis.thaw)
            client.flushdb()


class TestRedisThroughASocket(Few):
    @pytest.fixture(scope="class")
    @classmethod
    def server(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
        with Redis(tmp_path_factory.mktemp("socket"), unix_socket=True, password="sesame") as server:
            yield server

    @pytest.fixture
    def outside(self, server: Redis) -> Iterator[OutsideStore]:
        with server.client(db=DB) as client:
            url = f"redis+unix://:sesame@{server.socket}?db={DB}"
            yield outside_of(client, url, stop=server.freeze, go=server.thaw)
            client.flushdb()
