"""The local copy of one store's watched keys.

The dispatcher alone changes it, between rounds, so that every hook of a round reads one state. What a round
changed is left on the shelves as a delta: key → the entry before.

A new snapshot is compared chunk by chunk as it arrives: an entry with equal bytes is only marked with the
snapshot's number, what differs is staged, and at the end what bears no mark is swept. So a resync of a million
keys of which two in a hundred changed needs memory for these two alone. (Mark and sweep by number, as garbage
collectors do it.) Until the snapshot is complete nothing of it shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from datasync_core.model.entries import Entry, Gone
from datasync_core.sync.inbox import ABORT, AUDIT, BEGIN, COMPLETE, Changes, Chunk, Segment
from datasync_core.sync.shelves import Shelf, Shelves


class Replica:
    """The copy of one store. Owned by the dispatcher thread."""

    def __init__(self, paths: Iterable[str], *, counts: bool = False) -> None:
        self.shelves = Shelves(paths)
        self.synced = False
        """Whether a snapshot was complete: from then on there is something to show."""
        self.revision = 0
        """The newest revision seen."""
        self.streamed = 0
        """The newest revision that the stream told since the last snapshot: it has told all before it."""
        self.told = 0
        """Up to which revision the store says that it told all, with the last snapshot and since. For any thread."""
        self.snapshots = 0
        """How many snapshots were completed, but for those of audits."""
        self.inferred: set[str] = set()
        """Keys that this round found absent, in contrast to those deleted explicitly."""
        self.audited: tuple[int, int] | None = None
        """What this round's audits found: how many keys differed, and of how many the stream must have missed it."""
        self.went_back: tuple[str, int, int] | None = None
        """A key whose revision fell from one to another in this round's snapshot: the store has another history."""
        self.buried: list[tuple[Shelf, str]] = []
        """Keys that this round deleted explicitly though they were gone already."""
        self.touched: list[Shelf] = []
        """Shelves on which this round changed or renewed something."""
        self.plain = True
        """Whether this round was changes alone, each key once: then each shelf's ``fresh`` goes with its delta."""
        self._counts = counts  # the store numbers nothing: number each change of bytes here
        self._mark = 0
        self._auditing = False
        self._outlived: dict[str, int] = {}  # deletes that a stream told beside an audit: key → revision
        self._staged: dict[str, Entry] | None = None  # what differs in the snapshot that is being read

    def settle(self) -> None:
        """Forget what the last round changed."""
        for shelf in self.touched:
            shelf.settle()
        self.touched.clear()
        if self.buried:
            self.buried = []
        if not self.plain:  # else there is none of it
            self.went_back = None
            self.audited = None
            self.inferred = set()

    def apply(self, segments: Sequence[Segment]) -> None:
        """Take in what the inbox gave."""
        if len(segments) == 1:
            (only,) = segments
            if isinstance(only, Changes) and not only.cleared and not self.touched:
                self.plain = True
                self._change(only)
                return
        self.plain = False
        for segment in segments:
            if isinstance(segment, Changes):
                self._change(segment)
            elif isinstance(segment, Chunk):
                self._read(segment.entries)
            elif segment is BEGIN:
                self._abort()
                self._mark += 1
                self._staged = {}
            elif segment is AUDIT:
                self._auditing = True
            elif segment is COMPLETE:
                self._complete()
            elif segment is ABORT:
                self._abort()
        if len(segments) > 1:
            self._drop_unseen()

    def single(self) -> tuple[Entry, Entry | None] | None:
        """The new entry and the one before it, where a plain round created or updated one key and did nothing else."""
        if len(self.touched) == 1 and not self.buried:
            shelf = self.touched[0]
            if len(shelf.fresh) == len(shelf.delta) == 1:
                (before,) = shelf.delta.values()
                return shelf.fresh[0], before
        return None

    def get(self, key: str) -> Entry | None:
        """The entry of a key."""
        return self.shelves.get(key)

    def knows(self, key: str) -> bool:
        """Whether the copy has a key, or the snapshot that is being read for it. Any thread may ask."""
        staged = self._staged
        return self.shelves.peek(key) is not None or (staged is not None and key in staged)

    def __len__(self) -> int:
        return sum(len(shelf.entries) for shelf in self.shelves.all.values())

    def _change(self, changes: Changes) -> None:
        latest = changes.latest
        if changes.cleared:
            self._clear(latest)
        shelf_of, memo = self.shelves.of, self.shelves.memo
        usual = self.plain and not (self._counts or self._auditing)
        newest = changes.revision
        for key, new in latest.items():
            revision = new.revision
            if revision > newest:
                newest = revision
            shelf = memo.get(key) or shelf_of(key)
            if shelf is None:
                continue
            entries = shelf.entries
            old = entries.get(key)
            if usual and old is not None and not new.gone:
                if revision > old.revision and old.value != new.value:
                    # An update: what `_set` does, without the calls, which would cost as much again.
                    delta = shelf.delta
                    if not delta and not shelf.renewed:
                        self.touched.append(shelf)
                    delta[key] = old
                    shelf.fresh.append(new)
                    if new.error is not None:
                        shelf.errors += 1
                    entries[key] = new
                    continue
            if self._is_told(old, new):
                continue
            if self._auditing:
                self._overtake(new)
            if new.gone:
                self._remove(shelf, key)
            else:
                self._set(shelf, old, new)
        if newest > self.streamed:
            self._stream_on(newest)
        if changes.told > self.told:
            self.told = changes.told

    def _stream_on(self, newest: int) -> None:
        """The stream told of a revision for the first time."""
        self.streamed = newest
        if newest > self.revision and not self._counts:
            self.revision = newest
        if self._outlived and not self._auditing:
            self._outlived.clear()

    def _is_told(self, old: Entry | None, new: Entry | Gone) -> bool:
        """Whether this was delivered before: a stream that begins with an audit's snapshot repeats another."""
        if old is not None:
            return 0 < new.revision <= old.revision and not self._counts
        return new.key in self._outlived and new.revision <= self._outlived[new.key]

    def _clear(self, latest: dict[str, Entry | Gone]) -> None:
        self._sweep(latest)
        if self._auditing and self._staged is not None:
            self._staged.clear()

    def _overtake(self, new: Entry | Gone) -> None:
        """The stream is newer than the snapshot of an audit that is under way, unless that says otherwise."""
        if new.gone and not self._counts:
            self._outlived[new.key] = new.revision
        if self._staged is not None and new.key in self._staged:
            if self._counts or self._staged[new.key].revision <= new.revision:
                del self._staged[new.key]

    def _remove(self, shelf: Shelf, key: str) -> None:
        if key in shelf.entries:
            self._note(shelf, key, self.shelves.remove(shelf, key))
            shelf.deletes += 1
        else:
            self.buried.append((shelf, key))
        self.inferred.discard(key)

    def _set(self, shelf: Shelf, old: Entry | None, new: Entry) -> None:
        key = new.key
        if old is not None and old.value == new.value and old.error == new.error:
            if self._counts:
                new.revision = old.revision
            new._checked = old._checked
            if not shelf.delta and not shelf.renewed:
                self.touched.append(shelf)
            if key not in shelf.delta and key not in shelf.renewed:
                shelf.renewed[key] = old
        else:
            if self._counts:
                new.revision = self.revision + 1
            self._note(shelf, key, old)
            shelf.fresh.append(new)
            if new.error is not None:
                shelf.errors += 1
        if new.revision > self.revision:
            self.revision = new.revision
        shelf.entries[key] = new
        if self._auditing:
            new._mark = self._mark
        if self.inferred:
            self.inferred.discard(key)

    def _note(self, shelf: Shelf, key: str, old: Entry | None) -> None:
        delta = shelf.delta
        if not delta and not shelf.renewed:
            self.touched.append(shelf)
        if key not in delta:
            delta[key] = shelf.renewed.pop(key, old) if shelf.renewed else old

    def _drop_unseen(self) -> None:
        """Forget keys that came and went within one round: nobody can have seen them, or nobody saw them come back."""
        for shelf in self.touched:
            unseen = [key for key, old in shelf.delta.items() if old is None and key not in shelf.entries]
            for key in unseen:
                del shelf.delta[key]
            self.buried += [(shelf, key) for key in unseen if key not in self.inferred]
            self.inferred.difference_update(unseen)
            if not shelf.delta and not shelf.renewed:
                shelf.settle()  # what came and went is not among the fresh of the next round
        self.touched = [shelf for shelf in self.touched if shelf.delta or shelf.renewed]

    def _read(self, entries: Sequence[Entry]) -> None:
        staged = self._staged
        if staged is None:
            return
        if not self.synced:
            self._load(entries)
            return
        find = self.shelves.find
        mark, counts = self._mark, self._counts
        known: dict[str, Entry] = {}  # where the key before lay; one that is there, too, lies nowhere else
        for new in entries:
            key = new.key
            old = known.get(key)
            if old is None:
                shelf = find(key)
                if shelf is None:
                    continue
                known = shelf.entries
                old = known.get(key)
            if old is not None and old.value == new.value and old.error == new.error:
                if counts or old.revision == new.revision:
                    old._mark = mark
                    if key in staged:
                        del staged[key]  # the store named it twice; this is the later
                    continue
            staged[key] = new

    def _load(self, entries: Sequence[Entry]) -> None:
        """Take in a part of the first snapshot: nobody reads the copy yet, so there is no need to stage."""
        find = self.shelves.find
        for new in entries:
            key = new.key
            shelf = find(key)
            if shelf is None:
                continue
            if self._counts:
                new.revision = self.revision = self.revision + 1
            elif new.revision > self.revision:
                self.revision = new.revision
            shelf.entries[key] = new

    def _complete(self) -> None:
        staged, self._staged = self._staged, None
        if staged is None:
            return
        read_again = self.synced and not self._auditing
        if self._auditing:
            differed, missed = self.audited or (0, 0)
            more, missed_more = self._compare(staged)
            self.audited = (differed + more, missed + missed_more)
            self._auditing = False
        else:
            self.snapshots += 1
            self.streamed = self.told = 0
            self._outlived.clear()
        if self.synced:
            self._sweep(staged, self._mark)
            for key, new in staged.items():
                shelf = self.shelves.find(key)
                if shelf is not None:
                    old = shelf.entries.get(key)
                    if old is not None and 0 < new.revision < old.revision and not self._counts:
                        self.went_back = (key, old.revision, new.revision)
                    self._set(shelf, old, new)
        if read_again and not self._counts:  # it may have another history: what was seen before is no measure
            entries = (entry for shelf in self.shelves.all.values() for entry in shelf.entries.values())
            self.revision = max((entry.revision for entry in entries), default=0)
        self.synced = True

    def _compare(self, staged: dict[str, Entry]) -> tuple[int, int]:
        """How many keys differ from a snapshot, and how many of them should have been told before it was read.

        What is newer than the newest revision known may have been written while the snapshot began.
        """
        gone = sum(
            entry._mark != self._mark and key not in staged
            for shelf in self.shelves.all.values()
            for key, entry in shelf.entries.items()
        )
        missed = sum(0 < new.revision <= self.revision for new in staged.values())
        return gone + len(staged), missed

    def _sweep(self, present: dict[str, Entry] | dict[str, Entry | Gone], mark: int | None = None) -> None:
        """Remove what is neither in ``present`` as an entry nor marked: inferred from absence."""
        for shelf in self.shelves.all.values():
            absent = [
                key
                for key, entry in shelf.entries.items()
                if entry._mark != mark and ((new := present.get(key)) is None or new.gone)
            ]
            for key in absent:
                self._note(shelf, key, self.shelves.remove(shelf, key))
                self.inferred.add(key)

    def _abort(self) -> None:
        self._auditing = False
        if self._staged is not None and not self.synced:
            for shelf in self.shelves.all.values():
                shelf.entries.clear()
            self.revision = 0
        self._staged = None
