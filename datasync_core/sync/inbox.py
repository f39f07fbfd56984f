"""The hand-over from the thread that reads a store to the dispatcher.

It coalesces: between two takes only the latest entry of each key is kept, so a slow hook never makes the reader
wait, and memory grows with the number of distinct keys, never with the length of a backlog. A batch goes in as a
whole, and a take takes everything, so that no transaction is ever divided.

What is taken is a list of segments, in order: `Changes`, or the parts of a snapshot (`BEGIN`, `Chunk` …,
`COMPLETE`, or `ABORT` where it broke off; `AUDIT` after the beginning of one that only compares). A snapshot may be
taken in pieces; it counts once it is complete.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final, Literal, TypeAlias

from datasync_core.model.entries import Batch, Entry, Gone
from datasync_core.model.runtime import Doorbell, Runtime


class Mark(Enum):
    """The bounds of a snapshot."""

    BEGIN = "begin"
    COMPLETE = "complete"
    ABORT = "abort"
    AUDIT = "audit"


BEGIN: Final = Mark.BEGIN
COMPLETE: Final = Mark.COMPLETE
ABORT: Final = Mark.ABORT
AUDIT: Final = Mark.AUDIT


class Changes:
    """The latest change of each key; ``cleared``: every key that is not among them as an entry is gone."""

    __slots__ = ("cleared", "latest")

    def __init__(self) -> None:
        self.latest: dict[str, Entry | Gone] = {}
        self.cleared = False


class Chunk:
    """A part of a snapshot."""

    __slots__ = ("entries",)

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries


Segment: TypeAlias = Changes | Chunk | Literal[Mark.BEGIN, Mark.COMPLETE, Mark.ABORT, Mark.AUDIT]


class Inbox:
    """One store's way to the dispatcher. The reading thread puts, the dispatcher takes; neither waits for the other."""

    def __init__(self, runtime: Runtime, doorbell: Doorbell) -> None:
        self._lock = runtime.lock()
        self._doorbell = doorbell
        self._segments: list[Segment] = []  # under the lock, like all below
        self._tail: Changes | None = None  # the last segment, where that takes more changes
        self._untold = False  # something was taken that the replica does not show yet
        self.knows: Callable[[str], bool] | None = None
        """Whether anybody downstream has a key, or may have it; asked by the reading thread. None: take it so."""
        self.begun = 0
        """How many snapshots were begun."""
        self.completed = 0
        """The number of the newest snapshot that is whole."""

    def put(self, batch: Batch) -> None:
        """Changes that belong together."""
        with self._lock:
            tail = self._tail
            if tail is None:
                tail = self._tail = Changes()
                self._segments.append(tail)
            latest = tail.latest
            if batch.cleared:  # what was deleted explicitly before the flush stays so
                tail.latest = latest = {key: change for key, change in latest.items() if change.gone}
                tail.cleared = True
            forget = self._forgettable() if tail is self._segments[0] else None
            for change in batch.changes:
                if change.gone and forget is not None and not forget(change.key):
                    latest.pop(change.key, None)  # came and went while nobody looked
                else:
                    latest[change.key] = change
        self._doorbell.ring()

    def begin(self, *, audit: bool = False) -> None:
        """A snapshot follows; ``audit``: of a stream that was healthy, to be compared with what it said."""
        with self._lock:
            self.begun += 1
            self._append(BEGIN)
            if audit:
                self._append(AUDIT)

    def chunk(self, entries: Sequence[Entry]) -> None:
        """A part of the snapshot."""
        with self._lock:
            self._append(Chunk(entries))
        self._doorbell.ring()

    def complete(self) -> None:
        """The snapshot is whole: unless it only compares, it replaces what came before it and was not taken yet."""
        with self._lock:
            if BEGIN in self._segments:
                begin = self._last_begin()
                if AUDIT not in self._segments[begin : begin + 2]:  # that one compares with what came before
                    self._segments[:begin] = _what_stays(self._segments[:begin])
            self._append(COMPLETE)
            self.completed = self.begun
        self._doorbell.ring()

    def abort(self) -> None:
        """The snapshot broke off: forget it, but for what a stream said while it was compared."""
        with self._lock:
            if BEGIN in self._segments:
                begin, ending = self._last_begin(), []
            else:  # its beginning was taken
                begin, ending = 0, [ABORT]
            said = [segment for segment in self._segments[begin:] if isinstance(segment, Changes)]
            self._segments[begin:] = [*ending, *said]
            last = self._segments[-1] if self._segments else None
            self._tail = last if isinstance(last, Changes) else None
        self._doorbell.ring()

    def take(self) -> list[Segment]:
        """Everything that came since the last take, in order. The dispatcher's thread."""
        if not self._segments:
            return []
        with self._lock:
            taken, self._segments = self._segments, []
            self._tail = None
            self._untold = True
        return taken

    def waiting(self) -> set[str]:
        """The keys whose changes wait to be taken. Any thread."""
        with self._lock:
            return {
                key for segment in self._segments if isinstance(segment, Changes) for key in segment.latest
            }

    def settle(self) -> None:
        """What was taken is in the replica now. The dispatcher's thread."""
        self._untold = False

    def is_empty(self) -> bool:
        """Whether nothing waits to be taken."""
        return not self._segments

    def _forgettable(self) -> Callable[[str], bool] | None:
        """What says whether a deleted key must be told: nobody needs to hear of one that nobody has.

        Without it a store whose keys come and go by the million fills the inbox while one hook hangs.
        """
        return None if self._untold else self.knows

    def _append(self, segment: Segment) -> None:
        self._segments.append(segment)
        self._tail = None

    def _last_begin(self) -> int:
        return len(self._segments) - 1 - self._segments[::-1].index(BEGIN)


def _what_stays(superseded: list[Segment]) -> list[Segment]:
    """Of segments that a whole snapshot replaces: the explicit deletes, and the end of a snapshot begun elsewhere."""
    stays: list[Segment] = []
    begun = superseded.index(BEGIN) if BEGIN in superseded else len(superseded)
    if any(
        isinstance(segment, Chunk) or (segment is not BEGIN and isinstance(segment, Mark))
        for segment in superseded[:begun]
    ):
        stays.append(ABORT)
    deletes = Changes()
    for segment in superseded:
        if isinstance(segment, Changes):
            deletes.latest.update(segment.latest)
        elif isinstance(segment, Chunk) and deletes.latest:
            for entry in segment.entries:  # deleted before, and there again in a snapshot between
                deletes.latest.pop(entry.key, None)
    deletes.latest = {key: change for key, change in deletes.latest.items() if change.gone}
    if deletes.latest:
        stays.append(deletes)
    return stays
