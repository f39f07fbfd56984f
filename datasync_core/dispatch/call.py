"""What one call of one hook hands out, and what becomes of it.

A `Call` is the view behind an event: for each store a `Part` with what is to be told, and an overlay where the
plugin sees something else than the replica holds (last good values, deletes that come later). When the hook has
returned, `succeed` or `fail` writes the outcome into the ledgers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice, repeat
from typing import Any

from datasync_core.dispatch.ledger import Aside, Ice, Ledger
from datasync_core.model.entries import Entry
from datasync_core.model.errors import UsageError
from datasync_core.spec.view import Gone, Key, Run, Single, State
from datasync_core.spec.watch import Watch
from datasync_core.sync.shelves import Shelf

_CHUNK = 4096  # keys looked at in one go where a plugin does not see just what the copy holds


class Puts:
    """Creates and updates under one watch, as columns (`spec.view.Run`)."""

    __slots__ = ("applied", "entries", "keys")

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.entries: list[Entry] = []
        self.applied: list[Entry | None] = []

    def add(self, key: str, entry: Entry, applied: Entry | None) -> None:
        """One more."""
        self.keys.append(key)
        self.entries.append(entry)
        self.applied.append(applied)


class Part:
    """One store's share of a call."""

    __slots__ = ("deletes", "handed", "ledger", "overlay", "puts", "rejected", "retried", "withheld")

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.handed: list[str] = []
        self.deletes: dict[Watch[Any], list[Gone]] = {}
        self.puts: dict[Watch[Any], Puts] = {}
        self.overlay: dict[str, Entry | None] = {}
        """Key → what the plugin sees instead of what the replica holds; frozen keys beside it."""
        self.withheld: dict[str, Entry | None] = {}
        """Key → applied, of deletes that a resync leaves to the pass back."""
        self.retried: dict[str, tuple[str, float | None]] = {}
        self.rejected: dict[str, str] = {}

    def collect_changes(self, now: float, *, puts: bool, deletes: bool) -> None:
        """What is pending and not set aside."""
        ledger = self.ledger
        aside = ledger.aside
        for key, entry, applied, watch in ledger.pending():
            waits = bool(aside) and key in aside and aside[key].due > now
            if entry is None:
                if deletes and not waits:
                    self.deletes.setdefault(watch, []).append((watch, key, applied))
                    self.handed.append(key)
                elif applied is not None:
                    self.overlay[key] = applied
            elif puts and not waits and ledger.valid(entry, watch):
                found = self.puts.get(watch)
                if found is None:
                    found = self.puts[watch] = Puts()
                found.add(key, entry, applied)
                self.handed.append(key)
        ledger.freeze_invalid()

    def collect_state(self, *, withhold: bool) -> None:
        """Everything, and the deletes of what is gone; ``withhold`` leaves those to the pass back."""
        ledger = self.ledger
        for key, entry, applied, watch in ledger.pending():
            if entry is not None:
                ledger.valid(entry, watch)
            elif withhold:
                self.withheld[key] = applied
                self.overlay[key] = applied
            else:
                self.deletes.setdefault(watch, []).append((watch, key, applied))
                self.handed.append(key)
        ledger.freeze_invalid()
        if not ledger.based:  # else whatever is not behind was valid when it was applied
            for shelf, watch in ledger.watch_of.items():
                for entry in shelf.entries.values():
                    if entry.key not in ledger.frozen:
                        ledger.valid(entry, watch)
            ledger.freeze_invalid()

    def everything(self, watch: Watch[Any]) -> Iterator[Run]:
        """Every key of a watch that a diff may touch."""
        ledger = self.ledger
        exceptions = bool(self.overlay or ledger.frozen or (ledger.based and ledger.behind))
        for shelf in ledger.shelves_of.get(watch, ()):
            entries = shelf.entries
            if exceptions:
                yield from self._chosen(watch, shelf)
            else:
                yield (
                    watch,
                    entries.keys(),
                    entries.values(),
                    entries.values() if ledger.based else repeat(None),
                    None,
                )

    def succeed(self, now: float, wait: Callable[[int, float | None], float], *, resync: bool) -> bool:
        """Write into the ledger what the hook applied; whether that was anything."""
        ledger = self.ledger
        asides = []
        for key, (reason, wanted) in self.retried.items():
            before = ledger.aside.get(key)
            attempts = before.attempts + 1 if before else 1
            aside = Aside(reason, attempts, now + wait(attempts, wanted), eager=wanted is None)
            asides.append((key, aside, ledger.applied(key)))
        for key, reason in self.rejected.items():
            if ledger.doubts(key) or not ledger.known:  # an earlier call, or life, may have applied it
                ledger.uncertain.add(key)
            ledger.inferred.discard(key)  # its removal was handed out: not the brake's any more
            ledger.freeze(key, reason, Ice.REJECTED)
        if resync:
            ledger.settle_all(self.withheld)
        else:
            ledger.settle(self.handed)
        for key, aside, applied in asides:
            ledger.set_aside(key, aside, applied)
        return resync or len(self.handed) > len(self.retried) + len(self.rejected)

    def _chosen(self, watch: Watch[Any], shelf: Shelf) -> Iterator[Run]:
        """A shelf's keys but for those that the plugin sees otherwise, a chunk at a time."""
        overlay, frozen = self.overlay, self.ledger.frozen
        behind: Mapping[str, Entry | None] | None = self.ledger.behind if self.ledger.based else None
        left = iter(shelf.entries.items())
        while chunk := list(islice(left, _CHUNK)):
            puts = Puts()
            for key, entry in chunk:
                if key not in overlay and key not in frozen:
                    puts.add(key, entry, None if behind is None else behind.get(key, entry))
            yield watch, puts.keys, puts.entries, puts.applied, None

    def fail(self, *, resync: bool) -> None:
        """Write into the ledger that nobody knows what the hook applied."""
        self.ledger.doubt(self.handed)
        if resync:
            self.ledger.doubt_all()


