"""What a ZooKeeper gives: W12, everything at once and what is set live, beside kazoo's TreeCache.

The server is a real one on this machine. Each side is a process of its own, so that its memory can be seen.
"""

from __future__ import annotations

import gc
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kazoo.recipe.cache import TreeCache, TreeEvent

from benchmarks.apart import apart
from benchmarks.sides import Goal, Measuring, Result
from benchmarks.updates import VALUE
from datasync_core import Event, Host, Watch, hookimpl
from tests.memory.gauge import resident
from tests.servers.zookeeper import ZooKeeper, using

FOLDER = 1000
"""Nodes of one directory."""
LIVE_NODES, SETS = 20_000, 40_000
TOGETHER = 500
"""Requests of a writer that are on their way at once."""
SETTINGS = {"maxSessionTimeout": "120000"}
"""TreeCache asks for everything at once: its session would expire before it is answered."""
PATIENCE = 600.0


@contextmanager
def server() -> Iterator[ZooKeeper]:
    """A ZooKeeper."""
    with (
        tempfile.TemporaryDirectory() as folder,
        ZooKeeper(Path(folder), settings=SETTINGS, flags=("-Xmx1g",)) as zookeeper,
    ):
        yield zookeeper


def name(number: int) -> str:
    """The path of one of the nodes."""
    return f"/tree/{number // FOLDER:04}/{number:07}"


def fill(hosts: str, start: int, count: int) -> None:
    """Create the nodes from ``start`` on, up to ``count``."""
    with using(hosts, timeout=120.0) as client:
        for number in range(start, count, TOGETHER):
            client.ensure_path(name(number).rpartition("/")[0])
            transaction = client.transaction()
            for one in range(number, min(number + TOGETHER, count)):
                transaction.create(name(one), VALUE)
            for answer in transaction.commit():
                assert isinstance(answer, str), answer


def write(hosts: str, sets: int, nodes: int, value: bytes, ready: Any, go: Any) -> None:
    """Set nodes one by one, some hundred requests on their way; each node's last value is ``value``."""
    with using(hosts, timeout=120.0) as client:
        ready.set()
        go.wait()
        for start in range(0, sets, TOGETHER):
            last = start >= sets - nodes
            asked = [
                client.set_async(name(number % nodes), value if last else b"%d" % number)
                for number in range(start, start + TOGETHER)
            ]
            for one in asked:
                one.get(timeout=PATIENCE)


@contextmanager
def writing(hosts: str, sets: int, nodes: int, value: bytes) -> Iterator[Callable[[], None]]:
    """What lets a process that waits begin to write."""
    context = multiprocessing.get_context("spawn")
    ready, go = context.Event(), context.Event()
    process = context.Process(target=write, args=(hosts, sets, nodes, value, ready, go))
    process.start()
    try:
        assert ready.wait(PATIENCE)
        yield go.set
    finally:
        go.set()
        process.join()


class Seeing:
    """A plugin that tells when all nodes have the value that it waits for."""

    def __init__(self, nodes: int, value: bytes) -> None:
        self.watch = Watch("tree/", bytes)
        self.watches = [self.watch]
        self.missing = {name(number)[len("/tree/") :] for number in range(nodes)}
        self.value = value
        self.seen = 0
        self.complete = threading.Event()

    @hookimpl
    def on_resync(self, event: Event) -> None:
        """Look at all."""
        self.seen = sum(not change.deleted and len(change.value) > 0 for change in event.changes(self.watch))

    @hookimpl
    def on_change(self, event: Event) -> None:
        """Look at what is new."""
        for change in event.changes(self.watch):
            if change.value == self.value:
                self.missing.discard(change.name)
        if not self.missing:
            self.complete.set()


def loaded(hosts: str, nodes: int) -> tuple[float, int]:
    """Seconds until a host's plugin has looked at all, and the bytes that this takes."""
    gc.collect()
    before = resident()
    plugin = Seeing(0, b"")
    began = time.perf_counter()
    with Host(f"zookeeper://{hosts}", {"seeing": plugin}) as host:
        assert host.wait(PATIENCE), host.status()
        seconds = time.perf_counter() - began
        gc.collect()
        size = resident() - before
    assert plugin.seen == nodes, plugin.seen
    return seconds, size


