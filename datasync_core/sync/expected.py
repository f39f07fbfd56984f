"""What this host wrote and has not read back yet: until then its plugins are not settled.

A store tells its writes in order, so of all puts the newest stands for the rest. A delete is remembered by its key: it
is only waited for where the copy has that key, because a store says nothing of a key that was not there.
"""

from __future__ import annotations

from collections.abc import Sequence

from datasync_core.model.entries import Delete, Put
from datasync_core.model.runtime import Runtime
from datasync_core.sync.inbox import Inbox
from datasync_core.sync.replica import Replica

_MANY = 1000  # deletes that may be remembered before those that were seen are looked for


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
        self._deletes: dict[str, tuple[int, int]] = {}
        self._look_at = _MANY

    def wrote(self, ops: Sequence[Put | Delete], revision: int) -> None:
        """These were committed at ``revision``."""
        shelves = self._replica.shelves
        write = (revision, self._inbox.begun)
        with self._lock:
            for op in ops:
                if isinstance(op, Delete):
                    if shelves.peek(op.key) is not None:
                        self._deletes[op.key] = write
                elif shelves.watches(op.key):  # what nothing watches never comes back
                    self._put = write if self._put is None else max(self._put, write)
            if len(self._deletes) > self._look_at:
                self._forget_seen()
                self._look_at = max(_MANY, 2 * len(self._deletes))

    def is_empty(self) -> bool:
        """Whether everything written is in the replica, or was overtaken there."""
        with self._lock:
            self._forget_seen()
            return self._put is None and not self._deletes

    def _forget_seen(self) -> None:
        if self._put is not None and self._is_seen(*self._put):
            self._put = None
        peek = self._replica.shelves.peek
        for key in [
            key for key, write in self._deletes.items() if self._is_seen(*write) or peek(key) is None
        ]:
            del self._deletes[key]

    def _is_seen(self, revision: int, begun: int) -> bool:
        return (
            self._replica.revision >= revision or self._inbox.completed > begun
        )  # a later snapshot shows it
