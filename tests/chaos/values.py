"""What writers write, so that a reader can tell whether it saw a transaction whole.

Keys below ``k/`` come in groups. A transaction writes or deletes whole groups; every value says which transaction
wrote it, and what else that one did. Keys below ``loose/`` are written one by one, in all ways that a store has.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from attrs import frozen

Group = int
LOOSE = 40
"""How many loose keys there are."""


@frozen
class Written:
    """What a value says: its transaction, and the groups that this wrote (True) or deleted."""

    transaction: str
    scope: Mapping[Group, bool]


@frozen
class Layout:
    """Which keys there are, drawn from a seed."""

    groups: Sequence[Sequence[str]]

    @classmethod
    def draw(cls, seed: int, keys: int) -> Layout:
        rng = random.Random(f"layout {seed}")
        groups: list[list[str]] = []
        left = keys
        while left > 0:
            size = min(left, rng.choice([1, 2, 3, 4, 8]))
            number = len(groups)
            groups.append([f"k/{number % 10}/{number}.{member}" for member in range(size)])
            left -= size
        return cls(groups)

    def draw_transaction(self, rng: random.Random, name: str) -> dict[str, str | None]:
        """Key → text, or None for a delete."""
        most = rng.choice([1, 2, 3, 3, 20])
        chosen = rng.sample(range(len(self.groups)), min(most, len(self.groups)))
        scope = {group: rng.random() > 0.2 for group in chosen}
        return self.transaction(name, scope, rng.choice([0, 0, 100, 1000]))

    def transaction(self, name: str, scope: Mapping[Group, bool], padding: int = 0) -> dict[str, str | None]:
        said = ",".join(f"{'+' if kept else '-'}{group}" for group, kept in scope.items())
        text = f"{name}|{said}|{'.' * padding}"
        return {key: text if kept else None for group, kept in scope.items() for key in self.groups[group]}


def group_of(key: str) -> Group:
    """Of a key below ``k/``."""
    return int(key.rpartition("/")[2].partition(".")[0])


def written(text: str) -> Written:
    """What a value below ``k/`` says."""
    transaction, scope, _ = text.split("|", 2)
    return Written(transaction, {abs(int(one[1:])): one[0] == "+" for one in scope.split(",")})
