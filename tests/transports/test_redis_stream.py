"""What a subscription to Redis tells, on a real server: every kind of change, and whole transactions."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from redis import _parsers

from datasync_core.transport import Subtree
from datasync_transports.redis.link import TcpLink, TlsLink
from datasync_transports.redis.paths import Paths
from tests.servers.certificates import Certificates
from tests.servers.proxy import Proxy
from tests.servers.redis import Redis
from tests.transports.redis_mirror import PATIENCE, Mirror

pytestmark = pytest.mark.server

Made = Callable[..., Mirror]


@pytest.fixture
def client(redis_server: Redis) -> Iterator[Any]:
    """redis-py's client of database 0, which is empty, as all are."""
    with redis_server.client() as client:
        client.flushall()
        yield client


@pytest.fixture
def mirror(redis_server: Redis, client: Any) -> Iterator[Made]:
    """A mirror of what lies below ``p/`` in database 0, or of other paths; read."""
    made: list[Mirror] = []

    def make(*paths: str) -> Mirror:
        made.append(Mirror(f"{redis_server.url}/0", paths or ("p/",)))
        return made[-1].read()

    yield make
    for one in made:
        one.subscription.close()


def test_each_way_to_change_a_key_is_told(client: Any, mirror: Made) -> None:
    copy = mirror()
    client.mset({"p/a": "1", "p/b": "2", "p/c": "3", "q/a": "no"})
    copy.until(lambda: copy.values == {"p/a": b"1", "p/b": b"2", "p/c": b"3"})
    client.rename("p/a", "p/z")
    client.rename("p/b", "q/b")
    client.rename("q/a", "p/q")
    copy.until(lambda: copy.values == {"p/z": b"1", "p/c": b"3", "p/q": b"no"})
    client.append("p/z", "0")
    client.incr("p/c")
    client.getdel("p/q")
    client.copy("p/c", "p/d")
    client.eval("redis.call('SET', 'p/lua', '5')", 0)
    copy.until(lambda: copy.values == {"p/z": b"10", "p/c": b"4", "p/d": b"4", "p/lua": b"5"})
    client.expire("p/d", 3600)
    client.persist("p/d")
    client.unlink("p/lua", "p/z")
    copy.until(lambda: copy.values == {"p/c": b"4", "p/d": b"4"})
    assert not any(batch.cleared for batch in copy.batches)


def test_expired_keys_are_told_though_nobody_asks_for_them(client: Any, mirror: Made) -> None:
    copy = mirror()
    client.set("p/stays", "1")
    with client.pipeline(transaction=False) as many:
        for number in range(5000):
            many.set(f"p/{number}", "x", px=300)
        many.execute()
    client.set("p/last", "1")
    copy.until(lambda: "p/last" in copy.values)
    copy.until(lambda: copy.values == {"p/stays": b"1", "p/last": b"1"})


def test_evicted_keys_are_told(redis_server: Redis, client: Any, mirror: Made) -> None:
    copy = mirror()
    for number in range(50):
        client.set(f"p/{number}", b"x" * 10_000)
    copy.until(lambda: len(copy.values) == 50)
    used = client.info("memory")["used_memory"]
    try:
        client.config_set("maxmemory-policy", "allkeys-random")
        client.config_set("maxmemory", used - 250_000)
        client.set("q/wants", "room")
        copy.until(lambda: len(copy.values) < 50)
    finally:
        client.config_set("maxmemory", 0)
    copy.until(lambda: set(copy.values) == {key.decode() for key in client.keys("p/*")})


def test_a_hash_is_an_object_of_its_fields_and_other_types_are_errors(client: Any, mirror: Made) -> None:
    client.hset("p/h", mapping={"b": "2", "a": "ü", "c": ""})
    client.rpush("p/list", "1")
    client.xadd("p/stream", {"a": "1"})
    client.set("p/s", "text")
    copy = mirror()
    kinds = {"p/list": "list", "p/stream": "stream"}
    assert copy.values == {"p/h": '{"a":"ü","b":"2","c":""}'.encode(), "p/s": b"text"}
    assert copy.errors == {
        key: f"the key holds a {kind}, which is no value; strings and hashes are"
        for key, kind in kinds.items()
    }
    client.hdel("p/h", "b", "c")
    client.delete("p/list", "p/s")
    client.set("p/list", "a text now")
    client.sadd("p/s", "1")
    client.zadd("p/z", {"a": 1})
    copy.until(lambda: copy.values == {"p/h": '{"a":"ü"}'.encode(), "p/list": b"a text now"})
    assert set(copy.errors) == {"p/stream", "p/s", "p/z"}
    client.hdel("p/h", "a")
    client.delete("p/stream", "p/s", "p/z")
    copy.until(lambda: copy.entries.keys() == {"p/list"})


