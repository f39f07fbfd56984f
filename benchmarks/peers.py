"""Small updates through what others would take: W1p pluggy, W1k kopf.

Neither keeps a copy, an order or a promise: what is compared is the way of one event to the hooks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any

import pluggy
from attrs import frozen

from benchmarks.sides import Goal, Measuring, Result, working
from benchmarks.updates import EACH, GROUPS, KEYS, PLUGINS, SHORT, UPDATES, VALUE, key, ours, updates
from datasync_core.model.entries import Entry

KOPF_UPDATES = 20_000
"""kopf takes a hundred times as long for each: a tenth of the updates says the same."""
KOPF = (
    "kopf",
    "kopf._cogs.clients.watching",
    "kopf._cogs.structs.references",
    "kopf._cogs.configs.configuration",
    "kopf._core.engines.indexing",
    "kopf._core.reactor.inventory",
    "kopf._core.reactor.processing",
    "kopf._core.reactor.queueing",
)

spec, impl = pluggy.HookspecMarker("benchmark"), pluggy.HookimplMarker("benchmark")


@frozen
class Seen:
    """An event as attrs classes are usually written."""

    key: str
    entry: Entry
    previous: Entry | None


class Spec:
    """The hook."""

    @spec
    def on_event(self, event: Seen) -> None:
        """Something changed."""


class Counting:
    """A plugin of pluggy's that counts."""

    def __init__(self) -> None:
        self.count = 0

    @impl
    def on_event(self, event: Seen) -> None:
        """Count."""
        self.count += 1


def subsets(plugins: Sequence[Counting]) -> dict[str, Callable[..., Any]]:
    """How pluggy calls some of its plugins: a caller for each subtree that leaves out the others."""
    manager = pluggy.PluginManager("benchmark")
    manager.add_hookspecs(Spec)
    for plugin in plugins:
        manager.register(plugin)
    routes: dict[str, Callable[..., Any]] = {}
    for group in range(GROUPS):
        told = {(group + shift) % PLUGINS for shift in range(EACH)}
        others = [plugin for number, plugin in enumerate(plugins) if number not in told]
        routes[f"r{group}"] = manager.subset_hook_caller("on_event", others)
    return routes


def apart(plugins: Sequence[Counting]) -> dict[str, Callable[..., Any]]:
    """The quickest that pluggy can be: a plugin manager of its own for each subtree."""
    routes: dict[str, Callable[..., Any]] = {}
    for group in range(GROUPS):
        manager = pluggy.PluginManager("benchmark")
        manager.add_hookspecs(Spec)
        for shift in range(EACH):
            manager.register(plugins[(group + shift) % PLUGINS])
        routes[f"r{group}"] = manager.hook.on_event
    return routes


def through_pluggy(
    count: int, routing: Callable[[Sequence[Counting]], dict[str, Callable[..., Any]]]
) -> float:
    """Seconds for so many updates: a dict, a frozen event, one call of pluggy's, of the three that are concerned."""
    plugins = [Counting() for _ in range(PLUGINS)]
    routes = routing(plugins)
    known = {key(number): Entry(key(number), VALUE, number + 1) for number in range(KEYS)}
    route_of = {name: routes[name.split("/")[1]] for name in known}
    entries = updates(count)
    began = working()
    for entry in entries:
        name = entry.key
        previous = known.get(name)
        known[name] = entry
        route_of[name](event=Seen(name, entry, previous))
    seconds = working() - began
    assert sum(plugin.count for plugin in plugins) == EACH * count
    return seconds


def through_kopf(count: int) -> float:
    """Seconds for so many updates through kopf's watcher, its queues and workers, and one ``on.event`` handler."""
    return asyncio.run(_operate(count))


async def _operate(count: int) -> float:
    # Imported by name: kopf is there only where benchmarks are run, and what is taken of it has no public name.
    kopf, watching, references, configuration, indexing, inventory, processing, queueing = map(
        import_module, KOPF
    )
    registry = kopf.OperatorRegistry()
    resource = references.Resource("example.com", "v1", "objects", kind="Object", namespaced=True)
    told = 0
    done = asyncio.Event()

    async def on_event(**_: Any) -> None:
        nonlocal told
        told += 1
        if told == count:
            done.set()

    kopf.on.event("example.com", "v1", "objects", registry=registry)(on_event)
    events = [_raw(number) for number in range(count)]

    async def stream(**_: Any) -> AsyncIterator[Any]:
        yield watching.Bookmark.LISTED
        for event in events:
            yield event
        await done.wait()

    settings = configuration.OperatorSettings()
    settings.posting.enabled = False
    settings.queueing.idle_timeout = 60.0
    processor = partial(
        processing.process_resource_event,
        lifecycle=kopf.lifecycles.all_at_once,
        registry=registry,
        settings=settings,
        indexers=indexing.OperatorIndexers(),
        memories=inventory.ResourceMemories(),
        memobase=kopf.Memo(),
        resource=resource,
        event_queue=asyncio.Queue(),
    )
    original = watching.infinite_watch
    setattr(watching, "infinite_watch", stream)  # noqa: B010 - a module has no such attribute, to a type checker
    try:
        began = working()
        await queueing.watcher(namespace=None, settings=settings, resource=resource, processor=processor)
        seconds = working() - began
    finally:
        setattr(watching, "infinite_watch", original)  # noqa: B010 - the same
    assert told == count
    return seconds


def _raw(number: int) -> dict[str, Any]:
    """An event of Kubernetes' about one of the keys, with a value of the same size."""
    which = number * 7919 % KEYS
    name = f"obj{which:06d}"
    metadata = {"name": name, "namespace": "r", "uid": name, "resourceVersion": str(number + 1)}
    value = (VALUE[:-6] + b"%06d" % number).decode()
    return {
        "type": "MODIFIED",
        "object": {
            "apiVersion": "example.com/v1",
            "kind": "Object",
            "metadata": metadata,
            "spec": {"value": value},
        },
    }


def w1p(measuring: Measuring) -> list[Result]:
    """Against pluggy as it is meant to be used, and, with no goal, the quickest that it can be."""
    count = measuring.count(UPDATES, SHORT)
    what, event = f"W1, {count:,} updates", "a dict, an attrs.frozen event and one pluggy call an update"
    mine, usual = measuring.best("W1p", lambda: ours(count, 100), lambda: through_pluggy(count, subsets))
    also, quickest = measuring.best("W1p", lambda: ours(count, 100), lambda: through_pluggy(count, apart))
    return [
        Result("W1p", what, f"{event}, by subset_hook_caller", mine, usual, "s", Goal(4, at_most=False)),
        Result("W1p", what, f"{event}, by a plugin manager for each route", also, quickest, "s"),
    ]


def w1k(measuring: Measuring) -> list[Result]:
    """Against kopf, for each update; its events go to one handler, ours to three plugins."""
    logging.getLogger("kopf").setLevel(logging.WARNING)
    count, fewer = measuring.count(UPDATES, SHORT), measuring.count(KOPF_UPDATES, 1000)
    mine, other = measuring.best("W1k", lambda: ours(count, 100) / count, lambda: through_kopf(fewer) / fewer)
    against = f"kopf's watcher, workers and one on.event handler, {fewer:,} events (it does more for each)"
    what = f"W1, {count:,} updates; for each"
    return [Result("W1k", what, against, mine, other, "s", Goal(100, at_most=False))]
