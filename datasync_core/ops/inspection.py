"""A read-only view of what a host holds: its copies, what waits in its inboxes, and where each key of a plugin stands.

`Host.inspect` and the kit's `Harness.inspect` make one; `ops.explain` reads nothing else. Tests ask it in place of the
parts of `sync` and `dispatch`, so these may be built in another way without a test that has to follow.

Everything is live: a view shows what is there when it is asked. Look-ups of one key may be made by any thread; whoever
iterates a mapping or a set does it while no round is made (on the dispatcher's thread, or while that waits).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from attrs import frozen

from datasync_core.dispatch.dispatcher import Dispatcher
from datasync_core.dispatch.lane import Lane
from datasync_core.dispatch.ledger import Aside, Frozen, Ledger
from datasync_core.dispatch.states import PluginState
from datasync_core.dispatch.wiring import Feed, Wiring
from datasync_core.model.entries import Entry
from datasync_core.model.faults import Fault
from datasync_core.model.keys import covers
from datasync_core.spec.watch import Watch
from datasync_core.sync.inbox import Segment
from datasync_core.sync.reflector import Health, Reflector


@frozen
class KeyView:
    """Where one key of one plugin stands, as of the moment it was asked for."""

    watch: Watch[Any]
    """The watch that decides for it: the longest that covers it."""
    entry: Entry | None
    """What the copy holds."""
    applied: Entry | None
    """What the plugin applied last."""
    uncertain: bool
    """Whether its last delivery failed or has an unknown outcome."""
    untold: bool
    """Whether the round that is being made changed it, and the plugin was not called yet."""
    blocked: Frozen | None
    """Why it is not delivered (invalid, rejected, held), if it is not."""
    waiting: Aside | None
    """Its own next attempt, where it waits for one."""


class LedgerView:
    """What one plugin has applied of one store, as the exceptions from the copy."""

    __slots__ = ("_lane", "_ledger")

    def __init__(self, lane: Lane, ledger: Ledger) -> None:
        self._lane = lane
        self._ledger = ledger

    @property
    def pending(self) -> Mapping[str, Entry | None]:
        """Key → what was applied, of each key that may not be applied as the copy holds it, and is not blocked."""
        return self._ledger.behind

    @property
    def uncertain(self) -> AbstractSet[str]:
        """The keys whose last delivery failed or has an unknown outcome."""
        return self._ledger.uncertain

    @property
    def blocked(self) -> Mapping[str, Frozen]:
        """Key → why it is not delivered: invalid, rejected, or held by the brake."""
        return self._ledger.frozen

    @property
    def waiting(self) -> Mapping[str, Aside]:
        """Key → its own next attempt, of each key that waits for one."""
        return self._ledger.aside

    @property
    def inferred(self) -> AbstractSet[str]:
        """The keys that are gone, inferred from absence: what the brake may hold."""
        return self._ledger.inferred

    @property
    def remembered(self) -> int:
        """How many keys are remembered beside the copy: the size of all these collections together."""
        return self._ledger.remembered()

    @property
    def read(self) -> bool:
        """Whether a whole snapshot of the store is in the copy."""
        return self._ledger.replica.synced

    def key(self, key: str) -> KeyView | None:
        """Where a key stands; None where no watch of the plugin covers it. Any thread."""
        ledger = self._ledger
        watches = [watch for watch in ledger.shelves_of if covers(watch.path, key)]
        if not watches:
            return None
        entry, blocked = ledger.replica.shelves.peek(key), ledger.frozen.get(key)
        untold = self._lane.news.untold(ledger, key)
        applied = (
            ledger.behind.get(key, entry if ledger.based else None) if blocked is None else blocked.applied
        )
        return KeyView(
            max(watches, key=lambda watch: len(watch.path)),
            entry,
            untold.get(key, applied),
            key in ledger.uncertain,
            key in untold,
            blocked,
            ledger.aside.get(key),
        )


class PluginView:
    """One plugin's deliveries: what is due, what it waits for, and its keys."""

    __slots__ = ("_lane", "stores")

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self.stores: Mapping[str, LedgerView] = {
            store: LedgerView(lane, ledger) for store, ledger in lane.ledgers.items()
        }
        """By the plugin's own name for each store."""

    @property
    def name(self) -> str:
        """The plugin's name."""
        return self._lane.name

    @property
    def paths(self) -> Sequence[str]:
        """The paths that it watches."""
        return [watch.path for watch in self._lane.plugin.watches]

    @property
    def pending(self) -> Collection[str]:
        """The keys of all stores that may not be applied as the copies hold them, and are not blocked."""
        return {key for ledger in self.stores.values() for key in ledger.pending}

    @property
    def blocked(self) -> Mapping[str, str]:
        """Key → why it is not delivered: invalid, rejected, or held by the brake."""
        return {key: why.reason for ledger in self.stores.values() for key, why in ledger.blocked.items()}

    @property
    def keeps_up(self) -> bool:
        """Whether it applied all that is not blocked, and nothing is due or in its way."""
        return self._lane.clean

    @property
    def failed(self) -> str | None:
        """Why it runs no more, if it does not."""
        return self._lane.failed

    @property
    def resync_due(self) -> str | None:
        """The reason of the resync that is due, or None."""
        return self._lane.resync

    @property
    def call_failed(self) -> bool:
        """Whether its last call raised."""
        return self._lane.trouble is not None

    @property
    def next_call(self) -> float | None:
        """When all of its work is tried again (monotonic seconds), where its last call raised and that is planned."""
        trouble = self._lane.trouble
        return None if trouble is None else trouble.due

    @property
    def waits_until(self) -> float:
        """Until when nothing is called (monotonic seconds): a call raised, or it asked for resyncs again and again."""
        lane = self._lane
        return max(lane.attempts.moments(resync=lane.resync is not None), default=0.0)

    @property
    def braked(self) -> int | None:
        """How many keys it had applied when the brake tripped, or None where it did not."""
        return self._lane.brake.tripped

    @property
    def is_held(self) -> bool:
        """Whether the brake holds something here."""
        return self._lane.is_held()

    @property
    def is_held_at_start(self) -> bool:
        """Whether the brake holds the first resync."""
        return self._lane.is_held_at_start()

    def next_attempt(self, since: float) -> float | None:
        """The first moment after ``since`` (monotonic seconds) at which something is tried again by itself."""
        return self._lane.deadline(since)


