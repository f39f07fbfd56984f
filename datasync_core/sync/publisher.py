"""Writing to a store, from hooks and from any thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from datasync_core.model.entries import Delete, Entry, Put
from datasync_core.model.errors import Conflict, HostError, StoreError, Unsupported, UsageError, said
from datasync_core.model.keys import check_key, shown
from datasync_core.model.owner import Owner
from datasync_core.model.runtime import Runtime
from datasync_core.spec.transport import Writer
from datasync_core.sync.store import Store


class StorePublisher:
    """One store's `spec.context.Publisher`: any thread may write, one at a time.

    A write returns when the store has it and raises when it has not; nothing waits here for a store to come back.
    In a forked child of the process that made it, it raises `HostError`: the connection is the parent's.
    """

    def __init__(self, store: Store, runtime: Runtime) -> None:
        self._store = store
        self._owner = Owner(f"the publisher of store {store.name}", "make a new Host", HostError)
        self._lock = runtime.lock()
        self._writer: Writer | None = None  # under the lock
        self._closed = False  # under the lock
        self.wrote: Callable[[Sequence[Put | Delete], int], None] | None = None
        """Told of each commit and its revision, by the thread that wrote."""
        self.peek: Callable[[str], Entry | None] | None = None
        """What this host has read of a key, for any thread; None: it reads nothing, and counts no revisions."""

    def put(
        self, key: str, value: bytes | str, *, ttl: float | None = None, expect: int | None = None
    ) -> int:
        """Write one key and return the revision; text is written as UTF-8. See `spec.context.Publisher`."""
        return self.commit(
            [Put(key, _encode(key, value), ttl)], expect=None if expect is None else {key: expect}
        )

    def delete(self, key: str, *, expect: int | None = None) -> int:
        """Remove one key and return the revision."""
        return self.commit([Delete(key)], expect=None if expect is None else {key: expect})

    def commit(self, ops: Sequence[Put | Delete], *, expect: Mapping[str, int] | None = None) -> int:
        """Do all operations or none and return the revision.

        Raises `UsageError` for what is no key, no value, or a key twice; a `StoreError` where the store has not
        taken it (`Unsupported`: it cannot; `Conflict`: an expectation did not hold); `HostError` in a forked child.
        """
        self._owner.check()
        self._check(ops, expect or {})
        expected = self._in_the_store(expect or {})
        with self._lock:
            if self._closed:
                raise StoreError(f"store {self._store.name} is closed: the host has stopped")
            try:
                if self._writer is None:
                    self._writer = self._store.writer()
                revision = self._writer.commit(ops, expect=expected)
            except (Conflict, Unsupported):
                raise  # an answer, not a failure: the writer is as good as before
            except BaseException as error:
                self._drop()
                if isinstance(error, StoreError) or not isinstance(error, Exception):
                    raise
                raise StoreError(f"store {self._store.name}: {said(error)}") from error
        if self.wrote is not None:
            self.wrote(ops, revision)
        return revision

    def close(self) -> None:
        """Let go of the store; later writes raise `StoreError`. Does nothing in a forked child."""
        if not self._owner.is_here:
            return
        with self._lock:
            self._closed = True
            self._drop()

    def _in_the_store(self, expect: Mapping[str, int]) -> Mapping[str, int]:
        """What is expected as the store knows it: revisions that this host counted stand for the values it has read."""
        if self.peek is None or not self._store.compares_values:
            return expect
        return {key: self._value_of(key, revision, self.peek(key)) for key, revision in expect.items()}

    def _value_of(self, key: str, revision: int, entry: Entry | None) -> int:
        if revision == 0:
            return 0
        if entry is None or entry.revision != revision:
            found = "is not there, or not watched here" if entry is None else f"has revision {entry.revision}"
            raise Conflict(f"{shown(key)} {found}, expected {revision} (store {self._store.name})")
        return self._store.transport.revision_of(entry.value)

    def _drop(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(Exception):  # what failed may fail to close; the first error is the one to tell
                writer.close()

    def _check(self, ops: Sequence[Put | Delete], expect: Mapping[str, int]) -> None:
        can = self._store.capabilities
        where = f"store {self._store.name}"
        if not ops:
            raise UsageError("there is nothing to write: give at least one Put or Delete")
        seen: set[str] = set()
        for op in ops:
            key = check_key(op.key)
            if key in seen:
                raise UsageError(f"key {key!r} is written twice in one transaction")
            seen.add(key)
            if can.key_bytes is not None and len(self._store.key(key).encode()) > can.key_bytes:
                raise Unsupported(
                    f"{where} takes keys of at most {can.key_bytes} bytes with their prefix; {key[:40]!r}… is longer"
                )
            if isinstance(op, Put):
                if not isinstance(op.value, bytes):
                    raise UsageError(f"the value of {key!r} is bytes, got {type(op.value).__name__}")
                if op.ttl is not None and not op.ttl > 0:
                    raise UsageError(f"ttl of {key!r} is a number of seconds above 0, got {op.ttl!r}")
                if op.ttl is not None and not can.expiry:
                    raise Unsupported(f"{where} has no time to live")
                if op.alive and not can.leases:
                    raise Unsupported(f"{where} has no leases to bind entries to the host's life")
        for key in expect:
            check_key(key)
        if expect and not can.compare:
            raise Unsupported(f"{where} cannot compare revisions (expect=)")
        if len(ops) > 1 and not can.transactions:
            raise Unsupported(f"{where} has no transactions: write one key at a time")


def _encode(key: str, value: bytes | str) -> bytes:
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError:
            raise UsageError(f"the value of {key!r} is no UTF-8 text; give bytes") from None
    if isinstance(value, bytes):
        return value
    raise UsageError(f"the value of {key!r} is bytes or text, got {type(value).__name__}")
