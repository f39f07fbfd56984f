"""What this host wrote and has not read back yet: until then its plugins are not settled.

A store that numbers its writes says up to which revision its stream has told all (`Subscription.revision`), and the
copy keeps that number (`Replica.told`): so a write was read when its revision was told, whatever has become of its key
since. Only where a store has come back with another history its revisions mean nothing: then a later snapshot shows
what is left of the write.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from datasync_core.model.entries import Delete, Put
from datasync_core.model.runtime import Runtime
from datasync_core.sync.inbox import Inbox
from datasync_core.sync.replica import Replica


class _Write(NamedTuple):
    begun: int
    """How many snapshots were begun when it was answered."""
    revision: int


class Expected:
    """The writes to one watched store that its replica does not show yet. Any thread may call it.

    Meaningful only where the store numbers its writes.
    """

    def __init__(self, inbox: Inbox, replica: Replica, runtime: Runtime) -> None:
        self._inbox = inbox
        self._replica = replica
        self._lock = runtime.lock()
        self._writes: list[_Write] = []
        """Under the lock. Of later ones only those with lower revisions, of another history: each stands for others."""

    def wrote(self, ops: Sequence[Put | Delete], revision: int) -> None:
        """These were committed at ``revision``."""
        if not any(self._replica.shelves.watches(op.key) for op in ops):
            return  # what nothing watches is not told
        with self._lock:
            write = _Write(self._inbox.begun, revision)
            writes = self._writes
            while writes and writes[-1].revision <= revision:
                writes.pop()
            if not writes or writes[-1].begun < write.begun:
                writes.append(write)

    def remembered(self) -> int:
        """How many writes are remembered: one stands for all before it that it makes needless."""
        with self._lock:
            return len(self._writes)

    def is_empty(self) -> bool:
        """Whether everything written is in the replica or waits in the inbox, or was overtaken there."""
        with self._lock:
            if self._writes:
                told, completed = self._replica.told, self._inbox.completed
                self._writes = [
                    write for write in self._writes if told < write.revision and completed <= write.begun
                ]
            return not self._writes
