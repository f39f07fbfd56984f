"""From the inboxes into the copies, and to those lanes that this concerns.

A lane that keeps up gets the shelves that changed as `news`, the others note them in their ledgers. The deltas stay on
the shelves until `settle`, when the round has told them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter

from datasync_core.dispatch.lane import Lane
from datasync_core.dispatch.news import Item
from datasync_core.model.entries import Entry
from datasync_core.model.faults import Fault, FaultKind
from datasync_core.model.keys import shown
from datasync_core.sync.inbox import Inbox
from datasync_core.sync.replica import Replica
from datasync_core.sync.shelves import Shelf

in_order = attrgetter("number")
"""Sorts lanes into DAG order."""


class Intake:
    """What comes into a dispatcher. Owned by its thread, but for `is_empty`."""

    def __init__(
        self,
        lanes: Sequence[Lane],
        inboxes: Iterable[tuple[str, Inbox, Replica]],
        delta: frozenset[str],
        report: Callable[[Fault], None],
    ) -> None:
        """``lanes`` in DAG order; ``delta``: plugins that a reconnect brings only the difference."""
        self._lanes = lanes
        self._inboxes = list(inboxes)
        self._delta = delta
        self._report = report
        self._routes: dict[Shelf, list[tuple[Lane, Item]]] = {}  # whom a shelf concerns, in DAG order
        self.behind = False
        """Whether there is one among the lanes that `take` gave last that does not keep up."""
        self._taken: list[Replica] = []  # the copies that this round changed
        for lane in lanes:
            for ledger in lane.ledgers.values():
                for shelf, watch in ledger.watch_of.items():
                    self._routes.setdefault(shelf, []).append((lane, (shelf, watch, ledger)))

    def is_empty(self) -> bool:
        """Whether nothing waits to be taken. Any thread may ask."""
        return all([inbox.is_empty() for _, inbox, _ in self._inboxes])

    def is_read(self) -> bool:
        """Whether each store was read, and nothing waits to be taken."""
        return all([replica.synced and inbox.is_empty() for _, inbox, replica in self._inboxes])

    def take(self) -> list[Lane]:
        """Empty the inboxes into the copies; the lanes that this concerns, in DAG order."""
        concerned: dict[Lane, None] = {}
        self.behind = False
        in_turn = True  # whether the lanes come in DAG order, as those of one shelf do
        for store, inbox, replica in self._inboxes:
            segments = inbox.take()
            if not segments:
                continue
            self._taken.append(replica)
            before = replica.snapshots
            replica.apply(segments)
            single = replica.single() if replica.plain else None
            in_turn = in_turn and not concerned and single is not None
            if single is not None:
                self._hand_out_single(replica.touched[0], *single, concerned)
            else:
                self._look(store, replica, before, concerned)
                self._hand_out(replica, concerned)
            inbox.settle()
        return list(concerned) if in_turn else sorted(concerned, key=in_order)

    def settle(self) -> None:
        """The round is over: forget what it changed."""
        for replica in self._taken:
            replica.settle()
        self._taken.clear()

    def _hand_out_single(
        self, shelf: Shelf, entry: Entry, before: Entry | None, concerned: dict[Lane, None]
    ) -> None:
        """`_hand_out` of one create or update, which rounds are made of where changes come one by one."""
        for lane, item in self._routes.get(shelf, ()):
            concerned[lane] = None
            if not lane.clean or (item[2].frozen and item[2].stirs(shelf)):
                self.behind = True
                lane.take_in()
                item[2].absorb(shelf)
            else:
                news = lane.news
                news.single = None if news.items else (item[1], entry, before)
                news.items.append(item)
                if entry.error is not None:
                    news.unusual = True

    def _hand_out(self, replica: Replica, concerned: dict[Lane, None]) -> None:
        routes, plain = self._routes, replica.plain
        for shelf in replica.touched:
            told, unusual = bool(shelf.delta), bool(shelf.deletes or shelf.errors)
            for lane, item in routes.get(shelf, ()):
                if not plain or not lane.clean or (item[2].frozen and item[2].stirs(shelf)):
                    self.behind = True
                    lane.take_in()
                    item[2].absorb(shelf)
                    concerned[lane] = None
                elif told:
                    news = lane.news
                    if news.items:
                        news.single = None
                    else:
                        concerned[lane] = None
                    news.items.append(item)
                    if unusual:
                        news.unusual = True
        for shelf, key in replica.buried:
            for lane, item in routes.get(shelf, ()):
                if not lane.clean:
                    self.behind = True
                    item[2].bury(key)
                    concerned[lane] = None

    def _look(self, store: str, replica: Replica, before: int, concerned: dict[Lane, None]) -> None:
        """What a snapshot or an audit brought (``before``: how many snapshots there were)."""
        if replica.went_back is not None:
            self._report_history(store, *replica.went_back)
        if replica.audited is not None:
            concerned.update(dict.fromkeys(self._repair(store, replica, *replica.audited)))
        if replica.snapshots > before > 0:
            concerned.update(dict.fromkeys(self._plan(replica, "reconnect")))

    def _report_history(self, store: str, key: str, before: int, now: int) -> None:
        text = (
            f"store {store}: {shown(key)} went back from revision {before} to {now}:"
            " it has another history (a restored backup?)"
        )
        self._report(Fault(FaultKind.STORE_WENT_BACK, text, store=store, key=key))

    def _repair(self, store: str, replica: Replica, differed: int, missed: int) -> list[Lane]:
        """An audit was made; where the copy was wrong, those who read it are resynced."""
        if not differed:
            return []
        keys = "1 key that differs" if differed == 1 else f"{differed} keys that differ"
        text = f"store {store}: an audit found {keys} from the copy, {missed} of them older than its newest change"
        self._report(Fault(FaultKind.AUDIT, text, store=store))
        return self._plan(replica, "audit")

    def _plan(self, replica: Replica, reason: str) -> list[Lane]:
        watching = [
            lane
            for lane in self._lanes
            if (reason == "audit" or lane.name not in self._delta)
            and any(ledger.replica is replica for ledger in lane.ledgers.values())
        ]
        for lane in watching:
            self.behind = True
            lane.plan(reason)
        return watching
