"""Somebody who writes to a store by its own means: what a writing process does, a class for each kind of store."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping

from tests.chaos.values import LOOSE, Layout


class Failed(Exception):
    """The store did not take it, or it is not known whether it did."""


class Hand(ABC):
    """One client. Used by one thread; after `Failed` it goes on."""

    @abstractmethod
    def write(self, transaction: Mapping[str, str | None], rng: random.Random) -> None:
        """Write (None: delete) all keys at once. Raises `Failed`."""

    @abstractmethod
    def loose(self, key: str, other: str, text: str, rng: random.Random) -> None:
        """Do anything that the store can do to ``key``, or to it and ``other``. Raises `Failed`."""

    @abstractmethod
    def close(self) -> None:
        """Let go."""


class Typist:
    """Draws what a hand does, from a seed."""

    def __init__(self, hand: Hand, layout: Layout, name: str, seed: int) -> None:
        self._hand = hand
        self._layout = layout
        self._name = name
        self._rng = random.Random(f"typist {name} {seed}")
        self._steps = 0
        self._done = 0
        self._failed = 0

    def fill(self) -> None:
        """Write every group; again where the store, on a busy machine, did not answer in time."""
        groups = range(len(self._layout.groups))
        for start in range(0, len(groups), 50):
            name = f"{self._name}.fill{start}"
            scope = dict.fromkeys(groups[start : start + 50], True)
            transaction = self._layout.transaction(name, scope)
            for attempt in range(30):
                try:
                    self._hand.write(transaction, self._rng)
                except Failed:
                    if attempt == 29:
                        raise
                else:
                    break

    def count(self) -> tuple[int, int]:
        """How many steps were done since this was asked last, and how many failed."""
        counted = self._done, self._failed
        self._done = self._failed = 0
        return counted

    def step(self) -> None:
        """One transaction, or something loose."""
        rng = self._rng
        name = f"{self._name}.{self._steps}"
        self._steps += 1
        try:
            if rng.random() < 0.3:
                key, other = (f"loose/{number}" for number in rng.sample(range(LOOSE), 2))
                self._hand.loose(key, other, name, rng)
            else:
                self._hand.write(self._layout.draw_transaction(rng, name), rng)
            self._done += 1
        except Failed:
            self._failed += 1
