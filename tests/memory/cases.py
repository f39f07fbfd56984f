"""What a host may meet for ever, each as a function that goes on until the gauge has enough.

Each ends with the trouble taken away, and what the plugins hold compared with the store.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from datasync_core import Context, Event, Host, hookimpl
from datasync_core.config import HostSettings, RetrySettings, Settings
from datasync_core.transport import ConnectionLost, Transport
from tests.memory.feed import Feed, Step
from tests.memory.gauge import Gauge
from tests.memory.mirror import PATIENCE, Mirror

KEYS = 1000


@contextmanager
def running(
    store: Transport, *, folder: Path | None = None, audit: float | None = None, **plugins: Mirror
) -> Iterator[Host]:
    """A host that retries at once."""
    settings = HostSettings("memory", retry=RetrySettings(0.0002, 0.001), audit=audit)
    with Host(store, plugins, settings=Settings(settings, {}, {}, Path.cwd()), state_dir=folder) as host:
        yield host


def conclude(gauge: Gauge, host: Host) -> None:
    """Wait for the end of a script, and until all is settled."""
    enough(gauge, host)
    assert host.wait(PATIENCE), host.status()


def enough(gauge: Gauge, host: Host) -> None:
    """Wait for the end of a script."""
    feed = host.stores["main"].transport
    assert isinstance(feed, Feed)
    while not gauge.finished.wait(0.2):
        for error in (feed.error, host.crashed()):
            if error is not None:
                raise error


def rewriting(feed: Feed, gauge: Gauge, keys: int, batch: int = 100) -> Iterator[Step]:
    """Write a bounded set of keys again and again."""
    for start in count(step=batch):
        if not gauge.more():
            return
        yield feed.change({f"a/{(start + number) % keys:06}": b"%010d" % start for number in range(batch)})
        gauge.count(batch)


def coming_and_going(feed: Feed, gauge: Gauge, batch: int = 20) -> Iterator[Step]:
    """Create keys of new names and delete those of the transaction before, beside some that stay."""
    for step in count():
        if not gauge.more():
            return
        names = {f"a/new-{step}-{number}": b"v" for number in range(batch)}
        gone = {f"a/new-{step - 1}-{number}": None for number in range(batch)}
        yield feed.change({**names, **gone, f"a/stays-{step % 50}": b"%d" % step})
        gauge.count(batch)


def in_step(
    feed: Feed, gauge: Gauge, *plugins: Mirror, batch: int = 100, value: bytes = b"1"
) -> Iterator[Step]:
    """The same, each transaction after the plugins have applied the one before."""
    for step in count(1):
        if not gauge.more():
            return
        names = {f"a/new-{step}-{number}": value for number in range(batch)}
        gone = {f"a/new-{step - 1}-{number}": None for number in range(batch)}
        yield feed.change({**names, **gone, "a/tick": b"%d" % step})
        for plugin in plugins:
            plugin.await_value("tick", plugin.watch.codec.decode(b"%d" % step))
        gauge.count(batch)


class Hung(Mirror):
    """Hangs in its start, or in the call after its first, until told to go on."""

    def __init__(self, *, at_start: bool = False) -> None:
        super().__init__(before=self._hang)
        self.go = threading.Event()
        self._at_start = at_start

    @hookimpl
    def on_start(self, context: Context) -> None:
        if self._at_start:
            assert self.go.wait(3600)

    def _hang(self, event: Event) -> None:
        if event.reason != "startup":
            assert self.go.wait(3600)


def slow_hook(gauge: Gauge, pause: float) -> None:
    """A plugin that takes its time for each call under an endless stream over a bounded set of keys."""
    over = threading.Event()

    def take_time(event: Event) -> None:
        over.wait(pause)

    plugin = Mirror(before=take_time)
    feed = Feed(lambda feed: rewriting(feed, gauge, KEYS))
    with running(feed, p=plugin) as host:
        enough(gauge, host)
        over.set()
        conclude(gauge, host)
    assert plugin.copy == feed.content("a/")


def gated_for_ever(gauge: Gauge) -> None:
    """A plugin whose requirement fails always, while its keys are rewritten, and others come and go."""
    healed = threading.Event()

    def fail(event: Event) -> None:
        if event.reason != "startup" and not healed.is_set():
            raise ValueError("for ever")

    low, high = Mirror("low", before=fail), Mirror("a/", requires=["low"])

    def script(feed: Feed) -> Iterator[Step]:
        high.await_value("000000", b"0")
        yield feed.change({"low": b"2"})
        streams = (rewriting(feed, gauge, KEYS), coming_and_going(feed, gauge))
        while gauge.more():
            for stream in streams:
                yield next(stream, None)

    feed = Feed(script, {"low": b"1", **{f"a/{number:06}": b"0" for number in range(KEYS)}})
    with running(feed, low=low, high=high) as host:
        enough(gauge, host)
        assert high.calls == 1
        healed.set()
        conclude(gauge, host)
    assert high.copy == feed.content("a/")


def rewritten(gauge: Gauge, keys: int) -> None:
    """A large store of which every key is written again and again."""
    plugin = Mirror()
    content = {f"a/{number:06}": b"%010d" % number for number in range(keys)}

    def script(feed: Feed) -> Iterator[Step]:
        for step in rewriting(feed, gauge, keys, 5000):
            yield step
            changed = feed.last
            plugin.await_value(changed.removeprefix("a/"), feed.truth[changed][0])

    feed = Feed(script, content)
    with running(feed, p=plugin) as host:
        conclude(gauge, host)
    assert plugin.copy == feed.content("a/")


def new_names(gauge: Gauge, folder: Path) -> None:
    """Keys that are created, told, explained, deleted and told again, each under a name of its own."""
    low, high = Mirror(), Mirror(requires=["low"])
    hosts: list[Host] = []

    def script(feed: Feed) -> Iterator[Step]:
        for number, step in enumerate(in_step(feed, gauge, low, high)):
            yield step
            for host in hosts:
                host.explain(f"a/new-{number}-0")

    feed = Feed(script)
    with running(feed, folder=folder, low=low, high=high) as host:
        hosts.append(host)
        conclude(gauge, host)
        assert low.copy == high.copy == feed.content("a/")
        for plugin in host.inspect().plugins.values():
            for ledger in plugin.stores.values():
                assert ledger.remembered == 0, plugin.name
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < 10_000


def hung_before_a_snapshot(gauge: Gauge) -> None:
    """A dispatcher that hangs before it took the first snapshot, while keys come and go."""
    hung(gauge, Hung(at_start=True))


def hung_in_a_change(gauge: Gauge) -> None:
    """A dispatcher that hangs in a hook, while keys come and go."""
    hung(gauge, Hung())


def hung_over_reconnects(gauge: Gauge) -> None:
    """A dispatcher that hangs while the store is lost and read anew, again and again."""
    hung(gauge, Hung(), lose=True)


def hung_over_audits(gauge: Gauge) -> None:
    """A dispatcher that hangs while audits read the store beside its stream."""
    hung(gauge, Hung(), audit=0.001)


def hung(gauge: Gauge, plugin: Hung, *, lose: bool = False, audit: float | None = None) -> None:
    """What these have in common."""

    def script(feed: Feed) -> Iterator[Step]:
        for number, step in enumerate(coming_and_going(feed, gauge)):
            yield step
            if number % 5 == 4:
                if lose:
                    feed.history += "'" if len(feed.history) < 10 else ""
                    feed.revision += 1  # what is lost: no cursor serves
                yield ConnectionLost("lost") if lose else None

    feed = Feed(script, {"a/here": b"1", "a/gone": b"1"})
    with running(feed, audit=audit, p=plugin) as host:
        try:
            enough(gauge, host)
            assert plugin.calls <= 2
        finally:
            plugin.go.set()
        conclude(gauge, host)
        if audit is not None or lose:
            assert host.inspect().stores["main"].snapshots > 10
    assert plugin.copy == feed.content("a/")


def store_that_breaks(gauge: Gauge) -> None:
    """A store that is lost every moment, and resumed or read again."""
    plugin = Mirror()

    def script(feed: Feed) -> Iterator[Step]:
        for number in count():
            if not gauge.more():
                return
            yield feed.change({f"a/{number}": b"v", f"a/{number - 50}": None})
            if number % 2:
                feed.revision += 1
            yield ConnectionLost(f"lost for the {number}th time")
            gauge.count()

    feed = Feed(script)
    with running(feed, p=plugin) as host:
        conclude(gauge, host)
    assert plugin.copy == feed.content("a/")
