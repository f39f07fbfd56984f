"""What a Redis gives: W4 a burst beside a busy hook, W11 everything at once and what is written live.

The server is a real one on this machine. The other side is what its usual client does: a GET for each key, and for
live changes keyspace notifications with a GET for each (which is how Ligato's cn-infra follows a Redis).
"""

from __future__ import annotations

import multiprocessing
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from redis import Redis as Client

from benchmarks.sides import Goal, Measuring, Result
from benchmarks.updates import VALUE
from datasync_core import Event, Host, Watch, hookimpl
from datasync_core.config import HostSettings, Settings
from datasync_core.opening import open_store
from tests.servers.redis import Redis

BURST = 1000
LIVE = 20_000
SAMPLE = 20_000
"""Keys read one by one, of many: what each costs does not depend on how many there are."""
SNAPSHOT = "Redis: snapshot of {:,} keys until a plugin has looked at all; for each key"
PATIENCE = 120.0


@contextmanager
def server() -> Iterator[Redis]:
    """A Redis that keeps nothing on the disk and names keys that are written to who asks for that."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Redis(Path(folder), settings={"notify-keyspace-events": "KEA"}) as redis,
    ):
        yield redis


def fill(redis: Redis, count: int) -> None:
    """Make the database hold exactly so many keys."""
    with redis.client(socket_timeout=PATIENCE) as client:
        client.flushall()
        for start in range(0, count, 10_000):
            client.mset({f"a/{number:07}": VALUE for number in range(start, min(start + 10_000, count))})


def write(port: int, count: int, value: bytes, keys: int = LIVE) -> None:
    """SET keys one by one, a thousand in each pipeline."""
    with Client(port=port) as client:
        for start in range(0, count, 1000):
            pipeline = client.pipeline(transaction=False)
            for number in range(start, start + 1000):
                pipeline.set(f"a/{number % keys:07}", value)
            pipeline.execute()


class Seeing:
    """A plugin that looks at all, and tells when all keys have the value that it waits for."""

    def __init__(self) -> None:
        self.watch = Watch("a/", bytes)
        self.watches = [self.watch]
        self.seen = 0
        self.expected, self.value = 0, b""
        self.complete = threading.Event()

    def expect(self, count: int, value: bytes) -> None:
        """Wait for so many changes to this value; before anything is written."""
        self.seen, self.expected, self.value = 0, count, value
        self.complete.clear()

    @hookimpl
    def on_resync(self, event: Event) -> None:
        """Look at all."""
        self.seen = sum(len(change.value) > 0 for change in event.changes(self.watch) if not change.deleted)

    @hookimpl
    def on_change(self, event: Event) -> None:
        """Look at what is new."""
        self.seen += sum(
            change.value == self.value for change in event.changes(self.watch) if not change.deleted
        )
        if self.seen == self.expected:
            self.complete.set()


@contextmanager
def busy() -> Iterator[None]:
    """A thread that computes all the while, as a hook may."""
    over = False

    def compute() -> None:
        number = 0
        while not over:
            number += 1

    thread = threading.Thread(target=compute, name="busy")
    thread.start()
    try:
        yield
    finally:
        over = True
        thread.join()


def burst(redis: Redis) -> float:
    """Seconds a key to read a thousand that were written, beside a thread that computes."""
    store = open_store(Settings(HostSettings("redis"), {}, {}, Path.cwd()), redis.url)
    subscription = store.subscribe(["a/"])
    try:
        for _ in subscription.snapshot():
            pass
        while subscription.poll(0.0) is not None:
            pass
        write(redis.port, BURST, b"%d" % time.monotonic_ns(), BURST)
        got: set[str] = set()
        with busy():
            began = time.perf_counter()
            while len(got) < BURST:
                batch = subscription.poll(PATIENCE)
                assert batch is not None, f"{len(got)} of {BURST} keys came"
                got.update(change.key for change in batch.changes)
            return (time.perf_counter() - began) / BURST
    finally:
        subscription.close()
        store.close()


def one_by_one(redis: Redis, count: int) -> float:
    """Seconds of a GET beside a thread that computes."""
    with redis.client(socket_timeout=PATIENCE) as client, busy():
        client.ping()
        began = time.perf_counter()
        for number in range(count):
            client.get(f"a/{number:07}")
        return (time.perf_counter() - began) / count


def snapshot(redis: Redis, count: int) -> float:
    """Seconds a key until a host's plugin has looked at all."""
    plugin = Seeing()
    began = time.perf_counter()
    with Host(redis.url, {"seeing": plugin}) as host:
        assert host.wait(PATIENCE), host.status()
        seconds = time.perf_counter() - began
    assert plugin.seen == count, plugin.seen
    return seconds / count


