"""``python -m tests.memory sizes``: how large a host is by key and by plugin, each in a process of its own."""

from __future__ import annotations

import gc
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence

from datasync_core import Event, Host, Watch, hookimpl
from datasync_core.transport import Batch, Entry, Subscription
from tests.memory.feed import CHUNK, Feed, Following, Step
from tests.memory.gauge import resident

KEYS = 1_000_000
PLUGINS = 1000
SOON = 600.0


class Reads:
    """A plugin that looks at every value and keeps none."""

    def __init__(self, path: str, requires: Sequence[str] = ()) -> None:
        self.watch = Watch(path, bytes)
        self.watches = [self.watch]
        self.requires = list(requires)

    @hookimpl
    def on_resync(self, event: Event) -> None:
        self._fail(event)
        for change in event.changes(self.watch):
            assert change.deleted or change.value

    @hookimpl
    def on_change(self, event: Event) -> None:
        self._fail(event)

    def _fail(self, event: Event) -> None:
        if event.plugin == "low" and not event.first:
            raise ValueError("for ever")


def entries(revision: int) -> Iterator[Sequence[Entry]]:
    """A million keys of 30 characters with values of 200 bytes, in chunks."""
    for start in range(0, KEYS, CHUNK):
        yield [
            Entry(f"a/interfaces/ethernet/{number:08}", b"%0200d" % (revision + number), revision)
            for number in range(start, start + CHUNK)
        ]


class Large(Feed):
    """Has these keys, and holds none of them itself."""

    def subscribe(self, paths: Sequence[str]) -> Subscription:
        return _Large(self)


class _Large(Following):
    def snapshot(self) -> Iterator[Sequence[Entry]]:
        return entries(1)


def as_dictionary() -> float:
    """Bytes a key of a plain dictionary from key to value and revision."""
    before = resident()
    made = {entry.key: (entry.value, entry.revision) for chunk in entries(1) for entry in chunk}
    gc.collect()
    return (resident() - before) / len(made)


def as_host() -> float:
    """Bytes a key of a host with one plugin that keeps up."""
    with Host("memory:", {"p": Reads("a/")}) as empty:
        assert empty.wait(SOON)
    before = resident()
    with Host(Large(lambda _: iter(())), {"p": Reads("a/")}) as host:
        assert host.wait(SOON)
        gc.collect()
        return (resident() - before) / KEYS


def behind() -> float:
    """Bytes more a key for a plugin that is gated while every key is written anew."""

    def script(feed: Feed) -> Iterator[Step]:
        while "high" not in host.states() or host.states()["high"].state != "in_sync":
            host.wait_changed(1.0)
        yield feed.change({"low": b"2"})
        host.wait(0.5)
        sizes.append(resident())
        for chunk in entries(3):
            feed.revision += 1
            yield Batch([*chunk])
            while host.inspect().stores["main"].staged:
                host.wait_changed(0.01)

    sizes: list[int] = []
    high = Reads("a/", ["low"])
    host = Host(Large(script), {"low": Reads("low"), "high": high})
    with host:
        while not sizes:
            host.wait_changed(1.0)
        copy = host.inspect().stores["main"]
        ledger = host.inspect().plugins["high"].stores["main"]
        while len(ledger.pending) < KEYS:
            host.wait_changed(0.1)
        gc.collect()
        assert len(copy) == KEYS + 1
        return (resident() - sizes[0]) / KEYS


def by_plugin() -> float:
    """Bytes for each plugin of a host that has many."""
    with Host("memory:", {"p": Reads("a/")}) as empty:
        assert empty.wait(SOON)
    before = resident()
    with Host("memory:", {f"p{number}": Reads(f"p{number}/") for number in range(PLUGINS)}) as host:
        assert host.wait(SOON)
        gc.collect()
        return (resident() - before) / PLUGINS


SIZES: Mapping[str, Callable[[], float]] = {
    "a key in a plain dictionary": as_dictionary,
    "a key in a host with one plugin": as_host,
    "a key more for a plugin that is behind on it": behind,
    "a plugin": by_plugin,
}


def measure() -> Iterator[str]:
    """Each size in words."""
    for what, size in SIZES.items():
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            yield f"{what}: {pool.apply(size):,.0f} bytes"