def test_the_first_hash_of_a_store_of_strings_is_read_as_one(client: Any, mirror: Made) -> None:
    client.set("p/a", "1")
    copy = mirror()
    with client.pipeline(transaction=True) as transaction:
        transaction.delete("p/a")
        transaction.hset("p/a", "f", "1")
        transaction.set("p/b", "2")
        transaction.execute()
    copy.until(lambda: copy.values == {"p/a": b'{"f":"1"}', "p/b": b"2"})
    assert len([batch for batch in copy.batches if batch.changes]) == 1


def test_keys_that_change_their_type_without_a_pause_keep_nothing_back(
    redis_server: Redis, client: Any, mirror: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasync_transports.redis.settling.PATIENCE", 4 * PATIENCE)
    flip = """for i = 1, 200 do
        local key = 'p/' .. i
        redis.call('DEL', key)
        if math.random() < 0.5 then redis.call('SET', key, '1') else redis.call('HSET', key, 'f', '1') end
    end"""
    begun, ended = threading.Event(), threading.Event()

    asked = f"EVALSHA {client.script_load(flip)} 0\r\n".encode()

    def write() -> None:
        with socket.create_connection(redis_server.address) as writer:
            writer.sendall(asked * 3)  # so many are always under way
            while not ended.is_set():
                writer.sendall(asked * writer.recv(4096).count(b"\n"))
                begun.set()

    client.eval(flip, 0)
    copy = mirror()
    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        assert begun.wait(PATIENCE)
        began = time.monotonic()
        for number in range(10):
            client.set("p/other", number)
            copy.until(lambda: copy.values.get("p/other") == b"%d" % number)  # noqa: B023 - it is asked at once
            assert len(copy.values) == 201
        assert time.monotonic() - began < PATIENCE, "they were kept back for as long as they may be"
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    client.mset({f"p/{number}": "done" for number in range(1, 201)})
    copy.until(lambda: set(copy.values.values()) == {b"done", b"9"})


def test_keys_and_fields_that_are_no_text_are_errors_of_their_own(client: Any, mirror: Made) -> None:
    client.set(b"p/\xff", "1")
    client.hset("p/h", b"\xfe", "1")
    client.hset("p/g", "f", b"\xfd")
    copy = mirror()
    expected = {
        "p/\0\\xff": r"the key p/\xff is no UTF-8 text; write it anew",
        "p/h": r"the field \xfe of the hash is no UTF-8 text, which JSON has to be",
        "p/g": "the field f of the hash is no UTF-8 text, which JSON has to be",
    }
    assert copy.errors == expected
    client.set(b"p/\xff", "2")
    client.hset("p/g", "f", "good")
    copy.until(lambda: "p/g" in copy.values)
    client.delete(b"p/\xff", "p/h")
    copy.until(lambda: copy.errors == {})


def test_a_key_that_is_no_text_leaves_the_text_spelled_alike_alone(client: Any, mirror: Made) -> None:
    client.set(r"p/a\xfe", "text")
    copy = mirror()
    client.set(b"p/a\xfe", "raw")
    copy.until(lambda: len(copy.errors) == 1)
    assert copy.values == {r"p/a\xfe": b"text"}
    assert mirror().values == copy.values
    client.delete(b"p/a\xfe")
    copy.until(lambda: copy.errors == {})
    assert copy.values == {r"p/a\xfe": b"text"}


def test_writes_in_another_database_change_nothing_here(
    redis_server: Redis, client: Any, mirror: Made
) -> None:
    client.set("p/a", "1")
    copy = mirror()
    with redis_server.client(db=1) as other:
        other.mset({"p/a": "other", "p/b": "other"})
        other.delete("p/a")
        client.set("p/last", "1")
        copy.until(lambda: "p/last" in copy.values)
        assert copy.values == {"p/a": b"1", "p/last": b"1"}
        other.flushdb()
    copy.until(lambda: any(batch.cleared for batch in copy.batches))
    [cleared] = [batch for batch in copy.batches if batch.cleared]
    assert {change.key for change in cleared.changes} == {
        "p/a",
        "p/last",
    }  # so that nothing is taken for gone


def test_a_flush_is_told_as_one_and_what_comes_after_it_is_there(client: Any, mirror: Made) -> None:
    client.mset({f"p/{number}": "1" for number in range(3000)})
    copy = mirror()
    with client.pipeline(transaction=True) as transaction:
        transaction.set("p/before", "1")
        transaction.flushall()
        transaction.set("p/after", "1")
        transaction.execute()
    copy.until(lambda: copy.values == {"p/after": b"1"})
    assert any(batch.cleared for batch in copy.batches)
    client.flushdb(asynchronous=True)
    copy.until(lambda: not copy.entries)


def test_flushes_without_end_do_not_keep_changes_back(redis_server: Redis, client: Any, mirror: Made) -> None:
    client.mset({f"p/{number}": "1" for number in range(2000)})
    copy = mirror()
    ended = threading.Event()

    def flush() -> None:
        with redis_server.client(db=1) as other:
            while not ended.is_set():
                other.flushdb()

    thread = threading.Thread(target=flush)
    thread.start()
    try:
        client.set("p/new", "1")
        copy.until(lambda: "p/new" in copy.values)
        assert len(copy.values) == 2001
    finally:
        ended.set()
        thread.join()


def test_a_snapshot_is_one_state_while_another_database_is_flushed(
    redis_server: Redis, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gives one state, and nothing to read again afterwards.

    Read again until no flush came in between, for a second; what goes out sooner may divide a transaction.
    """
    for module in ("settling", "subscription"):  # a busy machine takes longer
        monkeypatch.setattr(f"datasync_transports.redis.{module}.PATIENCE", PATIENCE)
    client.mset({f"p/{number}": "1" for number in range(5000)})
    with redis_server.client(db=1) as other, Mirror(redis_server.url) as copy:
        began = time.monotonic()
        for chunk in copy.subscription.snapshot():
            if not chunk and time.monotonic() - began < 0.5:
                other.flushdb()
            copy.entries.update((entry.key, entry) for entry in chunk)
        assert len(copy.values) == 5000
        assert copy.poll(0.1) is None  # nothing has to be read once more


def test_a_path_that_is_one_key_is_not_what_begins_with_it(client: Any, mirror: Made) -> None:
    client.mset({"a": "1", "a/b": "2", "ab": "3", "agent1:x": "4", "agent2": "5", "b*": "6", "bc": "7"})
    copy = mirror("a", "b*", Subtree("agent1:"))
    assert copy.values.keys() == {"a", "agent1:x", "b*"}
    client.mset(
        {"a": "9", "a/b": "9", "ab": "9", "agent1:y": "9", "agent1": "9", "b*": "9", "bc": "9", "z": "9"}
    )
    copy.until(lambda: copy.values == dict.fromkeys(["a", "agent1:y", "b*"], b"9") | {"agent1:x": b"4"})
    assert {change.key for batch in copy.batches for change in batch.changes} == {"a", "agent1:y", "b*"}


def test_paths_that_are_keys_alone_need_no_walk(redis_server: Redis, client: Any, mirror: Made) -> None:
    client.mset({"a": "1", "b": "2", "c": "3"})
    client.config_resetstat()
    copy = mirror("a", "c")
    assert copy.values == {"a": b"1", "c": b"3"}
    asked = client.info("commandstats")
    assert asked["cmdstat_scan"]["calls"] == 1  # to prove the right to
    assert asked["cmdstat_mget"]["calls"] == 2


PARTS = tuple(Subtree(f"p/g{group}/{part}") for group in range(2) for part in "cn0123456789")
"""Prefixes, each of which gets the names of its keys in a push of its own."""


@pytest.mark.parametrize(("hashes", "paths"), [(False, ("p/",)), (True, ("p/",)), (False, PARTS)])
def test_a_transaction_is_whole_whatever_else_is_written(
    redis_server: Redis,
    client: Any,
    mirror: Made,
    monkeypatch: pytest.MonkeyPatch,
    hashes: bool,
    paths: tuple[str, ...],
) -> None:
    """Each writes a counter with new keys and takes old ones away; another one writes single keys without a pause."""
    # A busy machine takes longer.
    monkeypatch.setattr("datasync_transports.redis.settling.PATIENCE", PATIENCE)
    copy = mirror(*paths)
    ended = threading.Event()
    last: dict[str, int] = {}

    def commit(group: str, seed: int) -> None:
        draw = random.Random(seed)
        with redis_server.client() as writer:
            for number in range(1, 400):
                with writer.pipeline(transaction=True) as transaction:
                    transaction.set(f"p/{group}/counter", number)
                    for name in draw.sample(range(10), 4):
                        key = f"p/{group}/{name}"
                        if hashes and name % 2:
                            transaction.hset(key, "n", number)
                        else:
                            transaction.set(key, number)
                    transaction.set(f"p/{group}/new{number}", number)
                    transaction.delete(f"p/{group}/new{number - 1}")
                    transaction.execute()
                last[group] = number

    def disturb() -> None:
        with redis_server.client() as writer:
            number = 0
            while not ended.is_set():
                number += 1
                writer.set(f"p/single{number % 7}", number)

    threads = [threading.Thread(target=commit, args=(f"g{n}", n)) for n in range(2)]
    disturber = threading.Thread(target=disturb)
    for thread in (*threads, disturber):
        thread.start()
    try:
        while any(thread.is_alive() for thread in threads):
            copy.poll(0.05)
            _is_whole(copy)
            if random.random() < 0.02:
                fresh = mirror(*paths)
                _is_whole(fresh)
                fresh.subscription.close()
    finally:
        ended.set()
        for thread in (*threads, disturber):
            thread.join()
    copy.until(lambda: all(copy.values.get(f"p/{group}/counter") == b"399" for group in ("g0", "g1")))
    _is_whole(copy)


@pytest.mark.usefixtures("client")
def test_a_transaction_is_whole_on_a_slow_link(redis_server: Redis) -> None:
    """A second is over there before anything was read twice: what counts is how often it was."""
    last, pause = 60, threading.Event()

    def commit() -> None:
        draw = random.Random(1)
        with redis_server.client() as writer:
            for number in range(1, last + 1):
                with writer.pipeline(transaction=True) as transaction:
                    for name in ("counter", *draw.sample(range(30), 4)):
                        transaction.set(f"p/g0/{name}", number)
                    transaction.set(f"p/g0/new{number}", number)
                    transaction.delete(f"p/g0/new{number - 1}")
                    transaction.execute()
                pause.wait(0.03)

    with Proxy(redis_server.address) as proxy, Mirror(f"redis://127.0.0.1:{proxy.port}/0").read() as copy:
        proxy.delay(0.15)
        thread = threading.Thread(target=commit)
        thread.start()
        try:
            while copy.values.get("p/g0/counter") != b"%d" % last:
                assert copy.poll(PATIENCE) is not None
                _is_whole(copy)
        finally:
            thread.join()


def _is_whole(copy: Mirror) -> None:
    values = copy.values
    for group in ("g0", "g1"):
        counter = values.get(f"p/{group}/counter")
        news = [key for key in values if key.startswith(f"p/{group}/new")]
        assert news == ([f"p/{group}/new{counter.decode()}"] if counter is not None else [])
        numbers = [
            int(value.strip(b'{}"n:') or 0) for key, value in values.items() if key.startswith(f"p/{group}/")
        ]
        assert max(numbers, default=0) == int(counter or 0)


def test_a_transaction_of_more_keys_than_are_read_at_once_is_whole(client: Any, mirror: Made) -> None:
    copy = mirror()
    many = 25_000
    for value in (b"1", b"2"):
        client.mset({f"p/{key}": value for key in range(many)})
        copy.until(lambda: len(copy.batches) == int(value))  # noqa: B023 - it is asked at once
        assert set(copy.values.values()) == {value}
    assert {len(batch.changes) for batch in copy.batches} == {many}


def test_a_thousand_pushes_at_once_are_no_recursion(client: Any, mirror: Made) -> None:
    copy = mirror()
    for number in range(5000):  # a push each
        client.set("p/a", number)
    copy.until(lambda: copy.values == {"p/a": b"4999"})
    assert len(copy.batches) < 100


def test_a_change_behind_ten_thousand_that_concern_nobody_is_told_at_once(client: Any, mirror: Made) -> None:
    copy = mirror("p/x")
    for _ in range(10_003):
        client.set("p/xx", "1")  # named, as it begins alike, each time by a message of its own
    client.set("p/x", "1")
    began = time.monotonic()
    while copy.values != {"p/x": b"1"}:
        copy.poll(PATIENCE)
    assert time.monotonic() - began < PATIENCE / 2, "no poll waited for more"


def test_a_thousand_paths_are_tracked_as_one(client: Any, mirror: Made) -> None:
    """With 10,000 prefixes of their own the server would compare each with each, and answer nobody meanwhile."""
    paths = [f"p/{number:04}/" for number in range(1000)]
    copy = mirror(*paths, "p/key")
    client.mset({"p/0007/a": "1", "p/0999/a": "1", "p/1000/a": "1", "p/key": "1", "p/keys": "1", "q": "1"})
    copy.until(lambda: copy.values == dict.fromkeys(["p/0007/a", "p/0999/a", "p/key"], b"1"))
    assert Paths([*paths, "p/key"]).prefixes == [b"p/"]
    assert Paths(paths[:3]).prefixes == [path.encode() for path in paths[:3]]


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Redis, str]]:
    """A server that speaks TLS, and its URL for that."""
    folder = tmp_path_factory.mktemp("tls")
    certificates = Certificates(folder / "ca")
    with Redis(folder / "redis", certificates=certificates, ask_certificate=False) as server:
        yield server, f"rediss://127.0.0.1:{server.tls_port}/0?ca={certificates.ca}"


@pytest.mark.parametrize("parser", ["_RESP3Parser", "_HiredisParser"])
def test_both_parsers_of_redis_py_tell_pushes_from_answers(
    redis_server: Redis, client: Any, mirror: Made, monkeypatch: pytest.MonkeyPatch, parser: str
) -> None:
    kind = partial(TcpLink, parser_class=parser_of(parser))
    monkeypatch.setattr("datasync_transports.redis.connection.TcpLink", kind)
    tells_pushes_from_answers(redis_server, client, mirror(), parser)


@pytest.mark.parametrize("parser", ["_RESP3Parser", "_HiredisParser"])
def test_both_parsers_of_redis_py_tell_pushes_from_answers_under_TLS(
    tls: tuple[Redis, str], monkeypatch: pytest.MonkeyPatch, parser: str
) -> None:
    server, url = tls
    kind = partial(TlsLink, parser_class=parser_of(parser))
    monkeypatch.setattr("datasync_transports.redis.connection.TlsLink", kind)
    with server.client() as client, Mirror(url) as copy:
        client.flushall()
        client.mset({f"p/{number}": "0" for number in range(100)})
        tells_pushes_from_answers(server, client, copy.read(), parser)


@pytest.mark.parametrize("parser", ["_RESP3Parser", "_HiredisParser"])
def test_a_push_under_TLS_is_told_at_once(
    tls: tuple[Redis, str], monkeypatch: pytest.MonkeyPatch, parser: str
) -> None:
    """What TLS has taken from the socket already makes that readable no more: it must not wait there."""
    server, url = tls
    kind = partial(TlsLink, parser_class=parser_of(parser))
    monkeypatch.setattr("datasync_transports.redis.connection.TlsLink", kind)
    with server.client() as client, Mirror(url) as copy:
        client.flushall()
        copy.read()
        for number in range(20):
            with client.pipeline(transaction=False) as many:
                for key in range(200):  # some records of TLS, each with many pushes
                    many.set(f"p/{key}" + "x" * 200, number)
                many.execute()
            began = time.monotonic()
            while set(copy.values.values()) != {b"%d" % number} or len(copy.values) < 200:
                assert copy.poll(PATIENCE) is not None
            assert time.monotonic() - began < PATIENCE / 2, "no poll waited for more"


def parser_of(name: str) -> Any:
    """A parser of redis-py's."""
    if name == "_HiredisParser":
        pytest.importorskip("hiredis")
    return getattr(_parsers, name)


def tells_pushes_from_answers(redis_server: Redis, client: Any, copy: Mirror, parser: str) -> None:
    ended = threading.Event()

    def write() -> None:
        with redis_server.client() as writer:
            for number in range(1, 3001):
                writer.set(f"p/{number % 100}", number)
        ended.set()

    assert type(copy.subscription._opened[0]._parser).__name__ == parser  # type: ignore[attr-defined]
    thread = threading.Thread(target=write)
    thread.start()
    while not ended.is_set():
        copy.poll(0.05)
    thread.join()
    copy.until(lambda: {int(value) for value in copy.values.values()} == set(range(2901, 3001)))
    client.flushall()
    client.set("p/a", "1")
    copy.until(lambda: copy.values == {"p/a": b"1"})


def test_large_values_are_read_a_few_at_a_time(client: Any, mirror: Made) -> None:
    value = b"x" * 4_000_000
    for number in range(40):
        client.set(f"p/{number}", value)
    client.config_resetstat()
    copy = mirror()
    assert len(copy.values) == 40
    client.set("p/1", value + b"y")
    copy.until(lambda: len(copy.values["p/1"]) == 4_000_001)
    read = client.info("commandstats")["cmdstat_mget"]["calls"]
    again = mirror()
    assert len(again.values) == 40
    assert read >= 3
