"""What a reflector said of a store, heard before the inbox makes less of it: so the oracle knows more than the core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen

from datasync_core.model.entries import Batch, Entry, Gone
from datasync_core.sync.inbox import ABORT, AUDIT, BEGIN, Inbox, Mark, Segment
from tests.simulation.store import SimulatedStore

Known = dict[str, tuple[str, int]]


@frozen
class Whole:
    """The end of a snapshot that began at a place in the log, in one of the store's histories."""

    place: int
    streamed: int
    """Where the stream was then, which an audit hears on."""
    epoch: int


class Reader:
    """Reads what a replica is given, to know which keys' last word was that they were deleted."""

    def __init__(self, store: SimulatedStore) -> None:
        self._store = store
        self._counts = not store.revisions
        self.taken: list[Batch | Mark | Whole | list[Entry]] = []
        self._staged: Known = {}
        self._auditing = False
        self._outlived: dict[str, int] = {}
        """Revisions of deletes beside an audit: the stream that follows may tell again of what was before."""
        self._deleted: set[str] = set()
        """Keys that were deleted before the running segment."""
        self._put: set[str] = set()
        """Keys that it wrote."""
        self.explicit: set[str] = set()
        """Keys that the last segments deleted."""
        self.written: set[str] = set()
        """Keys that the last segments wrote, perhaps with the bytes they had."""
        self.back: set[str] = set()
        """Keys that the last segments deleted and a snapshot has again."""
        self.place = 0
        """Where the last whole snapshot began in the log: what it does not show the stream had to tell."""
        self.streamed = 0
        """Where the stream was then: what it told after that may be older than the snapshot."""
        self.epoch = 0
        """In which of the store's histories that was."""
        self.whole = False
        """Whether the last segments ended a snapshot, other than to compare."""
        self.found: list[tuple[int, set[str]]] = []
        """For each audit that the last segments ended: from where on it compares, and the keys that differed."""

    def read(self, before: Mapping[str, tuple[str, int]]) -> None:
        """Take note of what was taken, which comes after ``before``."""
        known = dict(before)
        self.explicit, self.written, self.back = set(), set(), set()
        self._deleted, self._put = set(), set()
        self.whole, self.found = False, []
        begun: tuple[set[str], set[str]] | None = None
        taken, self.taken = self.taken, []
        for said in taken:
            if isinstance(said, Batch):
                self._changes(known, said)
                continue
            if (
                said is ABORT and begun is not None
            ):  # as if it had never begun: what is around it is one segment
                self._deleted, self._put = begun[0], begun[1] | self._put
            elif isinstance(said, Mark | Whole):
                begun = (self._deleted, self._put) if isinstance(said, Mark) else None
                self._deleted, self._put = set(self.explicit), set()
            if isinstance(said, Whole):
                if self._auditing:
                    self.found.append((self.place, self._compare(known)))
                else:  # it replaces what audits before it found, and what was said before it
                    self.whole, self.found = True, []
                    self.written.clear()
                    self.back.clear()
                    self._outlived.clear()
                self.back |= self.explicit & self._staged.keys()
                self.place, self.streamed, self.epoch = said.place, said.streamed, said.epoch
                known, self._staged, self._auditing = self._staged, {}, False
                self.explicit.difference_update(known)
                self.written.intersection_update(known)
            elif isinstance(said, Mark):
                self._staged, self._auditing = {}, said is AUDIT
            else:
                self._staged.update((entry.key, (entry.value.decode(), entry.revision)) for entry in said)

    def _compare(self, known: Known) -> set[str]:
        """The keys in which a snapshot and what is known differ."""

        def seen(of: Known, key: str) -> object:
            return of[key][: 1 if self._counts else 2] if key in of else None

        return {key for key in known.keys() | self._staged if seen(known, key) != seen(self._staged, key)}

    def _changes(self, known: Known, batch: Batch) -> None:
        """A stream has the last word, also on a snapshot that an audit read beside it."""
        both = [known, self._staged] if self._auditing else [known]
        if batch.cleared:
            for one in both:
                one.clear()
            self.written.clear()
            self.explicit |= self._deleted & self._put  # what came after that was never shown
        for change in batch.changes:
            key = change.key
            if key in known and 0 < change.revision <= known[key][1] and not self._counts:
                continue  # delivered twice
            if change.revision <= self._outlived.get(key, -1):
                continue
            if change.gone:
                if self._auditing and not self._counts:
                    self._outlived[key] = change.revision
                for one in both:
                    if self._is_newer(change, one):
                        one.pop(key, None)
                self.explicit.add(key)
                self.written.discard(key)
            else:
                for one in both:
                    if self._is_newer(change, one):
                        one[key] = (change.value.decode(), change.revision)
                self.explicit.discard(key)
                self._put.add(key)
                self.written.add(key)

    def _is_newer(self, change: Entry | Gone, known: Known) -> bool:
        return self._counts or change.key not in known or known[change.key][1] <= change.revision

    def listen(self, inbox: Inbox) -> None:
        """Hear what the reflector says, before the inbox makes less of it."""
        put, begin, chunk, complete, abort, take = (
            inbox.put,
            inbox.begin,
            inbox.chunk,
            inbox.complete,
            inbox.abort,
            inbox.take,
        )
        said: list[Batch | Mark | Whole | list[Entry]] = []
        streamed = 0

        def on_put(batch: Batch, told: int = 0) -> None:
            put(batch, told)
            said.append(Batch(list(batch.changes), batch.cleared))

        def on_begin(*, audit: bool = False) -> None:
            nonlocal streamed
            streamed = self._store.streamed()
            begin(audit=audit)
            said.append(AUDIT if audit else BEGIN)

        def on_chunk(entries: Sequence[Entry]) -> None:
            chunk(entries)
            said.append(list(entries))

        def on_complete(told: int = 0) -> None:
            complete(told)
            said.append(Whole(self._store.begun, streamed, self._store.begun_in))

        def on_abort() -> None:
            abort()
            said.append(ABORT)

        def on_take() -> list[Segment]:
            segments = take()
            self.taken += said
            said.clear()
            return segments

        inbox.put, inbox.begin, inbox.chunk = on_put, on_begin, on_chunk  # type: ignore[method-assign]
        inbox.complete, inbox.abort, inbox.take = on_complete, on_abort, on_take  # type: ignore[method-assign]
