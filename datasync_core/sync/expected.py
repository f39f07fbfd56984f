"""What this host wrote and has not read back yet: until then its plugins are not settled."""

from __future__ import annotations

from collections.abc import Sequence

from datasync_core.model.entries import Delete, Put
from datasync_core.model.runtime import Runtime
from datasync_core.sync.inbox import Inbox
from datasync_core.sync.replica import Replica

_MANY = 1000  # how many keys may be remembered before those that were seen are looked for


class Expected:
    """The writes to one watched store that its replica does not show yet. Any thread may call it.

    Meaningful only where the store numbers its writes.
    """

    def __init__(self, inbox: Inbox, replica: Replica, runtime: Runtime) -> None:
        self._inbox = inbox
        self._replica = replica
        self._lock = runtime.lock()
        self._writes: dict[
            str, tuple[int, bool, int]
        ] = {}  # revision, whether a put, snapshots begun; under the lock

    def wrote(self, ops: Sequence[Put | Delete], revision: int) -> None:
        """These were committed at ``revision``."""
        watches = self._replica.shelves.watches
        begun = self._inbox.begun
        with self._lock:
            for op in ops:
                if watches(op.key):  # what nothing watches never comes back
                    self._writes[op.key] = (revision, isinstance(op, Put), begun)
            if len(self._writes) > _MANY:
                self._forget_seen()

    def is_empty(self) -> bool:
        """Whether everything written is in the replica, or was overtaken there."""
        with self._lock:
            self._forget_seen()
            return not self._writes

    def _forget_seen(self) -> None:
        for key in [key for key in self._writes if self._is_seen(key)]:
            del self._writes[key]

    def _is_seen(self, key: str) -> bool:
        revision, put, begun = self._writes[key]
        if (
            self._replica.revision >= revision or self._inbox.completed > begun
        ):  # a later snapshot shows it, too
            return True
        entry = self._replica.shelves.peek(key)
        return not put if entry is None else entry.revision >= revision
