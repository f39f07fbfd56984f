"""What a plugin that keeps up is told: a round's changes, straight from the copy.

Such a plugin applied just what the copy held before the round (but for what is invalid or rejected, and that did not
change), so what the round left on the shelves is all that is to be told, and nothing is written down where the hook
succeeds. Only where it fails, or sets a key aside, does the ledger take in what was told (`Lane.take_in`), and
everything goes on as for any plugin that is behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from datasync_core.dispatch.call import Call, WatchState, part_of, undelivered
from datasync_core.dispatch.ledger import Ledger
from datasync_core.model.entries import Entry
from datasync_core.spec.view import Gone, Key, Run, Single, State
from datasync_core.spec.watch import Watch
from datasync_core.sync.shelves import Shelf

Item: TypeAlias = tuple[Shelf, Watch[Any], Ledger]


class Wish(NamedTuple):
    """What the hook said of one key: a retry, or (``rejected``) that it gives up on it."""

    store: str | None
    key: str
    reason: str
    delay: float | None
    rejected: bool


class News:
    """One lane's untold shelves, and the view behind the event that tells them (`spec.view.View`).

    The dispatcher's thread, but for `has`.
    """

    __slots__ = ("items", "ledgers", "one_store", "raw", "said", "single", "unusual", "values", "watches")

    def __init__(self, ledgers: Mapping[str, Ledger], watches: tuple[Watch[Any], ...]) -> None:
        self.ledgers = ledgers
        self.watches = watches
        self.one_store = len(ledgers) <= 1
        self.raw = all(watch.codec.raw for watch in watches)
        self.items: list[Item] = []
        """Shelf, the watch that decides there, and its ledger, of each shelf whose delta is not told."""
        self.single: Single | None = None
        """What is told, where that is one create or update."""
        self.unusual = False
        """Whether there is a delete among it, or an entry that cannot be read."""
        self.values: dict[Shelf, list[Any]] = {}
        """What new entries were decoded into when they were checked; handed out once, for it may be altered."""
        self.said: list[Wish] = []
        """What the hook said of single keys."""

    def take(self) -> list[Item]:
        """Take what there is: it was told, or is told by the ledgers."""
        items, self.items = self.items, []
        self.single, self.unusual = None, False
        self.values.clear()
        return items

    def untold(self, ledger: Ledger, key: str) -> Mapping[str, Entry | None]:
        """The changes (key → the entry before) to which that of a key belongs, if it is not told yet. Any thread."""
        for shelf, _, of in tuple(self.items):
            delta = shelf.delta
            if of is ledger and key in delta:
                return delta
        return {}

    def is_usual(self, *, deletes: bool) -> bool:
        """Whether every value decodes, and (unless ``deletes``) nothing is to be deleted."""
        for shelf, watch, ledger in self.items:
            if shelf.errors or (shelf.deletes and not deletes):
                return False
            if not self.raw:
                bit = ledger.bits[watch]
                if not shelf.checked & bit:
                    try:
                        self.values[shelf] = watch.codec.check_all(shelf.fresh, bit)
                    except BaseException:  # which one does not, and why, the ledger finds
                        return False
                    shelf.checked |= bit
        return True

    def repeat(self, call: Call) -> None:
        """Say again, to a call, what the hook said of single keys."""
        for store, key, reason, delay, rejected in self.said:
            if rejected:
                call.reject(store, key, reason)
            else:
                call.retry(store, key, reason, delay)
        self.said.clear()

    # What an event asks

    @property
    def invalid(self) -> Mapping[Key, str]:
        return undelivered(self.ledgers)

    @property
    def held(self) -> Mapping[Key, str]:
        return {}

    def state(self, watch: Watch[Any]) -> State:
        return WatchState(self.ledgers[watch.store], watch, {})

    def told(self, watch: Watch[Any] | None) -> tuple[list[Gone], list[Run]]:
        deletes: list[Gone] = []
        runs: list[Run] = []
        for shelf, of, _ in self.items:
            if watch is None or watch is of:
                delta = shelf.delta
                values = self.values.pop(shelf, None) if self.values else None
                if not shelf.deletes:
                    runs.append((of, delta.keys(), shelf.fresh, delta.values(), values))
                    continue
                entries = shelf.entries
                deletes += [(of, key, old) for key, old in delta.items() if key not in entries]
                keys = [entry.key for entry in shelf.fresh]
                runs.append((of, keys, shelf.fresh, [delta[key] for key in keys], values))
        return deletes, runs

    def frozen(self, watch: Watch[Any], key: str) -> bool:
        return key in self.ledgers[watch.store].frozen

    def revision(self, watch: Watch[Any]) -> int:
        return self.ledgers[watch.store].replica.revision

    def retry(self, store: str | None, key: str, reason: str, delay: float | None) -> None:
        part_of(self.ledgers, store, key)
        self.said.append(Wish(store, key, reason, delay, rejected=False))

    def reject(self, store: str | None, key: str, reason: str) -> None:
        part_of(self.ledgers, store, key)
        self.said.append(Wish(store, key, reason, None, rejected=True))
