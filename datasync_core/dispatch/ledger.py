"""What one plugin has applied of one store, kept as exceptions from the replica.

No exception means: the plugin applied what the replica holds. So a plugin that keeps up costs nothing, and one
that is behind costs one dictionary item a key, however long its backlog.

The one formula: a key's *view* is the store's value, or the last good value where the key is frozen (invalid,
rejected or held), else absent. The key is *pending* where it is uncertain or its view differs from what was applied,
and never where it is frozen. Frozen keys lie apart from those that are behind, so that a change costs nothing for the
hundred thousand that are held.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

from attrs import define

from datasync_core.model.entries import Entry
from datasync_core.model.errors import InvalidValue
from datasync_core.spec.watch import Watch
from datasync_core.sync.replica import Replica
from datasync_core.sync.shelves import Shelf

LEFTOVERS = 10_000
"""How many keys that are gone and may still be applied, or half way, a ledger remembers (a bound on memory)."""


class Ice(Enum):
    """What froze a key."""

    INVALID = "it does not decode"
    REJECTED = "the plugin rejected it"
    HELD = "the brake holds its removal"


@define
class Frozen:
    """Why a key is not delivered."""

    reason: str
    ice: Ice
    applied: Entry | None = None
    """The last good value, which stays in force."""


@define
class Aside:
    """A key that waits for its own next attempt."""

    reason: str
    attempts: int
    due: float
    """When to try again, on the monotonic clock."""
    eager: bool
    """Whether a required plugin that applies something ends the wait."""

    @property
    def over(self) -> bool:
        """Whether something ended the wait: then this key is pending like any other."""
        return self.due == 0.0


class Ledger:
    """One plugin's account of one store. Owned by the dispatcher thread."""

    def __init__(
        self, replica: Replica, watches: Iterable[Watch[Any]], bits: Mapping[Watch[Any], int]
    ) -> None:
        self.replica = replica
        self.bits = bits
        """For each watch the bit that marks an entry as checked by its codec."""
        self.watch_of = _deciding(replica, list(watches))
        """Shelf → the watch that decides there: the longest of this plugin's that covers it."""
        self.shelves_of: dict[Watch[Any], list[Shelf]] = {}
        for shelf, watch in self.watch_of.items():
            self.shelves_of.setdefault(watch, []).append(shelf)
        self.based = False
        """Whether a resync succeeded, and no fault began since: else the plugin has applied nothing."""
        self.known = False
        """Whether a resync ever succeeded: before, an earlier life of this host may have applied any key."""
        self.behind: dict[str, Entry | None] = {}
        """Key → what was applied, where that may not be what the replica holds, and the key is not frozen."""
        self.uncertain: set[str] = set()
        """Keys (behind or frozen) of which nobody knows what became of them: delivered again in any case."""
        self.frozen: dict[str, Frozen] = {}
        """Keys that are not delivered."""
        self.aside: dict[str, Aside] = {}
        """Keys (all uncertain) that wait for their own next attempt."""
        self.inferred: set[str] = set()
        """Keys (behind or frozen) that are gone, inferred from absence: what the brake may hold."""
        self.found_invalid: list[tuple[str, str]] = []
        """Keys that were found invalid since somebody last emptied this, and why."""
        self.stirred = False
        """Whether anything changed since this was last set to False."""
        self.leftovers = False
        """Whether more keys vanished half applied than are remembered."""
        self._invalid: list[tuple[str, str]] = []  # found by `valid`, to be frozen
        self._shaken = False  # a resync raised: every key of the replica is uncertain
        self._fresh: set[str] = set()  # keys that came after that resync, so were never handed out
        self._look_at = LEFTOVERS  # how many uncertain and frozen keys are a reason to look which are gone

    def absorb(self, shelf: Shelf) -> None:
        """Note what this round changed on a shelf."""
        delta = shelf.delta
        self.stirred = True
        if self.frozen or self.aside:
            self._stir(delta)
            self._stir(shelf.renewed)
        if self._shaken:
            self._absorb_shaken(delta)
        elif self.based:
            behind = self.behind
            if not behind:
                behind.update(delta)
            else:
                for key, old in delta.items():
                    if key not in behind:
                        behind[key] = old
                    elif behind[key] is None and key not in shelf.entries and key not in self.uncertain:
                        del behind[key]  # came and went unseen: who waits for ever must not collect these
        if self.inferred:
            self.inferred.difference_update(delta)
        if self.replica.inferred:
            self._infer(delta)

    def is_clean(self) -> bool:
        """Whether the plugin applied just what the replica holds, but for what is invalid or rejected."""
        return (
            self.based
            and not self._shaken
            and not (self.behind or self.aside or self.inferred)
            and self.uncertain <= self.frozen.keys()
            and not (self.found_invalid or self.leftovers)
        )

    def stirs(self, shelf: Shelf) -> bool:
        """Whether something that is frozen was changed on a shelf, or written anew."""
        frozen = self.frozen.keys()
        return not (frozen.isdisjoint(shelf.delta.keys()) and frozen.isdisjoint(shelf.renewed.keys()))

    def applied(self, key: str) -> Entry | None:
        """What the plugin applied last."""
        if key in self.behind:
            return self.behind[key]
        if key in self.frozen:
            return self.frozen[key].applied
        return self.replica.get(key) if self.based else None

    def watch(self, key: str) -> Watch[Any] | None:
        """The watch that decides for a key, or None where none covers it."""
        shelf = self.replica.shelves.of(key)
        return None if shelf is None else self.watch_of.get(shelf)

    def pending(self) -> Iterator[tuple[str, Entry | None, Entry | None, Watch[Any]]]:
        """Key, view, applied and watch of each pending key; drops exceptions that are none any more."""
        settled = []
        of = self.replica.shelves.of
        uncertain = self.uncertain
        for key, applied in self.behind.items():
            shelf = of(key)
            assert shelf is not None
            entry = shelf.entries.get(key)
            if key not in uncertain and _same(entry, applied):
                settled.append(key)
                continue
            yield key, entry, applied, self.watch_of[shelf]
        for key in settled:
            del self.behind[key]
            self.inferred.discard(key)

    def doubts(self, key: str) -> bool:
        """Whether nobody knows what became of a key."""
        if key in self.uncertain:
            return True
        return self._shaken and key not in self._fresh and self.replica.get(key) is not None

    def has_puts(self) -> bool:
        """Whether a create or update is pending that is not set aside: what closes the gate for others."""
        aside = self.aside
        return any(entry and (key not in aside or aside[key].over) for key, entry, _, _ in self.pending())

    def has_blockers(self) -> bool:
        """Whether an update, a delete or an uncertain key is pending: what holds deletes of required plugins."""
        if self._shaken:
            return True
        return any(
            entry is None or applied is not None or key in self.uncertain
            for key, entry, applied, _ in self.pending()
        )

    def valid(self, entry: Entry, watch: Watch[Any]) -> bool:
        """Whether an entry decodes; where it does not, `freeze_invalid` is to be called soon."""
        codec = watch.codec
        if codec.raw and entry.error is None:
            return True
        try:
            codec.check(entry, self.bits[watch])
        except InvalidValue as error:
            self._invalid.append((entry.key, str(error)))
            return False
        return True

    def freeze_invalid(self) -> None:
        """Freeze what `valid` found not to decode, with the last good value kept."""
        for key, reason in self._invalid:
            self.freeze(key, reason, Ice.INVALID)
            self.found_invalid.append((key, reason))
            if not self.known:
                self.uncertain.add(key)
        self._invalid.clear()

    def freeze(self, key: str, reason: str, ice: Ice) -> None:
        """Stop delivering a key; what was applied stays in force."""
        self.frozen[key] = Frozen(reason, ice, self.applied(key))
        self.behind.pop(key, None)
        self.aside.pop(key, None)
        if ice is not Ice.HELD:
            self.inferred.discard(key)
        if ice is Ice.REJECTED:
            self._bound()

    def thaw(self, key: str) -> None:
        """Deliver a key again if it is to be."""
        why = self.frozen.pop(key, None)
        if why is not None:
            self.behind[key] = why.applied

    def bury(self, key: str) -> None:
        """A key that is gone was deleted explicitly now: that is never held."""
        if key in self.inferred:
            self.inferred.discard(key)
            self.thaw(key)

    def let_go(self) -> None:
        """What the brake holds, and what it would hold next, are removals like any other."""
        for key in self.inferred:
            if key in self.frozen and self.frozen[key].ice is Ice.HELD:
                self.thaw(key)
        self.inferred.clear()

    def held(self) -> int:
        """How many removals the brake holds. Any thread may ask: one step of the interpreter counts them."""
        return len(self.frozen.keys() & self.inferred)

    def stock(self) -> int:
        """How many keys the plugin has applied, or may have."""
        present = sum(len(shelf.entries) for shelf in self.watch_of)
        uncertain, get = self.uncertain, self.replica.get
        if self.based:
            return present + sum(
                (applied is not None or self.doubts(key)) - (get(key) is not None)
                for key, applied in self._exceptions()
            )
        if not self._shaken:
            return 0
        return present - len(self._fresh) + sum(get(key) is None for key in uncertain)

    def remembered(self) -> int:
        """How many keys are remembered beside the copy, each as often as it is."""
        kept = (self.behind, self.uncertain, self.frozen, self.aside, self.inferred, self._fresh)
        return sum(map(len, kept))

    def thaw_rejected(self) -> None:
        """Give rejected keys another chance: an operator asked for a resync."""
        for key in [key for key, why in self.frozen.items() if why.ice is Ice.REJECTED]:
            self.thaw(key)

    def doubt(self, keys: Iterable[str]) -> None:
        """A call that handed out these keys failed: nobody knows what became of them."""
        for key in keys:
            self.behind[key] = self.applied(key)
            self.uncertain.add(key)
            self.inferred.discard(key)  # its removal was handed out: too late to hold it
        self._bound()

    def doubt_all(self) -> None:
        """A resync failed: every key that is there was handed out, but for what is frozen."""
        self._shaken = True
        self._keep_fresh(key for key in self.frozen if key not in self.uncertain)

    def forget_applied(self) -> None:
        """The driven system lost its state: everything is uncertain, and nothing is known to be applied.

        The last good values of frozen keys stay.
        """
        if not (self.based or self._shaken):
            return  # nothing was ever told
        known = dict(self._exceptions())
        told = [key for key, applied in known.items() if applied is not None or self.doubts(key)]
        untold = self._fresh | (known.keys() - told if self.based else set())
        self.behind = {key: None for key in told if key not in self.frozen}
        self.uncertain = set(told)
        self.based = False
        self._shaken = True
        self._keep_fresh(untold)

    def _keep_fresh(self, keys: Iterable[str]) -> None:
        self._fresh = {key for key in keys if self.replica.get(key) is not None}

    def settle(self, keys: Sequence[str]) -> None:
        """A call that handed out these keys, all in ``behind``, succeeded."""
        behind, uncertain, aside = self.behind, self.uncertain, self.aside
        if len(keys) == len(behind) and not self.frozen:
            behind.clear()
            uncertain.clear()
            aside.clear()
            self.inferred.clear()
            return
        for key in keys:
            if key not in self.frozen:
                behind.pop(key, None)
                uncertain.discard(key)
                aside.pop(key, None)
                self.inferred.discard(key)

    def settle_all(self, withheld: Mapping[str, Entry | None]) -> None:
        """A resync succeeded: all is applied but what is frozen, and the deletes that come later."""
        self.uncertain = {key for key in self.uncertain if key in self.frozen} | withheld.keys()
        self.behind = dict(withheld)
        self.inferred = {key for key in self.inferred if key in withheld or key in self.frozen}
        self.aside.clear()
        self.based = self.known = True
        self._shaken = False
        self._fresh.clear()

    def set_aside(self, key: str, aside: Aside, applied: Entry | None) -> None:
        """Keep a key pending until its own next attempt; ``applied`` as before the call."""
        self.behind[key] = applied
        self.uncertain.add(key)
        self.aside[key] = aside
        self._bound()

    def _exceptions(self) -> Iterator[tuple[str, Entry | None]]:
        """Key and what was applied, of each key of which the replica does not tell it."""
        yield from self.behind.items()
        for key, why in self.frozen.items():
            yield key, why.applied

    def _infer(self, delta: Mapping[str, Entry | None]) -> None:
        behind = self.behind
        for key in self.replica.inferred.intersection(delta):
            if key in behind and (behind[key] is not None or key in self.uncertain):
                self.inferred.add(key)

    def _stir(self, delta: Mapping[str, Entry | None]) -> None:
        for key in delta:
            self.thaw(key)
            if key in self.aside:
                self.aside[key].due = 0.0

    def _absorb_shaken(self, delta: Mapping[str, Entry | None]) -> None:
        behind = self.behind
        for key, old in delta.items():
            if old is None and key not in behind:
                self._fresh.add(key)
            if key in self._fresh:
                if self.based and key not in behind:
                    behind[key] = old
                if self.replica.get(key) is None:  # came and went unseen
                    self._fresh.discard(key)
                    if behind.get(key) is None and key not in self.uncertain:
                        behind.pop(key, None)
                continue
            if key not in behind:
                behind[key] = old if self.based else None
            self.uncertain.add(key)
        self._bound()

    def _bound(self) -> None:
        """Forget the oldest of the keys that are gone and uncertain, or not let go of, where they are too many."""
        if len(self.uncertain) + len(self.frozen) <= self._look_at:
            return
        get = self.replica.get
        gone = [key for key in self.behind if key in self.uncertain and get(key) is None]
        gone += [key for key, why in self.frozen.items() if why.ice is Ice.REJECTED and get(key) is None]
        for key in gone[: max(0, len(gone) - LEFTOVERS)]:
            self.behind.pop(key, None)
            self.frozen.pop(key, None)
            self.uncertain.discard(key)
            self.aside.pop(key, None)
            self.inferred.discard(key)
            self.leftovers = True
        self._look_at = max(LEFTOVERS, 2 * (len(self.uncertain) + len(self.frozen)))


def _same(entry: Entry | None, applied: Entry | None) -> bool:
    if entry is None or applied is None:
        return entry is applied
    return entry is applied or (entry.value == applied.value and entry.error == applied.error)


def _deciding(replica: Replica, watches: list[Watch[Any]]) -> dict[Shelf, Watch[Any]]:
    deciding: dict[Shelf, Watch[Any]] = {}
    for watch in sorted(watches, key=lambda watch: len(watch.path)):
        for shelf in replica.shelves.under(watch.path):
            deciding[shelf] = watch
    return deciding
