"""From loaded plugins to what drives them: a replica and an inbox for each watched store, a lane for each plugin."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from attrs import frozen

from datasync_core.dispatch.attempts import Patience
from datasync_core.dispatch.brake import Brake
from datasync_core.dispatch.counts import Counts
from datasync_core.dispatch.dispatcher import Dispatcher
from datasync_core.dispatch.lane import Lane, connect
from datasync_core.dispatch.ledger import Ledger
from datasync_core.model.keys import outermost
from datasync_core.model.runtime import Doorbell, Runtime
from datasync_core.plugins.plugin import Plugin
from datasync_core.spec.context import Context
from datasync_core.spec.watch import Watch
from datasync_core.sync.expected import Expected
from datasync_core.sync.inbox import Inbox
from datasync_core.sync.replica import Replica


@frozen
class Binding:
    """One plugin's place: which configured store each of its names for a store means, and its settings.

    ``missing`` says which requirement is not there; ``delta``: a reconnect brings it only the difference; ``brake`` is
    the share and the number of keys that trip it, ``expected`` how many had been applied in an earlier life.
    """

    stores: Mapping[str, str]
    context: Context
    patience: Patience
    missing: str | None = None
    delta: bool = False
    brake: tuple[float, int] = (0.5, 10)
    expected: int = 0


@frozen
class Feed:
    """One watched store: what is read of it, where that goes, and the copy."""

    paths: Sequence[str]
    inbox: Inbox
    replica: Replica
    expected: Expected


@frozen
class Wiring:
    """What was wired: feeds by store, lanes by plugin in DAG order."""

    feeds: Mapping[str, Feed]
    lanes: Mapping[str, Lane]


def wire(
    dispatcher: Dispatcher,
    runtime: Runtime,
    doorbell: Doorbell,
    plugins: Sequence[Plugin],
    binding: Callable[[Plugin], Binding],
    requires: Mapping[str, Sequence[str]],
    counted: Collection[str] = (),
    counts: Counts | None = None,
) -> Wiring:
    """Install plugins (in DAG order) in a dispatcher. ``counted`` names stores that number nothing themselves."""
    bound = {plugin: binding(plugin) for plugin in plugins}
    paths: dict[str, list[str]] = {}
    for plugin, place in bound.items():
        for watch in plugin.watches:
            paths.setdefault(place.stores[watch.store], []).append(watch.path)
    feeds = {}
    for store, watched in paths.items():
        inbox, replica = Inbox(runtime, doorbell), Replica(watched, counts=store in counted)
        feeds[store] = Feed(outermost(watched), inbox, replica, Expected(inbox, replica, runtime))
    bits: dict[object, int] = {}
    lanes = {}
    for plugin, place in bound.items():
        ledgers = _ledgers(plugin, place, feeds, bits)
        lanes[plugin.name] = Lane(
            plugin,
            ledgers,
            place.context,
            dispatcher,
            place.patience,
            Brake(*place.brake, place.expected),
            missing=place.missing,
        )
    for store, feed in feeds.items():
        feed.inbox.knows = _knower(feed.replica, bound, lanes, store)
    connect(lanes, requires)
    delta = frozenset(plugin.name for plugin, place in bound.items() if place.delta)
    inboxes = [(store, feed.inbox, feed.replica) for store, feed in feeds.items()]
    dispatcher.install(list(lanes.values()), inboxes, delta, counts)
    return Wiring(feeds, lanes)


def _knower(
    replica: Replica, bound: Mapping[Plugin, Binding], lanes: Mapping[str, Lane], store: str
) -> Callable[[str], bool]:
    """Whether the copy of a store has a key, or the brake holds it; for the thread that reads the store."""
    ledgers = [
        ledger
        for plugin, place in bound.items()
        for name, ledger in lanes[plugin.name].ledgers.items()
        if place.stores[name] == store
    ]
    return lambda key: replica.knows(key) or any(key in ledger.inferred for ledger in ledgers)


def _ledgers(
    plugin: Plugin, place: Binding, feeds: Mapping[str, Feed], bits: dict[object, int]
) -> dict[str, Ledger]:
    watches: dict[str, list[Watch[Any]]] = {}
    for watch in plugin.watches:
        watches.setdefault(watch.store, []).append(watch)
        bits.setdefault(watch.codec.kind, 1 << len(bits))  # equal codecs check an entry once
    checked = {watch: bits[watch.codec.kind] for watch in plugin.watches}
    return {
        store: Ledger(feeds[place.stores[store]].replica, mine, checked) for store, mine in watches.items()
    }
