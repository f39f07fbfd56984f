"""A store of each kind, seen through as many transports as a test wants; all is closed at the end."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from datasync_core.transport import Transport, Url
from datasync_transports.memory import MemoryTransport
from datasync_transports.sqlite import SqliteTransport
from tests.conftest import SERVERS
from tests.servers.zookeeper import ZooKeeper
from tests.transports.stores import Store
from tests.transports.zookeepers import NEWEST, Zoo


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    name = f"memory:{uuid.uuid4().hex}"
    make: dict[str, Callable[[], Transport]] = {
        "memory": lambda: MemoryTransport(Url.parse(name)),
        "sqlite": lambda: SqliteTransport(Url.parse("sqlite:test.db", tmp_path)),
    }
    store = Store(make[request.param])
    keep = store.transport()
    yield store
    store.close()
    del keep


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "test.db"


@pytest.fixture
def sqlite(file: Path) -> Iterator[Store]:
    store = Store(lambda: SqliteTransport(Url.parse(f"sqlite:{file}")))
    yield store
    store.close()


@pytest.fixture(scope="session")
def newest_zookeeper(
    request: pytest.FixtureRequest, shared: ExitStack, tmp_path_factory: pytest.TempPathFactory
) -> ZooKeeper:
    """One of the newest kind, for all tests of this worker."""
    server = ZooKeeper(tmp_path_factory.mktemp("newest"), version=NEWEST)
    request.config.stash.setdefault(SERVERS, []).append(server)
    return shared.enter_context(server)


@pytest.fixture
def zoo(zookeeper_server: ZooKeeper) -> Iterator[Zoo]:
    with zookeeper_server.using() as client:
        zoo = Zoo(client, zookeeper_server.url, f"/{uuid.uuid4().hex}")
        yield zoo
        zoo.close()
        client.add_auth("digest", "bob:bob")
        client.delete(zoo.outside.root, recursive=True)
