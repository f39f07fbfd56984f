"""What an operator may ask of a running host, answered from its parts by any thread, also while a hook hangs."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define

from datasync_core.dispatch.dispatcher import Dispatcher
from datasync_core.dispatch.lane import Lane
from datasync_core.dispatch.states import PluginState, StateName
from datasync_core.dispatch.watchdog import Watchdog
from datasync_core.dispatch.wiring import Wiring
from datasync_core.model.errors import UsageError
from datasync_core.model.runtime import Runtime
from datasync_core.ops.explain import explain
from datasync_core.ops.inspection import Inspection
from datasync_core.ops.status import status
from datasync_core.plugins.problem import Problem
from datasync_core.sync.reflector import Health, Reflector
from datasync_core.sync.store import Store

log = logging.getLogger("datasync")

OWN = "this process"
"""Who asks where nobody else is known to: a program that embeds the host."""


@define(eq=False)
class Operations:
    """One host's answers (`ops.commands.Commands`). Any thread; no method waits for a hook."""

    name: str
    runtime: Runtime
    stores: Mapping[str, Store]
    reflectors: Mapping[str, Reflector]
    wiring: Wiring
    dispatcher: Dispatcher
    watchdog: Watchdog
    problems: Sequence[Problem]
    disabled: Mapping[str, str]

    def __attrs_post_init__(self) -> None:
        self.dispatcher.owner.check()  # a forked child would see what its parent had at the fork, for ever

    def states(self) -> Mapping[str, PluginState]:
        """The state of every plugin, also of those that failed to load or are disabled."""
        states = {name: PluginState(name, StateName.DISABLED, why) for name, why in self.disabled.items()}
        for problem in self.problems:
            if problem.plugin is not None:
                states[problem.plugin] = PluginState(problem.plugin, StateName.FAILED, problem.text)
        return {**states, **self.dispatcher.states}

    def status(self) -> dict[str, Any]:
        """Stores, plugins and faults, as plain data (the shape of ``status --json``)."""
        return status(
            self.name,
            self.stores,
            self._health(),
            self.wiring,
            self.states(),
            self.dispatcher.faults,
            self.runtime.monotonic(),
            self._running(),
            self.watchdog.hanging,
        )

    def explain(self, key: str) -> dict[str, Any]:
        """Why a key is where it is: store, watches, decoding, what is waited for, next attempt."""
        return explain(key, self.inspect(), self.runtime.monotonic())

    def inspect(self) -> Inspection:
        """A read-only view of copies, inboxes and ledgers."""
        return Inspection(self.wiring, self.dispatcher, self.reflectors)

    def resync(self, *plugins: str, by: str = OWN) -> Sequence[str]:
        """Plan a resync of these plugins (none: all) and of those that require them; whose are planned.

        It ends the waits of retries, of rejected keys, and for stores of theirs that are lost.

        Raises `UsageError` for a plugin that does not run here.
        """
        lanes = [self._lane(name) for name in plugins] or list(self.wiring.lanes.values())
        self.dispatcher.submit(
            lambda: self.dispatcher.resync(lanes, "request", rejected=True), ("resync", frozenset(lanes))
        )
        planned = {one for lane in lanes for one in (lane, *lane.dependents)}
        copies = {ledger.replica for lane in planned for ledger in lane.ledgers.values()}
        for store, feed in self.wiring.feeds.items():
            if feed.replica in copies:
                self.reflectors[store].hurry()
        names = [name for name, lane in self.wiring.lanes.items() if lane in planned]
        log.info("resync of %s, asked for by %s", ", ".join(names) or "no plugin", by, extra={"by": by})
        return names

    def release(self, plugin: str, *, by: str = OWN) -> int:
        """Let go what the brake holds of a plugin and of those that require it; how many removals were held.

        Raises `UsageError` for a plugin that does not run here.
        """
        lane = self._lane(plugin)
        held = sum(_removals(one) for one in (lane, *lane.dependents))
        self.dispatcher.submit(lambda: self.dispatcher.release(lane), ("release", lane))
        said = {"plugin": plugin, "by": by, "released": held}
        removals = f"{held} removal{'' if held == 1 else 's'}"
        log.info("%s: release of %s that the brake held, asked for by %s", plugin, removals, by, extra=said)
        return held

    def _health(self) -> Mapping[str, Health]:
        return {name: reflector.health for name, reflector in self.reflectors.items()}

    def _running(self) -> tuple[str, str, float] | None:
        """The call that runs, where it began before the watchdog's last look: nobody is told of shorter ones."""
        seen = self.watchdog.seen
        return None if seen is None or seen[0] is not self.dispatcher.running else (*seen[0], seen[1])

    def _lane(self, name: str) -> Lane:
        if name not in self.wiring.lanes:
            known = ", ".join(self.wiring.lanes) or "none"
            raise UsageError(f"no plugin {name} runs here; running are {known}")
        return self.wiring.lanes[name]


def _removals(lane: Lane) -> int:
    """How many removals the brake holds of one plugin; at the start of a host only their number is known."""
    tripped = lane.brake.tripped
    return tripped - lane.keys() if tripped is not None and lane.is_held_at_start() else lane.held()
