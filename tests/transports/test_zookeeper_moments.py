"""G6: what a batch or a snapshot shows is one moment, with every transaction whole, however many write."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import pytest

from datasync_transports.zookeeper.reading import Reader, Seen
from tests.servers.proxy import Proxy
from tests.servers.zookeeper import ZooKeeper
from tests.transports.stores import Held, apply, follow, read, values
from tests.transports.zookeepers import Outside, Zoo

pytestmark = pytest.mark.server

PAIRS, NOISE = 5, 400
SECONDS, BATCHES, PATIENCE = (
    2.0,
    6,
    120.0,
)  # as long and as many at least; seconds that they may take on a busy machine


@contextmanager
def writing(*jobs: Callable[[int], None]) -> Iterator[None]:
    """Do each job again and again, each on a thread of its own, for as long as the block runs."""
    ended = threading.Event()
    errors: list[BaseException] = []

    def run(job: Callable[[int], None]) -> None:
        number = 0
        try:
            while not ended.is_set():
                number += 1
                job(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert not errors


def pairs(outside: Outside) -> Callable[[int], None]:
    """Transactions that write one number to two keys far apart; now and then they remove both."""

    def job(number: int) -> None:
        pair = number * 7919 % PAIRS
        value = None if number % 5 == 0 else str(number).encode()
        outside.commit({f"a/{pair}": value, f"z/{pair}": value})

    return job


def noise(outside: Outside, width: int) -> Callable[[int], None]:
    """Single keys, many at once: the writer does not wait for each."""

    def job(number: int) -> None:
        client, root = outside.client, outside.root
        results = [
            client.set_async(f"{root}/m/{(number * 50 + i) % width}", b"%d" % number) for i in range(50)
        ]
        for result in results:
            result.get()

    return job


def halves(held: Held) -> list[str]:
    """Pairs of which one half is another than the other."""
    found = values(held)
    return [str(i) for i in range(PAIRS) if found.get(f"a/{i}") != found.get(f"z/{i}")]


@pytest.fixture(params=[0.0, 0.004])
def far(request: pytest.FixtureRequest, zookeeper_server: ZooKeeper) -> Iterator[int]:
    """The port of a server that is some milliseconds away: much happens between a question and its answer."""
    with Proxy(zookeeper_server.address) as proxy:
        proxy.delay(request.param)
        yield proxy.port


@pytest.mark.parametrize("width", [1, NOISE])
def test_G6_batches_and_snapshots_hold_whole_transactions(zoo: Zoo, far: int, width: int) -> None:
    zoo.outside.commit({f"m/{i}": b"0" for i in range(NOISE)})
    zoo.outside.commit({f"{side}/{i}": b"0" for side in "az" for i in range(PAIRS)})
    transport = zoo.through(far)
    subscription = transport.subscribe([""])
    held = read(subscription)
    batches = 0
    with writing(pairs(zoo.outside), noise(zoo.outside, width)):
        began = time.monotonic()
        while (spent := time.monotonic() - began) < SECONDS or batches < BATCHES:
            assert spent < PATIENCE, f"only {batches} batches"
            batch = subscription.poll(0.1)
            if batch is not None:
                apply(held, batch)
                batches += 1
                assert not halves(held), f"after {batches} batches"
            if batches % 40 == 1:
                batches += 1
                fresh = transport.subscribe([""])
                assert not halves(read(fresh)), "in a snapshot"
                fresh.close()
    truth = read(zoo.subscribe(""))
    follow(subscription, held, lambda: held == truth)
    subscription.close()


@pytest.mark.parametrize("times", [1, 2, 3, 6])
def test_G6_a_transaction_between_two_looks_is_told_whole(
    zoo: Zoo, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo.outside.commit({"a": b"0", "z": b"0"})
    subscription = zoo.subscribe("")
    held = read(subscription)
    nodes, looks = Reader.nodes, 0

    def look(reader: Reader, paths: Iterable[str]) -> list[Seen]:
        nonlocal looks
        looks += 1
        if looks <= times:
            zoo.outside.commit({"a": b"%d" % looks, "z": b"%d" % looks})
        return nodes(reader, paths)

    monkeypatch.setattr(Reader, "nodes", look)
    zoo.outside.put("a", b"0")
    batch = None
    while batch is None:
        batch = subscription.poll(1.0)
    apply(held, batch)
    assert held["a"] == held["z"]
    monkeypatch.undo()
    truth = read(zoo.subscribe(""))
    follow(subscription, held, lambda: held == truth)
