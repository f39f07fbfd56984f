"""What a forked child may do with its parent's writers and subscriptions: nothing, and it is told so at once."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Iterator

import pytest

from datasync_core.plugins.transports import make_transport
from datasync_core.transport import Put, Transport, Url
from datasync_transports.memory import MemoryTransport
from tests.forked import in_child
from tests.servers.redis import Redis
from tests.servers.zookeeper import ZooKeeper
from tests.transports.stores import Store, drain, read, values

REFUSED = "was made before this process was forked from its parent, and cannot be used here"


@pytest.fixture(
    params=[
        "memory",
        "sqlite",
        pytest.param("redis", marks=pytest.mark.server),
        pytest.param("zookeeper", marks=pytest.mark.server),
    ]
)
def store(request: pytest.FixtureRequest, sqlite: Store) -> Iterator[Store]:
    if request.param == "sqlite":
        yield sqlite
        return
    name = uuid.uuid4().hex
    url = f"memory:{name}"
    if request.param == "redis":
        server: Redis = request.getfixturevalue("redis_server")
        url = server.url
    elif request.param == "zookeeper":
        keeper: ZooKeeper = request.getfixturevalue("zookeeper_server")
        with keeper.using() as client:
            client.create(f"/{name}")
        url = f"{keeper.url}/{name}"

    def make() -> Transport:
        return make_transport(Url.parse(url), {})

    store = Store(make)
    keep = store.transport()
    yield store
    store.close()
    del keep


def test_a_writer_refuses_a_forked_child_and_serves_its_parent(store: Store) -> None:
    writer = store.writer()
    key = f"fork/{uuid.uuid4().hex}"
    writer.commit([Put(key, b"1")])
    for number in range(3):
        answer = in_child(lambda: writer.commit([Put(key, b"child")]))
        assert answer.startswith("UsageError: ")
        assert REFUSED in answer
        assert answer.endswith(": make a new transport after the fork")
        assert in_child(writer.close) == "None"
        writer.commit([Put(key, b"%d" % number)])
    assert values(read(store.subscribe("fork/")))[key] == b"2"


def test_a_subscription_refuses_a_forked_child_and_serves_its_parent(store: Store) -> None:
    key = f"fork/{uuid.uuid4().hex}"
    store.commit(Put(key, b"1"))
    subscription = store.subscribe("fork/")
    read(subscription)
    for call in (lambda: read(subscription), lambda: subscription.poll(0.0)):
        assert REFUSED in in_child(call)
    assert in_child(subscription.close) == "None"
    store.commit(Put(key, b"2"))
    batch = subscription.poll(60.0)
    assert batch is not None
    assert [change.key for change in batch.changes] == [key]
    drain(subscription)


def test_a_child_that_makes_its_own_transport_writes(store: Store) -> None:
    store.commit(Put("fork/own", b"1"))
    answer = in_child(lambda: store.commit(Put("fork/own", b"2")) >= 0)
    assert answer == "True"


def test_a_child_is_refused_though_another_thread_had_the_lock(sqlite: Store) -> None:
    """A lock that a thread of the parent had at the fork is never free again in the child."""
    writer = sqlite.writer()
    writer.commit([Put("a", b"1")])
    lock: threading.Lock = writer._lock  # type: ignore[attr-defined]  # to fork just then
    with lock:
        assert REFUSED in in_child(lambda: writer.commit([Put("a", b"2")]))
        assert in_child(writer.close) == "None"


def test_what_a_child_writes_to_a_memory_store_of_its_parent_is_not_lost() -> None:
    transport = MemoryTransport()
    writer = transport.writer()
    assert in_child(lambda: writer.commit([Put("a", b"1")])).startswith(
        "UsageError: the store memory: was made"
    )
    assert in_child(lambda: transport.subscribe([""])).startswith("UsageError: the store memory: was made")
    assert transport.entries == {}


def test_a_named_memory_store_is_another_one_in_a_child() -> None:
    name = Url.parse(f"memory:{os.getpid()}")
    transport = MemoryTransport(name)
    transport.writer().commit([Put("a", b"1")])

    def own() -> object:
        mine = MemoryTransport(name)
        return mine.writer().commit([Put("b", b"1")]), mine.entries

    assert in_child(own) == "(1, {'b': b'1'})"
    assert transport.entries == {"a": b"1"}
