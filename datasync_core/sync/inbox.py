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

from msgspec import Struct

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


class Changes(Struct, eq=False):
    """The latest change of each key; ``cleared``: every key that is not among them as an entry is gone."""

    latest: dict[str, Entry | Gone] = {}
    cleared: bool = False
    revision: int = 0
    """The newest revision among the deletes that nobody needs to be told."""
    told: int = 0
    """Up to which revision all was told, with these."""

    def clear(self) -> None:
        """Everything is gone; what was deleted explicitly before stays so."""
        self.latest = {key: change for key, change in self.latest.items() if change.gone}
        self.cleared = True

    def add(self, later: Changes) -> None:
        """Take in what came after these."""
        if later.cleared:
            self.clear()
        self.latest.update(later.latest)
        self.revision = max(self.revision, later.revision)
        self.told = max(self.told, later.told)

    def forget(self, change: Gone) -> None:
        """Nobody needs to be told of this delete."""
        self.latest.pop(change.key, None)
        if change.revision > self.revision:
            self.revision = change.revision


class Chunk:
    """A part of a snapshot."""

    __slots__ = ("entries",)

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries


_MANY = 1000  # changes that may wait behind a snapshot before it is looked who needs them

Segment: TypeAlias = Changes | Chunk | Literal[Mark.BEGIN, Mark.COMPLETE, Mark.ABORT, Mark.AUDIT]


class Inbox:
    """One store's way to the dispatcher. The reading thread puts, the dispatcher takes; neither waits for the other."""

    def __init__(self, runtime: Runtime, doorbell: Doorbell) -> None:
        self._lock = runtime.lock()
        self._doorbell = doorbell
        self._segments: list[Segment] = []  # under the lock, like all below
        self._tail: Changes | None = None  # the last segment, where that takes more changes
        self._look_at = _MANY  # how many changes in the tail are a reason to look whether somebody needs them
        self._untold = False  # something was taken that the replica does not show yet
        self.knows: Callable[[str], bool] | None = None
        """Whether anybody downstream has a key, or may have it; asked by the reading thread. None: take it so."""
        self.begun = 0
        """How many snapshots were begun."""
        self.reading = False
        """Whether one was begun that neither completed nor broke off."""
        self.completed = 0
        """The number of the newest snapshot that is whole."""

    def put(self, batch: Batch, told: int = 0) -> None:
        """Changes that belong together; ``told``: with them the stream has told all up to this revision."""
        with self._lock:
            tail = self._tail
            if tail is None:
                tail = self._follow(Changes())
            if told > tail.told:
                tail.told = told
            if batch.cleared:
                tail.clear()
            latest = tail.latest
            for change in batch.changes:
                if change.gone and self._is_unknown(change.key, tail):
                    tail.forget(change)  # came and went while nobody looked
                else:
                    latest[change.key] = change
            if len(latest) > self._look_at and (tail is not self._segments[0] or self._who_knows() is None):
                self._look_at = max(_MANY, 2 * self._forget(tail))
        self._doorbell.ring()

    def tell(self, told: int) -> None:
        """The stream has told all up to this revision: nothing that concerns us."""
        self.put(Batch(()), told)

    def begin(self, *, audit: bool = False) -> None:
        """A snapshot follows; ``audit``: of a stream that was healthy, to be compared with what it said."""
        with self._lock:
            self.begun += 1
            self.reading = True
            self._append(BEGIN)
            if audit:
                self._append(AUDIT)

    def chunk(self, entries: Sequence[Entry]) -> None:
        """A part of the snapshot."""
        with self._lock:
            self._append(Chunk(entries))
        self._doorbell.ring()

    def complete(self, told: int = 0) -> None:
        """The snapshot is whole: it replaces what came before it and was not taken yet.

        One that only compares does so with what came before, and replaces others that do. ``told``: up to which
        revision it shows all.
        """
        with self._lock:
            if BEGIN in self._segments:
                begin = self._last_begin()
                audit = AUDIT in self._segments[begin : begin + 2]
                before = self._segments[:begin]
                self._segments[:begin] = _without_audits(before) if audit else _what_stays(before)
                for segment in self._segments[:begin]:
                    if isinstance(segment, Changes):
                        self._forget(segment)
            self._append(COMPLETE)
            if told > 0:
                self._follow(Changes(told=told))
            self.completed = self.begun
            self.reading = False
        self._doorbell.ring()

    def abort(self) -> None:
        """The snapshot broke off: forget it, but for what a stream said while it was compared."""
        with self._lock:
            self.reading = False
            if BEGIN in self._segments:
                begin, ending = self._last_begin(), []
            else:  # its beginning was taken
                begin, ending = 0, [ABORT]
            said = [segment for segment in self._segments[begin:] if isinstance(segment, Changes)]
            self._segments[begin:] = [*ending, *said]
            self._segments = _joined(self._segments)
            last = self._segments[-1] if self._segments else None
            self._tail = last if isinstance(last, Changes) else None
            self._look_at = _MANY
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

    def staged(self) -> tuple[Segment, ...]:
        """What would be taken now. Any thread."""
        with self._lock:
            return tuple(self._segments)

    def settle(self) -> None:
        """What was taken is in the replica now. The dispatcher's thread."""
        self._untold = False

    def is_empty(self) -> bool:
        """Whether nothing waits to be taken."""
        return not self._segments

    def _is_unknown(self, key: str, tail: Changes) -> bool:
        """Whether nobody has a key, nor will have it by what waits before the tail."""
        knows = self._who_knows()
        return tail is self._segments[0] and knows is not None and not knows(key)

    def _who_knows(self) -> Callable[[str], bool] | None:
        """What says whether anybody has a key; None while that is about to change."""
        return None if self._untold else self.knows

    def _forget(self, changes: Changes) -> int:
        """Forget the deletes of keys that nobody has, nor will have by what waits before them; how many keys matter.

        Without it a store whose keys come and go by the million fills the inbox while one hook hangs.
        """
        knows = self._who_knows()
        if knows is None:
            return len(changes.latest)
        before: set[str] = set()
        for segment in self._segments:
            if segment is changes:
                break
            if isinstance(segment, Chunk):
                before.update(entry.key for entry in segment.entries)
            elif isinstance(segment, Changes):
                before.update(segment.latest)
        for change in [*changes.latest.values()]:
            if change.gone and change.key not in before and not knows(change.key):
                changes.forget(change)
        return max(len(before), len(changes.latest))

    def _follow(self, tail: Changes) -> Changes:
        self._segments.append(tail)
        self._tail = tail
        self._look_at = _MANY
        return tail

    def _append(self, segment: Segment) -> None:
        self._segments.append(segment)
        self._tail = None

    def _last_begin(self) -> int:
        return len(self._segments) - 1 - self._segments[::-1].index(BEGIN)


