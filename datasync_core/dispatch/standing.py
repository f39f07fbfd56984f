"""Where one plugin stands: what it is due, what keeps it, how it came here. What others ask of a lane."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from datasync_core.dispatch.attempts import Attempts, Patience, Trouble
from datasync_core.dispatch.brake import Brake
from datasync_core.dispatch.failures import Failures
from datasync_core.dispatch.ledger import Ice, Ledger
from datasync_core.dispatch.news import News
from datasync_core.model.runtime import Runtime
from datasync_core.plugins.plugin import Plugin

if TYPE_CHECKING:
    from datasync_core.dispatch.lane import Lane


class Standing:
    """One plugin's state. Owned by the dispatcher thread, but for what any thread may ask."""

    def __init__(
        self,
        plugin: Plugin,
        ledgers: Mapping[str, Ledger],
        runtime: Runtime,
        patience: Patience,
        brake: Brake,
        missing: str | None,
    ) -> None:
        self.plugin = plugin
        self.name = plugin.name
        self.ledgers = ledgers
        self.number = 0
        """The place in DAG order."""
        self.requires: list[Lane] = []
        self.dependents: list[Lane] = []
        """Every lane that requires this one, directly or not."""
        self.news = News(ledgers, plugin.watches)
        """What this round changed, while that is told straight from the copy: only where this is clean."""
        self.clean = False
        """Whether this plugin keeps up: it applied what the copy holds, but for what is invalid or rejected; nothing is
        due or in its way.
        """
        self.missing = missing
        """A requirement that is not there: ``requires interfaces: not installed``."""
        self.started = False
        self.failed: str | None = None
        self.stopped = False
        self.succeeded = not plugin.watches
        """Whether an `on_resync` succeeded."""
        self.resync: str | None = "startup" if plugin.watches else None
        """The reason of the resync that is due."""
        self.last = ""
        """How this plugin came to be in sync: the reason of its last resync, or ``retry``."""
        self.resyncs = 0
        """How many resyncs succeeded, but for those that only stand for a change."""
        self.attempts = Attempts(patience, runtime)
        self.failures = Failures(ledgers, runtime.time)
        self.brake = brake
        self.waits_with: str | None = None
        """The braked plugin that requires this one, while this one's own first resync waits for it."""
        self.held_since: float | None = None
        """Since when its deletes wait for those that require it."""
        self._patience = patience

    @property
    def trouble(self) -> Trouble | None:
        """The call that raised, where the last one did."""
        return self.attempts.trouble

    @property
    def whole(self) -> bool:
        """Whether deletes go with the rest, in the pass forward."""
        return not self.dependents or self.plugin.whole or self.plugin.on_change is None

    @property
    def settled(self) -> bool:
        """Whether this plugin is in sync: what it requires of those that it requires."""
        return (
            self.started
            and self.succeeded
            and self.resync is None
            and self.trouble is None
            and self.failed is None
        )

    def gate(self) -> str | None:
        """Why this plugin gets nothing now, or None. Computed when asked, never remembered."""
        if self.missing is not None:
            return self.missing
        for required in self.requires:
            if not required.settled:
                return f"requires {required.name}: {required.failed or 'not in sync'}"
            if any(ledger.has_puts() for ledger in required.ledgers.values()):
                return f"requires {required.name}: changes pending"
        return None

    def unread(self) -> Iterable[str]:
        """The stores of which there is no snapshot yet."""
        return [name for name, ledger in self.ledgers.items() if not ledger.replica.synced]

    def is_busy(self) -> bool:
        """Whether something is due or pending, now or later."""
        return (not self.settled and not self.is_held_at_start()) or self.is_behind()

    def is_held(self) -> bool:
        """Whether the brake holds something here."""
        return self.brake.tripped is not None or self.waits_with is not None or self.held() > 0

    def is_held_at_start(self) -> bool:
        """Whether the brake holds the first resync."""
        if self.succeeded:
            return False
        return (self.brake.tripped is not None and self.brake.at_start) or self.waits_with is not None

    def held(self) -> int:
        """How many removals the brake holds. Any thread may ask."""
        return sum(ledger.held() for ledger in self.ledgers.values())

    def deadline(self, since: float) -> float | None:
        """When to look again if nothing else happens: the first moment after ``since`` (monotonic seconds).

        A moment that has passed counts no more: the round that began at ``since`` took it up, or a gate keeps it.
        """
        if self.failed is not None or self.missing is not None:
            return None
        moments = self.attempts.moments(resync=self.resync is not None)
        moments += [aside.due for ledger in self.ledgers.values() for aside in ledger.aside.values()]
        if self.held_since is not None:
            moments.append(self.held_since + self._patience.hold)
        return min((moment for moment in moments if moment > since), default=None)

    def is_clean(self) -> bool:
        """Whether the next changes may be told straight from the copy; to be asked where this is not busy nor held."""
        return (
            not self.stopped
            and self.plugin.on_change is not None
            and self.held_since is None
            and all(ledger.is_clean() for ledger in self.ledgers.values())
        )

    def keys(self) -> int:
        """How many keys the plugin's watches cover. Any thread may ask."""
        return sum(len(shelf.entries) for ledger in self.ledgers.values() for shelf in ledger.watch_of)

    def stock(self) -> int:
        """How many keys the plugin has applied, or may have."""
        return sum(ledger.stock() for ledger in self.ledgers.values())

    def set_aside(self) -> int:
        """How many keys wait for their own next attempt. Any thread may ask."""
        return sum(len(ledger.aside) for ledger in self.ledgers.values())

    def undelivered(self) -> int:
        """How many keys are invalid or rejected. Any thread may ask."""
        frozen = [why for ledger in self.ledgers.values() for why in list(ledger.frozen.values())]
        return sum(why.ice is not Ice.HELD for why in frozen)

    def not_applied(self) -> tuple[int, int]:
        """How many keys are pending, invalid, rejected or held, and of how many that are there or to be deleted.

        A plugin in sync is *complete* where it is none. Any thread may ask.
        """
        number, total = 0, self.keys()
        for ledger in self.ledgers.values():
            keys = [*list(ledger.behind), *list(ledger.frozen)]
            number += len(keys)
            total += sum(ledger.replica.shelves.peek(key) is None for key in keys)
        return number, total

    def is_behind(self) -> bool:
        """Whether something is pending."""
        return any(True for ledger in self.ledgers.values() if ledger.behind for _ in ledger.pending())
