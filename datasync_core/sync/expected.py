"""What this host wrote and has not read back yet: until then its plugins are not settled.

A stream tells writes in order, so of all puts the newest stands for the rest. A snapshot shows what was written before
it began; of what is written while it is read it may show some and not the rest, so each of these keys is waited for.
Between a write and its answer a whole snapshot may be read, after which no stream tells of the write again: so it is
noted before the write where the reading stood (`moment`).
A delete is remembered by its key: it is only waited for where the copy has that key, because a store says nothing of
a key that was not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from datasync_core.model.entries import Delete, Put
from datasync_core.model.runtime import Runtime
from datasync_core.sync.inbox import Inbox
from datasync_core.sync.replica import Replica

_MANY = 1000  # keys that may be remembered before those that were seen are looked for


class Moment(NamedTuple):
    """Where the reading of a store stands."""

    begun: int
    """How many snapshots were begun."""
    reading: bool
    """Whether the last of them is being read."""


class _Write(NamedTuple):
    """When something was written. The later is the greater: a store with another history has lower revisions again."""

    begun: int  # snapshots, when its answer came
    revision: int


class Expected:
    """The writes to one watched store that its replica does not show yet. Any thread may call it.

    Meaningful only where the store numbers its writes.
    """

    def __init__(self, inbox: Inbox, replica: Replica, runtime: Runtime) -> None:
        self._inbox = inbox
        self._replica = replica
        self._lock = runtime.lock()
        self._put: _Write | None = None  # under the lock, like all below
        self._beside: dict[str, _Write] = {}  # puts while a snapshot was read
        self._deletes: dict[str, _Write] = {}
        self._mine: dict[str, None] = {}  # the keys of the latest puts, while the newest is not read back
        self._look_at = _MANY

    def moment(self) -> Moment:
        """Where the reading stands; to be asked before a write, for `wrote`."""
        return Moment(
            self._inbox.begun, self._inbox.reading
        )  # in this order: one that begins between is seen

    def wrote(self, ops: Sequence[Put | Delete], revision: int, since: Moment) -> None:
        """These were committed at ``revision``, ``since`` a moment before."""
        write = _Write(self._inbox.begun, revision)
        beside = since.reading or write.begun > since.begun
        with self._lock:
            for op in ops:
                if not self._replica.shelves.watches(op.key):
                    continue  # what nothing watches never comes back
                if isinstance(op, Delete):
                    self._deleted(op.key, write, beside)
                elif beside:
                    self._put_beside(op.key, write)
                else:
                    self._put = write if self._put is None else max(self._put, write)
                    if len(self._mine) >= _MANY:
                        self._mine.clear()
                    self._mine[op.key] = None
            if len(self._deletes) + len(self._beside) > self._look_at:
                self._forget_seen()
                self._look_at = max(_MANY, 2 * (len(self._deletes) + len(self._beside)))

    def is_empty(self) -> bool:
        """Whether everything written is in the replica, or was overtaken there."""
        with self._lock:
            self._forget_seen()
            return self._put is None and not self._beside and not self._deletes

    # A snapshot shows the last of several writes to a key and no sign of those before: only that one is waited for.

    def _deleted(self, key: str, write: _Write, beside: bool) -> None:
        put = self._beside.get(key)
        if put is not None:
            if put > write:
                return
            del self._beside[key]
        if beside or self._may_come(key):
            self._deletes[key] = write

    def _put_beside(self, key: str, write: _Write) -> None:
        deleted = self._deletes.get(key)
        if deleted is not None:
            if deleted > write:
                return
            del self._deletes[key]
        self._beside[key] = write

    def _forget_seen(self) -> None:
        if self._put is not None and self._is_seen(self._put):
            self._put = None
            self._mine.clear()
        for key in [key for key, write in self._beside.items() if self._is_there(key, write)]:
            del self._beside[key]
        for key in [key for key, write in self._deletes.items() if self._is_gone(key, write)]:
            del self._deletes[key]

    def _is_there(self, key: str, write: _Write) -> bool:
        entry = self._replica.shelves.peek(key)
        return self._is_seen(write) or (entry is not None and entry.revision >= write.revision)

    def _may_come(self, key: str) -> bool:
        """Whether the copy has a key, or a put of ours that is on its way brings it."""
        return self._replica.shelves.peek(key) is not None or key in self._mine

    def _is_gone(self, key: str, write: _Write) -> bool:
        if self._is_seen(write):
            return True
        entry = self._replica.shelves.peek(key)
        if entry is not None:
            return entry.revision > write.revision  # another wrote it since
        read = self._inbox.completed >= write.begun or not self._inbox.reading
        return read and key not in self._mine

    def _is_seen(self, write: _Write) -> bool:
        # A later snapshot shows it.
        return self._replica.streamed >= write.revision or self._inbox.completed > write.begun