class WatchState:
    """The keys of one watch as the plugin sees them (`spec.view.State`): ``overlay`` beside what the copy holds."""

    __slots__ = ("_frozen", "_ledger", "_overlay", "_shelves", "_watch")

    def __init__(self, ledger: Ledger, watch: Watch[Any], overlay: Mapping[str, Entry | None]) -> None:
        self._ledger = ledger
        self._overlay = overlay
        self._frozen = ledger.frozen
        self._watch = watch
        self._shelves: list[Shelf] = ledger.shelves_of.get(watch, [])

    def get(self, key: str) -> Entry | None:
        shelf = self._ledger.replica.shelves.of(key)
        if shelf is None or self._ledger.watch_of.get(shelf) is not self._watch:
            return None
        if key in self._overlay:
            return self._overlay[key]
        return self._frozen[key].applied if key in self._frozen else shelf.entries.get(key)

    def __iter__(self) -> Iterator[Entry]:
        overlay, frozen = self._overlay, self._frozen
        entries = chain.from_iterable(shelf.entries.values() for shelf in self._shelves)
        if not overlay and not frozen:
            return entries
        shown = (entry for entry in entries if entry.key not in overlay and entry.key not in frozen)
        return chain(shown, (entry for _, entry in self._own() if entry is not None))

    def __len__(self) -> int:
        count = sum(len(shelf.entries) for shelf in self._shelves)
        for key, entry in self._own():
            count += (entry is not None) - (self._ledger.replica.get(key) is not None)
        return count

    def _own(self) -> Iterator[tuple[str, Entry | None]]:
        """Key and what is seen, where that is not what the replica holds."""
        frozen = ((key, why.applied) for key, why in self._frozen.items())
        for key, entry in chain(self._overlay.items(), frozen):
            if self._ledger.watch(key) is self._watch:
                yield key, entry


