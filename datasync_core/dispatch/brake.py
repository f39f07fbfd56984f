"""Holds mass removals that nobody asked for: keys that are just not there any more.

A store that was flushed, mistaken for another, or restored half says nothing about what ought to be removed. So
where keys vanish without an explicit delete, at least ``keys`` of them and more than ``share`` of what a plugin has
applied, their removal is held until an operator releases it or the store's content comes back: until fewer than
``keys`` are missing, so that a restore that is half done removes nothing of the other half. Explicit deletes
are never held. After a restart of the host only the count of what had been applied is known: a plugin whose store
holds so much less is not called at all.
"""

from __future__ import annotations

from collections.abc import Collection

from datasync_core.dispatch.ledger import Ice, Ledger


class Brake:
    """One plugin's brake. Owned by the dispatcher thread."""

    def __init__(self, share: float, keys: int, expected: int = 0) -> None:
        """``expected``: how many keys were applied in an earlier life of the host (0: not known)."""
        self._share = share
        self._keys = keys
        self.expected = expected
        """How many keys the first resync should find; 0 once it succeeded, or where that is not known."""
        self.tripped: int | None = None
        """How many keys were applied when it tripped, while it holds."""
        self.at_start = False
        """Whether it tripped by the count of an earlier life: which keys are gone is not known then."""

    def look(self, ledgers: Collection[Ledger], *, first: bool) -> str | None:
        """See whether to hold or to let go; in words, where it has just tripped.

        ``first``: no resync has succeeded yet. To be called when every store was read.
        """
        if self.tripped is not None:
            if self.tripped - _present(ledgers) < max(self._keys, 1):
                self._let_go(ledgers)
            return None
        self.at_start = first and self.expected > 0
        if self.at_start:
            stock, gone = self.expected, self.expected - _present(ledgers)
        else:
            gone = sum(len(ledger.inferred) for ledger in ledgers)
            if gone < self._keys:
                return None
            stock = sum(ledger.stock() for ledger in ledgers)
        if not self._is_too_much(gone, stock):
            return None
        self.tripped = stock
        return f"{gone} of {stock} keys are gone without having been deleted: their removal is held"

    def hold(self, ledgers: Collection[Ledger]) -> None:
        """Hold every removal that was inferred and not released."""
        for ledger in ledgers:
            for key in ledger.inferred:
                if key not in ledger.frozen:
                    ledger.freeze(key, "gone without having been deleted", Ice.HELD)

    def release(self, ledgers: Collection[Ledger]) -> None:
        """Let what is held go: these are removals like any other now. Of an earlier life's no more than that."""
        if self.tripped is not None:
            self.expected = min(self.expected, _present(ledgers))
        self._let_go(ledgers)

    def _let_go(self, ledgers: Collection[Ledger]) -> None:
        self.tripped = None
        for ledger in ledgers:
            ledger.let_go()

    def is_short(self, ledgers: Collection[Ledger]) -> bool:
        """Whether a first resync would find less than there was."""
        return self.expected > _present(ledgers)

    def _is_too_much(self, gone: int, stock: int) -> bool:
        return gone >= self._keys and gone > self._share * stock


def _present(ledgers: Collection[Ledger]) -> int:
    return sum(len(shelf.entries) for ledger in ledgers for shelf in ledger.watch_of)
