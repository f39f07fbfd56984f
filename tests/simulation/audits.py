"""What audits may find: only what a store changed without telling anybody, and all of that.

Until an audit (or any other snapshot) the copy may differ from the store in those keys and in no other. One that
found something is told once, as a fault that names the store and how many keys differed; one that found nothing is
told to nobody.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from datasync_core.model.faults import Fault
from tests.simulation.reader import Reader
from tests.simulation.store import SimulatedStore


class Audits:
    """The audits of one store in one life of the host. ``fail`` takes a guarantee and what breaks it."""

    def __init__(self, store: SimulatedStore, reader: Reader, fail: Callable[[str, str], None]) -> None:
        self._store = store
        self._reader = reader
        self._fail = fail
        self._due: tuple[int, int] | None = None
        """How many keys differ at least and at most, by what nobody was told yet."""

    def took(self) -> None:
        """The reader has read."""
        found = self._reader.found
        for place, differing in found:
            streamed = differing - self._store.lost(place)
            if streamed:
                self._fail("audit", f"{min(streamed)} was missed, of which store {self._store.name} told")
        counts = [len(differing) for _, differing in found]
        if any(counts):  # of several that nobody took up in time the last may replace the others
            self._due = (counts[0] if len(counts) == 1 else 0, sum(counts))

    def told(self, fault: Fault) -> None:
        """A fault says that an audit found something."""
        number = re.search(r"found (\d+) key", fault.text)
        least, most = self._due or (0, 0)
        if number is None or not least <= int(number[1]) <= most or not most:
            self._fail("audit", f"{fault.text!r}: an audit found {least} to {most} keys of {fault.store}")
        self._due = None

    def quiet(self) -> None:
        """Nobody can go on: what was found was told."""
        if self._due is not None and self._due[0]:
            self._fail("audit", f"{self._due[0]} keys of {self._store.name} were missed, and nobody is told")
        self._due = None

    def may_differ(self) -> set[str]:
        """Keys in which the copy need not equal the store."""
        unknown = self._store.removed(self._reader.streamed)  # a snapshot cannot show when they went
        return self._store.untold(self._reader.place) | unknown

    def is_reliable(self, keys: Iterable[str]) -> bool:
        """Whether the stream will tell of what is written now.

        Not where a store has come back with another history and was not read since, or has changed these in silence.
        """
        same = self._reader.epoch == self._store.epoch
        return same and self._store.lost(self._reader.place).isdisjoint(keys)

    def is_true(self) -> bool:
        """Whether nothing was changed in silence since the copy was last read as a whole."""
        return not self._store.lost(self._reader.place) and not self._store.removed(self._reader.streamed)
