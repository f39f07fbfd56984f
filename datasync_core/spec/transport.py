"""What a transport implements: how one kind of store is reached, and nothing more.

The host owns prefix and separator, reconnecting, backoff, the choice of snapshot or resume, diffing, coalescing,
decoding and ordering. The rules for a transport:

1. No hidden reconnect: any loss of continuity is an exception out of `poll` or `snapshot`.
2. Arm before reading, or read at a revision and stream from the next.
3. Prove liveness: a frozen server is noticed within ``liveness`` seconds by a heartbeat that the store answers.
4. Check the epoch on resume; a mismatch is `CursorExpired`.
5. A flush or truncate is ``Batch(cleared=True)``; a root that vanished is `ConnectionLost`, not deletes.
6. Batch every round trip: never one request per changed key.
7. Errors are the SPI's, chained to the library's own, and they name the store, never its password.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from datasync_core.model.entries import Batch, Capabilities, Cursor, Delete, Entry, Put
from datasync_core.model.errors import CursorExpired, Unsupported
from datasync_core.model.url import Url


class Subscription(ABC):
    """One unbroken view of the watched keys, from `snapshot` or `resume` on. Never reconnects.

    Owned by one thread; only `wake` and `close` may be called by others.
    """

    @abstractmethod
    def snapshot(self) -> Iterator[Sequence[Entry]]:
        """Arm the watch, then read everything under the paths, in chunks (a thousand entries each serve well).

        A key may come twice; the later one counts. A chunk may be empty: between any two the reader may stop.
        Raises `ConnectionLost` or another `StoreError`.
        """

    def resume(self, cursor: Cursor) -> None:
        """Go on after ``cursor`` instead of reading a snapshot. Raises `CursorExpired` where that has a gap."""
        raise CursorExpired("this store cannot resume; read a snapshot")

    @abstractmethod
    def poll(self, timeout: float) -> Batch | None:
        """Wait up to ``timeout`` seconds for what changed next; None where nothing did, or after `wake`.

        None also, at once, where nothing under the paths changed and yet `revision` grew.

        Raises `ConnectionLost` where continuity cannot be proven.
        """

    @property
    def cursor(self) -> Cursor | None:
        """Where to resume after the last batch (or the snapshot); None where the store cannot."""
        return None

    @property
    def revision(self) -> int:
        """Up to which revision all was told, by the snapshot and the batches since. Read after each.

        To be given by a store that declares ``revisions``: by it a host knows that what it wrote was read, also where
        another has changed it since. It may lag behind the newest entry that was told, and must not run ahead.
        """
        return 0

    @abstractmethod
    def wake(self) -> None:
        """Make a running `poll` return soon, or else the next one. Any thread, at any time."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the store. Any thread, any number of times, also before anything was opened."""


class Writer(ABC):
    """Writes to the store. Called from one thread at a time, not always the same one. Opens when first used."""

    @abstractmethod
    def commit(self, ops: Sequence[Put | Delete], *, expect: Mapping[str, int] = {}) -> int:
        """Do all operations, in one transaction where the store has them; return the revision (0: none).

        ``expect``: revisions that keys must have (0: must not exist), else `Conflict`; of a store that numbers no
        writes what `Transport.revision_of` says of their values.
        Raises `Unsupported` for what the capabilities do not declare.
        """

    def close(self) -> None:  # noqa: B027 - nothing to let go of is a fair default
        """Let go of the store. Any thread, any number of times."""


class Transport(ABC):
    """Reaches one kind of store. Cheap to create: opens nothing until used. Any thread may call it.

    Options of the URL's query and of the configuration are given to ``__init__`` by keyword, converted by
    their annotations.
    """

    capabilities: ClassVar[Capabilities] = Capabilities()
    liveness: float = 10.0
    """Seconds within which a store that stopped answering is noticed; set by the host from the option."""

    def __init__(self, url: Url) -> None:
        self.url = url

    @abstractmethod
    def subscribe(self, paths: Sequence[str]) -> Subscription:
        """A new subscription to these paths (a subtree where it ends in ``/``, ``""`` all, else one key)."""

    def writer(self) -> Writer:
        """A new writer. Raises `Unsupported` where the store is read-only."""
        raise Unsupported(f"{self.url} is read-only")

    def revision_of(self, value: bytes) -> int:
        """What stands for a value in ``expect``, of a store that compares values as it numbers no writes; never 0.

        Only where the capabilities declare ``compare`` and no ``revisions``.
        """
        raise Unsupported(f"{self.url} compares no values")

    def close(self) -> None:  # noqa: B027 - nothing to let go of is a fair default
        """Let go of what subscriptions and writers share. Any number of times."""
