"""Plugins that fail, report and reject for ever, and those who ask and write from outside."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from datasync_core import Change, Context, Event, Fault, Host, Reject, hookimpl
from datasync_core.dispatch import ledger
from datasync_core.model.errors import UsageError
from datasync_core.ops.control import ask
from datasync_transports.memory import MemoryTransport
from tests.memory.cases import Hung, conclude, enough, in_step, running
from tests.memory.feed import Feed, Step
from tests.memory.gauge import Gauge
from tests.memory.mirror import Mirror


def hook_that_fails_on_each_new_key(gauge: Gauge) -> None:
    """A call that raises for keys of new names, once for each step, and succeeds when it is tried again."""
    failed: set[Any] = set()

    def fail(event: Event) -> None:
        tick = event[plugin.watch].get("tick")
        if tick is not None and tick not in failed:
            failed.clear()
            failed.add(tick)
            raise ValueError(f"not at tick {tick!r}")

    plugin = Mirror(before=fail)
    feed = Feed(lambda feed: in_step(feed, gauge, plugin))
    with running(feed, p=plugin) as host:
        conclude(gauge, host)
    assert plugin.copy == feed.content("a/")


def hook_that_always_fails(gauge: Gauge, leftovers: int) -> None:
    """A call that never succeeds, while keys that it was handed go and others come."""
    ledger.LEFTOVERS = leftovers
    failing = True

    def fail(event: Event) -> None:
        if failing and event.reason != "startup":
            raise ValueError(f"no, number {plugin.calls}")

    plugin = Mirror(before=fail)

    def script(feed: Feed) -> Iterator[Step]:
        plugin.await_calls(1)
        for step in count(1):
            if not gauge.more():
                return
            names = {f"a/new-{step}-{number}": b"v" for number in range(500)}
            gone = {f"a/new-{step - 1}-{number}": None for number in range(500)}
            yield feed.change({**names, **gone})
            gauge.count(500)
            plugin.await_calls(plugin.calls + 2)

    feed = Feed(script)
    with running(feed, p=plugin) as host:
        enough(gauge, host)
        failing = False  # `fail` looks at it
        conclude(gauge, host)
    assert plugin.copy == feed.content("a/")


def keys_that_fail_alone(gauge: Gauge) -> None:
    """Keys that are set aside or rejected, each under a name of its own, and deleted then."""

    def refuse(change: Change[Any]) -> None:
        if gauge.more() and not change.deleted and change.name.startswith("new"):
            raise (Reject if hash(change.name) % 2 else ValueError)(f"not {change.name}")

    plugin = Mirror(on_each=refuse)
    feed = Feed(lambda feed: in_step(feed, gauge, plugin, batch=20))
    with running(feed, p=plugin) as host:
        conclude(gauge, host)
    rejected = {name for name in feed.content("a/") if name != "tick" and hash(name) % 2}
    assert plugin.copy == {name: value for name, value in feed.content("a/").items() if name not in rejected}


def values_that_do_not_decode(gauge: Gauge) -> None:
    """Values that are invalid, each under a name of its own, and deleted then."""
    plugin = Mirror(type=int)
    hosts: list[Host] = []

    def script(feed: Feed) -> Iterator[Step]:
        for number, step in enumerate(in_step(feed, gauge, plugin, value=b"no number")):
            yield step
            for host in hosts:
                host.explain(f"a/new-{number}-0")

    feed = Feed(script)
    with running(feed, p=plugin) as host:
        hosts.append(host)
        conclude(gauge, host)
        assert len(host.status()["faults"]) == 100
    assert plugin.copy.keys() == {"tick"}


class Reporter(Mirror):
    """Gives away its context, and hears of faults."""

    told = 0

    @hookimpl
    def on_start(self, context: Context) -> None:
        self.context = context

    @hookimpl
    def on_fault(self, fault: Fault) -> None:
        self.told += 1


def reporter(gauge: Gauge) -> None:
    """A plugin that reports a fault with every breath, from a thread of its own."""
    plugin = Reporter()
    feed = Feed(lambda _: iter(()), {f"a/{number}": b"v" for number in range(10)})
    with running(feed, p=plugin) as host:
        assert host.wait(10)
        while gauge.more():
            plugin.context.report_fault(ValueError(f"number {gauge.done}"))
            plugin.context.request_resync(f"number {gauge.done}")
            gauge.count()
        assert plugin.calls > 2
    assert plugin.told > 0
    assert plugin.copy == feed.content("a/")


def publisher(gauge: Gauge) -> None:
    """Writes of the host's own that nobody reads while a hook hangs, and waits for them that time out."""
    store, plugin = MemoryTransport(history=1000), Hung()
    with running(store, p=plugin) as host:
        assert host.wait(10)
        publisher = host.publisher()
        publisher.put("a/first", "v")
        while gauge.more():
            number = gauge.done
            publisher.put(f"a/{number % 500}", str(number))
            publisher.put(f"a/new-{number}", "v")
            publisher.delete(f"a/new-{number}")
            if number % 100 == 0:
                assert not host.wait(0.0)
            gauge.count()
        plugin.go.set()
        assert host.wait(60)
    assert {f"a/{name}": value for name, value in plugin.copy.items()} == store.entries


def conversations(gauge: Gauge, folder: Path) -> None:
    """Questions to a host whose hook hangs, orders that it cannot follow, and clients that never ask."""
    plugin = Hung()
    questions: list[Callable[[int], dict[str, Any]]] = [
        lambda number: {"command": "explain", "key": f"a/new-{number}"},
        lambda _: {"command": "status"},
        lambda number: {"command": "resync", "plugins": ["p"] * (number % 3)},
        lambda _: {"command": "release", "plugin": "p"},
        lambda number: {"command": f"wrong {number}"},
    ]
    with running(MemoryTransport(), folder=folder, p=plugin) as host:
        assert host.wait(10)
        host.publisher().put("a/first", "v")
        [control] = folder.rglob("control")
        silent: list[socket.socket] = []
        while gauge.more():
            number = gauge.done
            request = questions[number % len(questions)](number)
            with suppress(UsageError):
                ask(control.parent, request)
            if number % 3 == 0:
                with socket.socket(socket.AF_UNIX) as gone:
                    gone.connect(str(control))
                    gone.send(json.dumps(request)[:-1].encode())
                silent.append(socket.socket(socket.AF_UNIX))
                silent[-1].connect(str(control))
            if len(silent) > 20:
                silent.pop(0).close()
            gauge.count()
        for client in silent:
            client.close()
        plugin.go.set()
        assert host.wait(60)