class StoreView:
    """One watched store: the copy, and what is on its way to it."""

    __slots__ = ("_feed", "_reflector")

    def __init__(self, feed: Feed, reflector: Reflector | None) -> None:
        self._feed = feed
        self._reflector = reflector

    @property
    def health(self) -> Health | None:
        """The connection; None in a harness, which has none."""
        return None if self._reflector is None else self._reflector.health

    @property
    def snapshots(self) -> int:
        """How many snapshots the connection has brought; 0 in a harness."""
        return 0 if self._reflector is None else self._reflector.health.snapshots

    @property
    def read(self) -> bool:
        """Whether a whole snapshot is in the copy."""
        return self._feed.replica.synced

    @property
    def staged(self) -> Sequence[Segment]:
        """What was read and not taken by the dispatcher yet, in order."""
        return self._feed.inbox.staged()

    @property
    def staged_keys(self) -> AbstractSet[str]:
        """The keys whose changes were read and not taken yet. Any thread."""
        return self._feed.inbox.waiting()

    def __len__(self) -> int:
        """How many keys the copy has."""
        return len(self._feed.replica)

    def entry(self, key: str) -> Entry | None:
        """What the copy holds of a key. Any thread."""
        return self._feed.replica.shelves.peek(key)

    def watches(self, key: str) -> bool:
        """Whether any plugin watches a key."""
        return self._feed.replica.shelves.watches(key)


class Inspection:
    """What `Host.inspect` and `Harness.inspect` give. Reads only."""

    __slots__ = ("_dispatcher", "plugins", "stores")

    def __init__(
        self, wiring: Wiring, dispatcher: Dispatcher, reflectors: Mapping[str, Reflector] | None = None
    ) -> None:
        connections = reflectors or {}
        self._dispatcher = dispatcher
        self.stores: Mapping[str, StoreView] = {
            name: StoreView(feed, connections.get(name)) for name, feed in wiring.feeds.items()
        }
        """The watched stores by name."""
        self.plugins: Mapping[str, PluginView] = {
            name: PluginView(lane) for name, lane in wiring.lanes.items()
        }
        """The loaded plugins by name, in DAG order."""

    @property
    def states(self) -> Mapping[str, PluginState]:
        """The state of each loaded plugin as of the last round. Any thread."""
        return self._dispatcher.states

    @property
    def faults(self) -> Sequence[Fault]:
        """The latest faults. Any thread."""
        return list(self._dispatcher.faults)

    @property
    def settled(self) -> bool:
        """Whether nothing is due or pending that would go on by itself. Any thread."""
        return self._dispatcher.is_settled()

    @property
    def stopping(self) -> bool:
        """Whether a stop was asked for. Any thread."""
        return self._dispatcher.stopping

    @property
    def orders(self) -> int:
        """How many orders of operators and requests of plugins wait for the next round. Any thread."""
        return self._dispatcher.orders()
