"""What a reflector said of a store, heard before the inbox makes less of it: so the oracle knows more than the core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from datasync_core.model.entries import Batch, Entry
from datasync_core.sync.inbox import ABORT, BEGIN, COMPLETE, Inbox, Mark, Segment


class Reader:
    """Reads what a replica is given, to know which keys' last word was that they were deleted."""

    def __init__(self, *, counts: bool) -> None:
        self._counts = counts
        self.taken: list[Batch | Mark | list[Entry]] = []
        self._staged: dict[str, int] = {}
        self.explicit: set[str] = set()
        """Keys that the last segments deleted."""
        self.written: set[str] = set()
        """Keys that the last segments wrote, perhaps with the bytes they had."""

    def read(self, before: Mapping[str, tuple[str, int]]) -> None:
        """Take note of what was taken, which comes after ``before``."""
        known = {key: revision for key, (_, revision) in before.items()}
        self.explicit, self.written = set(), set()
        taken, self.taken = self.taken, []
        for said in taken:
            if isinstance(said, Batch):
                self._changes(known, said)
            elif isinstance(said, Mark):
                if said is COMPLETE:
                    known = self._staged
                    self.explicit.difference_update(known)
                    self.written.intersection_update(known)
                self._staged = {}
            else:
                self._staged.update((entry.key, entry.revision) for entry in said)

    def _changes(self, known: dict[str, int], batch: Batch) -> None:
        if batch.cleared:
            known.clear()
            self.written.clear()
        for change in batch.changes:
            key = change.key
            if key in known and 0 < change.revision <= known[key] and not self._counts:
                continue  # delivered twice
            if change.gone:
                known.pop(key, None)
                self.explicit.add(key)
                self.written.discard(key)
            else:
                known[key] = change.revision
                self.explicit.discard(key)
                self.written.add(key)

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
        said: list[Batch | Mark | list[Entry]] = []

        def on_put(batch: Batch) -> None:
            put(batch)
            said.append(Batch(list(batch.changes), batch.cleared))

        def on_begin(*, audit: bool = False) -> None:
            begin(audit=audit)
            said.append(BEGIN)

        def on_chunk(entries: Sequence[Entry]) -> None:
            chunk(entries)
            said.append(list(entries))

        def on_complete() -> None:
            complete()
            said.append(COMPLETE)

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
