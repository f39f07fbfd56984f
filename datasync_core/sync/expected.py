"""What this host wrote and has not read back yet: until then its plugins are not settled.

A stream tells writes in order, so of all puts the newest stands for the rest. A snapshot shows what was written before
it began; of what is written while it is read it may show some and not the rest, so each of these keys is waited for.
A delete is remembered by its key: it is only waited for where the copy has that key, because a store says nothing of
a key that was not there.
"""

from __future__ import annotations

from collections.abc import Sequence

from datasync_core.model.entries import Delete, Put
from datasync_core.model.runtime import Runtime
from datasync_core.sync.inbox import Inbox
from datasync_core.sync.replica import Replica

_MANY = 1000  # keys that may be remembered before those that were seen are looked for


def _begun(write: tuple[int, int]) -> tuple[int, int]:
    revision, begun = write  # a store that came back with another history begins with lower revisions
    return begun, revision


class Expected:
    """The writes to one watched store that its replica does not show yet. Any thread may call it.

    Meaningful only where the store numbers its writes.
    """

    def __init__(self, inbox: Inbox, replica: Replica, runtime: Runtime) -> None:
        self._inbox = inbox
        self._replica = replica
        self._lock = runtime.lock()
        self._put: tuple[int, int] | None = (
            None  # revision and snapshots begun; under the lock, like all below
        )
        self._beside: dict[str, tuple[int, int]] = {}  # puts while a snapshot was read
        self._deletes: dict[str, tuple[int, int]] = {}
        self._mine: dict[str, None] = {}  # the keys of the latest puts, while the newest is not read back
        self._look_at = _MANY

    def wrote(self, ops: Sequence[Put | Delete], revision: int) -> None:
        """These were committed at ``revision``."""
        replica = self._replica
        reading = self._inbox.reading
        write = (revision, self._inbox.begun if reading else self._inbox.completed)
        with self._lock:
            for op in ops:
                if not replica.shelves.watches(op.key):
                    continue  # what nothing watches never comes back
                if isinstance(op, Delete):
                    if reading or self._may_come(op.key):
                        self._deletes[op.key] = write
                elif reading:
                    self._beside[op.key] = write
                else:
                    self._put = write if self._put is None else max(self._put, write, key=_begun)
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

    def _forget_seen(self) -> None:
        if self._put is not None and self._is_seen(*self._put):
            self._put = None
            self._mine.clear()
        for key in [key for key, write in self._beside.items() if self._is_there(key, *write)]:
            del self._beside[key]
        for key in [key for key, write in self._deletes.items() if self._is_gone(key, *write)]:
            del self._deletes[key]

    def _is_there(self, key: str, revision: int, begun: int) -> bool:
        entry = self._replica.shelves.peek(key)
        return self._is_seen(revision, begun) or (entry is not None and entry.revision >= revision)

    def _may_come(self, key: str) -> bool:
        """Whether the copy has a key, or a put of ours that is on its way brings it."""
        return self._replica.shelves.peek(key) is not None or key in self._mine

    def _is_gone(self, key: str, revision: int, begun: int) -> bool:
        read = self._inbox.completed >= begun or not self._inbox.reading
        shown = read and not self._may_come(key)
        return shown or self._is_seen(revision, begun)

    def _is_seen(self, revision: int, begun: int) -> bool:
        return (
            self._replica.streamed >= revision or self._inbox.completed > begun
        )  # a later snapshot shows it
