"""What others write to a store: transactions that keep every reference and every address right.

Keys of a plugin's directory name keys of what it requires; an address belongs to one key of a directory at a time.
Addresses move, keys swap theirs, values come back to what they were, and keys come and go.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from tests.simulation.plugin import Character
from tests.simulation.store import SimulatedStore
from tests.simulation.system import address, reference

State = dict[str, str]


class Workload:
    """Writes to one store. ``invalid``: how likely a value is one that somebody cannot read."""

    def __init__(
        self, store: SimulatedStore, characters: Sequence[Character], rng: random.Random, keys: int
    ) -> None:
        self.store = store
        self._rng = rng
        self._keys = keys
        owners = {one.name: one.directory for one in characters if (store.name, one.directory) in one.watches}
        self._directories = [directory for directory in owners.values() if directory]
        self._names = [one.name for one in characters]
        self._below = {
            one.directory: [owners[name] for name in one.requires if owners.get(name)] for one in characters
        }
        self._count = 0
        self.invalid = rng.choice([0.0, 0.0, 0.05])
        self.operations = 0

    def write(self, *, silent: bool = False) -> dict[str, str | None]:
        """One transaction; what it changed. ``silent``: and no subscriber is told."""
        rng = self._rng
        before = {key: value.decode() for key, value in self.store.values().items()}
        after = dict(before)
        match rng.randrange(12):
            case 0:
                self._swap(after)
            case 1:
                self._move(after)
            case 2 if before:
                key = rng.choice(sorted(before))  # the same bytes again
                self.store.commit({key: before[key].encode()}, silent=silent)
                self.operations += 1
                return {key: before[key]}
            case 3:
                self._count += 1
                after[f"{rng.choice(self._directories)}t{self._count}"] = "v0"
            case 4:
                for key in [key for key in after if key[2:].startswith("t")]:
                    del after[key]
            case 5 if before:
                for key in rng.sample(sorted(after), min(len(after), rng.randrange(1, 6))):
                    del after[key]
            case _:
                for _ in range(rng.randrange(1, 4)):
                    self._change(after)
        return self._commit(before, after, silent=silent)

    def harmless(self, most: int) -> dict[str, str | None]:
        """Keys to which nothing refers, and values that refer to nothing: they may be written at any time."""
        rng = self._rng
        values: dict[str, str | None] = {}
        for _ in range(most):
            self._count += 1
            wrong = "|!" + rng.choice(["*", *self._names]) if rng.random() < 0.15 else ""
            key = f"{rng.choice(self._directories)}w{rng.randrange(3)}"
            values[key] = f"w{self._count}{wrong}" if rng.random() < 0.7 else None
        return values

    def repair(self) -> None:
        """Give every key a value that everybody can read."""
        before = {key: value.decode() for key, value in self.store.values().items()}
        after = {
            key: "|".join(part for part in text.split("|") if not part.startswith("!"))
            for key, text in before.items()
        }
        self._commit(before, after)

    def _change(self, state: State) -> None:
        rng = self._rng
        directory = rng.choice(self._directories)
        inner = "s/" if rng.random() < 0.15 else ""
        key = f"{directory}{inner}{rng.randrange(self._keys)}"
        if key in state and rng.random() < 0.35:
            del state[key]
            return
        state.pop(key, None)
        state[key] = self._value(state, directory, key)

    def _value(self, state: State, directory: str, key: str) -> str:
        rng = self._rng
        parts = [f"v{rng.randrange(3)}"]
        there = [one for one in state if one[:2] in self._below[directory] and one[2] != "w"]
        if there and rng.random() < 0.7:
            parts.append(f"r={rng.choice(sorted(there))}")
        taken = {address(text) for one, text in state.items() if one.startswith(directory)}
        free = [str(number) for number in range(self._keys) if str(number) not in taken]
        if free and rng.random() < 0.6:
            parts.append(f"u={rng.choice(free)}")
        if rng.random() < self.invalid:
            parts.append("!" + rng.choice(["*", *self._names]))
        return "|".join(parts)

    def _swap(self, state: State) -> None:
        """Two keys of a directory change addresses."""
        pairs = [key for key, text in sorted(state.items()) if address(text) is not None]
        self._rng.shuffle(pairs)
        for one in pairs:
            for other in pairs:
                if one < other and one[:2] == other[:2]:
                    mine, yours = f"u={address(state[one])}", f"u={address(state[other])}"
                    state[one], state[other] = (
                        state[one].replace(mine, yours),
                        state[other].replace(yours, mine),
                    )
                    return

    def _move(self, state: State) -> None:
        """A key goes, another has its address."""
        having = [key for key, text in sorted(state.items()) if address(text) is not None]
        if not having:
            return
        old = self._rng.choice(having)
        claim = address(state.pop(old))
        new = f"{old[:2]}{self._rng.randrange(self._keys)}"
        state.pop(new, None)
        state[new] = f"v{self._rng.randrange(3)}|u={claim}"

    def _commit(self, before: State, after: State, *, silent: bool = False) -> dict[str, str | None]:
        self._close(after)
        changes: dict[str, str | None] = {
            key: after.get(key) for key in {**before, **after} if before.get(key) != after.get(key)
        }
        fresh = {key: None if text is None else text.encode() for key, text in changes.items()}
        self.store.commit(fresh, silent=silent)
        self.operations += 1
        return changes

    def _close(self, state: State) -> None:
        """Remove or change what refers to what is not there."""
        while dangling := [key for key, text in sorted(state.items()) if _dangles(state, text)]:
            for key in dangling:
                if self._rng.random() < 0.5:
                    del state[key]
                else:
                    parts = state[key].split("|")
                    state[key] = "|".join(part for part in parts if not part.startswith("r="))


def _dangles(state: Mapping[str, str], text: str) -> bool:
    named = reference(text)
    return named is not None and named not in state