def get_each(redis: Redis, count: int) -> float:
    """Seconds a key of SCAN and a GET for each key that it names, for no more than a sample of them."""
    found = {}
    with redis.client(socket_timeout=PATIENCE) as client:
        began = time.perf_counter()
        for key in islice(client.scan_iter(match="a/*", count=1000), count):
            found[key] = client.get(key)
        seconds = time.perf_counter() - began
    return seconds / len(found)


def get_many(redis: Redis, count: int) -> float:
    """Seconds a key of SCAN and MGET for as many keys as it names, into a dictionary: what the server allows."""
    found: dict[bytes, bytes] = {}
    with redis.client(socket_timeout=PATIENCE) as client:
        began = time.perf_counter()
        cursor = 0
        while True:
            cursor, keys = client.scan(cursor, match="a/*", count=2000)
            found.update(zip(keys, client.mget(keys), strict=True))
            if not cursor:
                break
        seconds = time.perf_counter() - began
    assert len(found) == count
    return seconds / count


@contextmanager
def writing(port: int, count: int, value: bytes) -> Iterator[Callable[[], None]]:
    """What lets a process that waits begin to write."""
    context = multiprocessing.get_context("spawn")
    ready, go = context.Event(), context.Event()
    process = context.Process(target=_write, args=(port, count, value, ready, go))
    process.start()
    try:
        assert ready.wait(PATIENCE)
        yield go.set
    finally:
        go.set()
        process.join()


def _write(port: int, count: int, value: bytes, ready: Any, go: Any) -> None:
    ready.set()
    go.wait()
    write(port, count, value)


def live(redis: Redis, count: int) -> float:
    """Seconds from the first of so many SETs until a plugin of a host has seen each key's new value."""
    plugin = Seeing()
    value = b"%d" % time.monotonic_ns()
    with writing(redis.port, count, value) as go, Host(redis.url, {"seeing": plugin}) as host:
        assert host.wait(PATIENCE), host.status()
        plugin.expect(count, value)
        began = time.perf_counter()
        go()
        assert plugin.complete.wait(PATIENCE), f"{plugin.seen} of {count} keys came"
        return time.perf_counter() - began


def notified(redis: Redis, count: int) -> float:
    """The same for who takes keyspace notifications, and GETs each key that one names."""
    value = b"%d" % time.monotonic_ns()
    known: dict[bytes, bytes] = {}
    with writing(redis.port, count, value) as go, redis.client() as client, redis.client() as reader:
        client.config_set("client-output-buffer-limit", "pubsub 0 0 0")
        with client.pubsub(ignore_subscribe_messages=True) as pubsub:
            pubsub.psubscribe("__keyspace@0__:a/*")
            pubsub.get_message(timeout=1.0)
            began = time.perf_counter()
            go()
            while len(known) < count:
                message = pubsub.get_message(timeout=PATIENCE)
                assert message is not None, f"{len(known)} of {count} keys came"
                key = message["channel"].partition(b":")[2]
                if (now := reader.get(key)) == value:
                    known[key] = now
            return time.perf_counter() - began


def w4(measuring: Measuring) -> list[Result]:
    """A burst."""
    count = measuring.count(BURST, BURST // 10)
    with server() as redis:
        fill(redis, BURST)
        mine, other = measuring.best("W4", lambda: burst(redis), lambda: one_by_one(redis, count))
    what = f"Redis: read {BURST:,} keys that were written, beside a hook that computes; for each"
    return [
        Result(
            "W4", what, f"GET, {count:,} times, beside the same", mine, other, "s", Goal(200, at_most=False)
        )
    ]


def w11(measuring: Measuring) -> list[Result]:
    """Everything, then what is written."""
    results = []
    with server() as redis:
        for count in (10_000, measuring.count(1_000_000, 100_000)):
            fill(redis, count)
            sample = measuring.count(SAMPLE, SAMPLE // 4)
            sides = measuring.best("W11", lambda: snapshot(redis, count), lambda: get_each(redis, sample))  # noqa: B023
            what = SNAPSHOT.format(count)
            against = f"SCAN, and GET for each of {min(sample, count):,} keys"
            results.append(Result("W11", what, against, *sides, "s", Goal(20, at_most=False)))
            bare = measuring.best("W11", lambda: snapshot(redis, count), lambda: get_many(redis, count))  # noqa: B023
            results.append(Result("W11", what, "SCAN and MGET by redis-py, into a dict", *bare, "s"))
        fill(redis, LIVE)
        count = measuring.count(LIVE, LIVE // 5)
        sides = measuring.best("W11", lambda: live(redis, count), lambda: notified(redis, count))
        what = f"Redis: {count:,} SETs by another process, until a plugin has seen each"
        against = "keyspace notifications, and GET for each"
        results.append(Result("W11", what, against, *sides, "s", Goal(6, at_most=False)))
    return results