def cached(hosts: str, nodes: int) -> tuple[float, int]:
    """The same of a TreeCache."""
    with using(hosts, timeout=120.0) as client:
        gc.collect()
        before = resident()
        initialised = threading.Event()

        def listen(event: TreeEvent) -> None:
            if event.event_type == TreeEvent.INITIALIZED:
                initialised.set()

        cache = TreeCache(client, "/tree")
        cache.listen(listen)
        began = time.perf_counter()
        cache.start()
        assert initialised.wait(PATIENCE)
        seconds = time.perf_counter() - began
        gc.collect()
        size = resident() - before
        assert cache.get_data(name(nodes - 1)).data
        cache.close()
    return seconds, size


def live(hosts: str, nodes: int, sets: int) -> float:
    """Seconds from the first of so many sets until a plugin of a host has seen each node's last value."""
    value = b"%d" % time.monotonic_ns()
    plugin = Seeing(nodes, value)
    with writing(hosts, sets, nodes, value) as go, Host(f"zookeeper://{hosts}", {"seeing": plugin}) as host:
        assert host.wait(PATIENCE), host.status()
        began = time.perf_counter()
        go()
        assert plugin.complete.wait(PATIENCE), f"{len(plugin.missing)} of {nodes} last values did not come"
        return time.perf_counter() - began


def cached_live(hosts: str, nodes: int, sets: int) -> float:
    """The same of a TreeCache's listener."""
    value = b"%d" % time.monotonic_ns()
    missing = {name(number) for number in range(nodes)}
    initialised, complete = threading.Event(), threading.Event()

    def listen(event: TreeEvent) -> None:
        if event.event_type == TreeEvent.INITIALIZED:
            initialised.set()
        elif event.event_type == TreeEvent.NODE_UPDATED and event.event_data.data == value:
            missing.discard(event.event_data.path)
            if not missing:
                complete.set()

    with writing(hosts, sets, nodes, value) as go, using(hosts, timeout=120.0) as client:
        cache = TreeCache(client, "/tree")
        cache.listen(listen)
        cache.start()
        assert initialised.wait(PATIENCE)
        began = time.perf_counter()
        go()
        assert complete.wait(PATIENCE), f"{len(missing)} of {nodes} last values did not come"
        seconds = time.perf_counter() - began
        cache.close()
    return seconds


def w12(measuring: Measuring) -> list[Result]:
    """Load and memory with few and many nodes, then what is set. TreeCache takes minutes: it has two rounds."""
    results = []
    filled = 0
    with server() as zookeeper:
        hosts = zookeeper.hosts
        for nodes in (measuring.count(LIVE_NODES, 2000), measuring.count(100_000, 10_000)):
            apart(fill, hosts, filled, nodes)
            filled = nodes
            sizes: dict[str, list[int]] = {"ours": [], "other": []}

            def side(
                which: str,
                work: Callable[[str, int], tuple[float, int]],
                nodes: int = nodes,
                sizes: Any = sizes,
            ) -> float:
                seconds, size = apart(work, hosts, nodes)
                sizes[which].append(size)
                return seconds

            sides = measuring.best(
                "W12",
                lambda: side("ours", loaded),
                lambda: side("other", cached),
                at_most=2,
            )
            what, against = (
                f"ZooKeeper: load {nodes:,} nodes until a plugin has looked at all",
                "kazoo's TreeCache",
            )
            results.append(Result("W12", what, against, *sides, "s", Goal(20, at_most=False)))
            mine, other = (min(sizes[which]) / nodes for which in ("ours", "other"))
            results.append(Result("W12", f"{what}: bytes a node", against, mine, other, "bytes", Goal(0.25)))
    with server() as zookeeper:
        nodes, sets = measuring.count(LIVE_NODES, 2000), measuring.count(SETS, 4000)
        apart(fill, zookeeper.hosts, 0, nodes)
        sides = measuring.best(
            "W12",
            lambda: apart(live, zookeeper.hosts, nodes, sets),
            lambda: apart(cached_live, zookeeper.hosts, nodes, sets),
            at_most=3,
        )
        what = f"ZooKeeper: {sets:,} sets of {nodes:,} nodes by another process, until a plugin has each last value"
        results.append(
            Result("W12", what, "kazoo's TreeCache and its listener", *sides, "s", Goal(1.5, at_most=False))
        )
    return results