class Call:
    """The view behind one event (`spec.view.View`). Lives as long as the hook runs, on the dispatcher thread."""

    single: Single | None = None

    def __init__(
        self, ledgers: Mapping[str, Ledger], watches: tuple[Watch[Any], ...], *, resync: bool
    ) -> None:
        self._ledgers = ledgers
        self.parts = {store: Part(ledger) for store, ledger in ledgers.items()}
        self.watches = watches
        self.resync = resync
        self.one_store = len(ledgers) <= 1

    def is_empty(self) -> bool:
        """Whether there is nothing to tell."""
        return not any(part.handed for part in self.parts.values())

    @property
    def invalid(self) -> Mapping[Key, str]:
        return undelivered(self._ledgers)

    @property
    def held(self) -> Mapping[Key, str]:
        return undelivered(self._ledgers, Ice.HELD)

    def state(self, watch: Watch[Any]) -> State:
        part = self.parts[watch.store]
        return WatchState(part.ledger, watch, part.overlay)

    def told(self, watch: Watch[Any] | None) -> tuple[Iterable[Gone], Iterable[Run]]:
        if watch is not None:
            return self.parts[watch.store].deletes.get(watch, ()), self._runs(watch)
        deletes = [one for part in self.parts.values() for found in part.deletes.values() for one in found]
        return deletes, self._runs(None)

    def _runs(self, watch: Watch[Any] | None) -> Iterator[Run]:
        for one in self.watches if watch is None else (watch,):
            part = self.parts[one.store]
            if self.resync:
                yield from part.everything(one)
            elif one in part.puts:
                puts = part.puts[one]
                yield one, puts.keys, puts.entries, puts.applied, None

    def frozen(self, watch: Watch[Any], key: str) -> bool:
        part = self.parts[watch.store]
        return key in part.overlay or key in part.ledger.frozen

    def revision(self, watch: Watch[Any]) -> int:
        return self.parts[watch.store].ledger.replica.revision

    def retry(self, store: str | None, key: str, reason: str, delay: float | None) -> None:
        part = self.parts[part_of(self._ledgers, store, key)]
        part.rejected.pop(key, None)
        part.retried[key] = (reason, delay)

    def reject(self, store: str | None, key: str, reason: str) -> None:
        part = self.parts[part_of(self._ledgers, store, key)]
        part.retried.pop(key, None)
        part.rejected[key] = reason

    def succeed(self, now: float, wait: Callable[[int, float | None], float]) -> bool:
        """The hook returned: write the outcome; whether anything was applied."""
        return any([part.succeed(now, wait, resync=self.resync) for part in self.parts.values()])

    def fail(self) -> None:
        """The hook raised: write that nobody knows what it did; its `retry` and `reject` do not count."""
        for part in self.parts.values():
            part.fail(resync=self.resync)


def undelivered(ledgers: Mapping[str, Ledger], *ices: Ice) -> Mapping[Key, str]:
    """Why keys are frozen by such ice; without any, why they are invalid or rejected."""
    one_store = len(ledgers) <= 1
    return {
        key if one_store else (store, key): why.reason
        for store, ledger in ledgers.items()
        for key, why in ledger.frozen.items()
        if why.ice in (ices or (Ice.INVALID, Ice.REJECTED))
    }


def part_of(ledgers: Mapping[str, Ledger], store: str | None, key: str) -> str:
    """The store that a plugin means by a key (``store`` None: whichever watches it); raises `UsageError`."""
    found = [
        name for name, ledger in ledgers.items() if store in (None, name) and ledger.watch(key) is not None
    ]
    if not found:
        raise UsageError(f"no watch of this plugin covers the key {key!r}")
    if len(found) > 1:
        raise UsageError(
            f"several stores have watches that cover {key!r}: give the change instead of the key"
        )
    return found[0]
