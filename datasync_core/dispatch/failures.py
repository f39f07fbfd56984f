"""Which keys of a plugin are not applied, and what was told of each: once a reason, and its end.

A key that is written a hundred times a second, or tried again for a week, and always fails in the same way would fill
the log, and push the faults of all others out of what `status` keeps. So here it stands which keys fail, and why: what
fails as before is counted, not told again, and when it has ended that is told as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from datasync_core.dispatch.ledger import Ledger
from datasync_core.model.faults import FaultKind

_NUMBERS = re.compile(r"0x[0-9a-f]+|\d+", re.IGNORECASE)
"""What differs between texts that say the same: revisions, addresses, attempts."""

WORDS = {
    FaultKind.KEY_FAILED: "failing",
    FaultKind.VALUE_INVALID: "invalid",
    FaultKind.VALUE_REJECTED: "rejected",
}


class Failure(Struct, gc=False):
    """One key that is not applied. The dispatcher thread counts; any thread may read."""

    kind: FaultKind
    reason: int
    """The hash of why, without its numbers."""
    since: float
    """Seconds since the Unix epoch, as ``last``."""
    last: float
    count: int = 0
    named: bool = False
    """Whether it was told under its own name: of many at once only the first are."""


class Failures:
    """One plugin's keys that are not applied. Owned by the dispatcher thread, but for `get`."""

    __slots__ = ("_known", "_now", "ledgers")

    def __init__(self, ledgers: Mapping[str, Ledger], now: Callable[[], float]) -> None:
        self.ledgers = ledgers
        self._now = now
        self._known: dict[str, dict[str, Failure]] = {store: {} for store in ledgers}

    def __bool__(self) -> bool:
        return any(self._known.values())

    def get(self, store: str, key: str) -> Failure | None:
        """What is known of a key of the store that the plugin calls so. Any thread."""
        return self._known[store].get(key)

    def note(self, store: str, key: str, kind: FaultKind, reason: str) -> Failure:
        """Note that a key is not applied, and return how often for this reason: once where that is news."""
        now, mark = self._now(), hash(_NUMBERS.sub("0", reason))
        known = self._known[store].get(key)
        if known is None or known.kind is not kind or known.reason != mark:
            known = self._known[store][key] = Failure(kind, mark, now, now)
        known.count += 1
        known.last = now
        return known

    def ended(self, handed: Mapping[str, Iterable[str]] | None) -> list[tuple[str, Failure, bool]]:
        """Forget and return those that no longer fail: key, what was known, and whether the store still has it.

        Only those in ``handed`` (store → keys) are looked at; None: all, where any can have ended otherwise.
        """
        found: list[tuple[str, Failure, bool]] = []
        for store, known in self._known.items():
            ledger = self.ledgers[store]
            if not known or (handed is None and len(known) <= len(ledger.aside) + len(ledger.frozen)):
                continue
            looked = [*known] if handed is None else [key for key in handed.get(store, ()) if key in known]
            found += [
                (key, known.pop(key), ledger.replica.get(key) is not None)
                for key in looked
                if not (key in ledger.aside or key in ledger.frozen or key in ledger.behind)
            ]
        return found

    def keys(self) -> Mapping[str, Iterable[str]]:
        """All that are known, by store."""
        return {store: [*known] for store, known in self._known.items()}
