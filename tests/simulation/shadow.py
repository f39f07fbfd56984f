"""What one plugin must have been told, kept by the rules' words alone: the oracle's copy of a ledger.

It is written the other way round than the ledger, as plain dictionaries of everything, so that a mistake in one is
no mistake in both.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import define, field

from tests.simulation.plugin import Character
from tests.simulation.system import Key


@define(eq=False)
class Shadow:
    """One plugin in one life of the host."""

    character: Character
    order: int
    """Its place in the DAG order."""
    whole: bool
    """Whether deletes come with the rest, in the pass forward."""
    requires: tuple[Shadow, ...] = ()
    dependents: list[Shadow] = field(factory=list)
    expected: int = 0
    """How many keys had been applied in an earlier life."""
    content: dict[Key, str] = field(factory=dict)
    """What the replicas hold of what it watches."""
    applied: dict[Key, str] = field(factory=dict)
    good: dict[Key, str] = field(factory=dict)
    """Last good values: as ``applied``, but a fault leaves them."""
    doubtful: set[Key] = field(factory=set)
    """Keys with a last good value from before a fault: whether it still shows is not laid down."""
    uncertain: set[Key] = field(factory=set)
    maybe: set[Key] = field(factory=set)
    """Keys that may be delivered though nothing asks for it: all that is uncertain, and a few more."""
    rejected: set[Key] = field(factory=set)
    pinned: set[Key] = field(factory=set)
    """Those of them that were frozen when the fault began: their last good value shows while they are."""
    unreadable: set[Key] = field(factory=set)
    """Keys that the last event named as invalid, and that have not changed since."""
    aside: set[Key] = field(factory=set)
    inferred: set[Key] = field(factory=set)
    """Removals that were inferred from absence and neither handed out nor released."""
    held: set[Key] = field(factory=set)
    """Those of them that the brake held when it was last looked at."""
    holding: bool = False
    """Whether the brake is on, here or in a plugin that requires this one."""
    braked: int | None = None
    at_start: bool = False
    started: bool = False
    succeeded: bool = False
    failed: BaseException | None = None
    """What the last call raised."""
    unread: bool = True
    """Whether a store that it watches was never read in this life."""

    @property
    def name(self) -> str:
        return self.character.name

    def valid(self, key: Key) -> bool:
        """Whether the plugin can read what the store has."""
        return self.character.reads(self.content[key])

    def frozen(self, key: Key) -> bool:
        """Whether a key is not to be delivered."""
        if key in self.rejected or (self.holding and key in self.inferred):
            return True
        return key in self.content and not self.valid(key)

    def puts(self) -> list[Key]:
        """Keys to be created or updated."""
        return [
            key
            for key, text in self.content.items()
            if (key in self.uncertain or self.applied.get(key) != text) and not self.frozen(key)
        ]

    def deletes(self) -> list[Key]:
        """Keys to be deleted."""
        return [
            key
            for key in {**self.applied, **dict.fromkeys(sorted(self.uncertain))}
            if key not in self.content and not self.frozen(key)
        ]

    def closes(self) -> str | None:
        """Why those that require this plugin must get nothing now."""
        if not self.started:
            return "not started"
        if not self.succeeded:
            return "never resynced"
        if self.failed is not None and (self.puts() or self.deletes()):
            return "its last call raised"
        missing = [key for key in self.puts() if key not in self.aside]
        return f"{missing[0]} is pending" if missing else None

    def blocks(self) -> str | None:
        """Why the deletes of what this plugin requires must wait."""
        for key in self.puts():
            if key in self.uncertain or key in self.applied:
                return f"{key} is pending"
        deletes = self.deletes()
        return f"{deletes[0]} is to be deleted" if deletes else None

    def stock(self) -> int:
        """How many keys are applied, or may be."""
        return len(self.applied.keys() | self.uncertain)

    # What happens

    def change(self, before: Mapping[Key, object], after: Mapping[Key, object], explicit: set[Key]) -> None:
        """The replica of one store changed (``content`` is new already)."""
        for key in before.keys() | after.keys():
            if before.get(key) == after.get(key):
                continue
            self.rejected.discard(key)
            self.aside.discard(key)
            self.inferred.discard(key)
            self.unreadable.discard(key)
            self.pinned.discard(key)
            if key not in after and key not in explicit and (key in self.applied or key in self.uncertain):
                self.inferred.add(key)
        self.inferred -= {key for key in explicit if key not in after}

    def thaw(self, key: Key) -> None:
        """A key was written again."""
        self.rejected.discard(key)
        self.aside.discard(key)

    def lose(self) -> None:
        """A fault begins: nothing counts as applied."""
        self.uncertain |= self.applied.keys()
        self.maybe |= self.uncertain
        self.pinned = {
            key
            for key in self.applied.keys() | self.pinned
            if self.frozen(key) and (key not in self.content or key in self.known_frozen())
        }
        self.doubtful |= self.good.keys()
        self.applied = {}

    def known_frozen(self) -> set[Key]:
        """Keys of the store that the plugin was told are invalid or rejected."""
        return self.unreadable | self.rejected

    def settle(self, key: Key, text: str | None) -> None:
        """A call that handed out a key succeeded."""
        self.uncertain.discard(key)
        self.maybe.discard(key)
        self.aside.discard(key)
        self.doubtful.discard(key)
        self.pinned.discard(key)
        self.inferred.discard(key)
        if text is None:
            self.applied.pop(key, None)
            self.good.pop(key, None)
        else:
            self.applied[key] = self.good[key] = text

    def doubt(self, key: Key) -> None:
        """A call that handed out a key raised, or set it aside."""
        self.uncertain.add(key)
        self.maybe.add(key)
        self.inferred.discard(key)

    def release(self) -> None:
        """What is held, and what would be next, are removals like any other."""
        if self.braked is not None:
            self.expected = min(self.expected, len(self.content))
        self.recover()

    def recover(self) -> None:
        """What was gone is there again, or enough of it."""
        self.braked = None
        self.at_start = False
        self.inferred.clear()