def _joined(segments: Sequence[Segment]) -> list[Segment]:
    """The same with changes that follow each other as one."""
    joined: list[Segment] = []
    for segment in segments:
        last = joined[-1] if joined else None
        if isinstance(segment, Changes) and isinstance(last, Changes):
            last.add(segment)
        else:
            joined.append(segment)
    return joined


def _without_audits(superseded: Sequence[Segment]) -> list[Segment]:
    """The same without the snapshots that only compare: one that is read later finds what they did."""
    if AUDIT not in superseded:
        return [*superseded]
    first = superseded.index(AUDIT) - 1
    said = [segment for segment in superseded[first:] if isinstance(segment, Changes)]
    return _joined([*superseded[:first], *said])


def _what_stays(superseded: Sequence[Segment]) -> list[Segment]:
    """Of segments that a whole snapshot replaces: the explicit deletes, and the end of a snapshot begun elsewhere."""
    stays: list[Segment] = []
    begun = superseded.index(BEGIN) if BEGIN in superseded else len(superseded)
    if any(
        isinstance(segment, Chunk) or (segment is not BEGIN and isinstance(segment, Mark))
        for segment in superseded[:begun]
    ):
        stays.append(ABORT)
    deletes = Changes()
    read = False
    for segment in superseded:
        if isinstance(segment, Changes):
            deletes.latest.update(segment.latest)
            if read:  # perhaps of another history, whose revisions mean nothing to who was not told of it
                deletes.latest.update((key, Gone(key)) for key, one in segment.latest.items() if one.gone)
        elif isinstance(segment, Chunk) and deletes.latest:
            for entry in segment.entries:  # deleted before, and there again in a snapshot between
                deletes.latest.pop(entry.key, None)
        elif segment is COMPLETE:
            read = True
    deletes.latest = {key: change for key, change in deletes.latest.items() if change.gone}
    if deletes.latest:
        stays.append(deletes)
    return stays
