"""Waiting for a directory to change, and handing on what did."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from datasync_core.transport import Batch, ConnectionLost, Entry, StoreError, Subscription
from datasync_transports.file.events import FileEvents, listen
from datasync_transports.file.mirror import Linked, Look, Mirror
from datasync_transports.file.tree import Paths

_CHUNK = 1000
_QUIET = 0.05
"""Seconds without a change after which a directory counts as quiet."""
_UNHEARD = 2.0
"""Seconds after which a change is seen that no event told of: behind a link to elsewhere, or on another machine."""


class FileSubscription(Subscription):
    """A mirror of the directory. One thread uses it; `wake` and `close` are for any."""

    def __init__(
        self,
        root: Path,
        paths: Sequence[str],
        *,
        interval: float,
        watch: bool,
        max_document: int,
        liveness: float,
        linked: Linked,
    ) -> None:
        self._root = root
        self._paths = Paths(paths)
        self._interval = interval
        self._watch = watch
        self._max_document = max_document
        self._liveness = liveness
        self._linked = linked
        self._bell = threading.Event()
        self._woken = False
        self._closed = False
        self._lock = threading.Lock()  # of _events: who closes them, and that none are made afterwards
        self._events: FileEvents | None = None
        self._mirror: Mirror | None = None
        self._look: Look | None = None  # begun, and not done when somebody called

    def snapshot(self) -> Iterator[Sequence[Entry]]:
        self._mirror = None
        self._look = None
        mirror = Mirror(
            self._root,
            self._paths,
            self._pause,
            max_document=self._max_document,
            liveness=self._liveness,
            linked=self._linked,
        )
        self._listen()
        look = mirror.look(hurry=True)
        found: Batch | None = None
        while True:
            try:
                next(look)
            except StopIteration as done:
                found = done.value
                break
            self._check()
            if self._bell.is_set():
                self._bell.clear()
                yield []  # who called may want the reader to stop
        entries = [entry for entry in found.changes if isinstance(entry, Entry)] if found else []
        for start in range(0, len(entries), _CHUNK):
            self._check()
            yield entries[start : start + _CHUNK]
        self._check()
        self._mirror = mirror

    def poll(self, timeout: float) -> Batch | None:
        deadline = time.monotonic() + timeout
        while True:
            self._bell.clear()
            self._check()
            if self._mirror is None:
                raise StoreError(f"{self._root}: poll comes after a snapshot")
            continued = self._look is not None
            batch = self._looked(self._mirror)
            self._check()
            remaining = deadline - time.monotonic()
            if batch is not None or self._woken or remaining <= 0:
                self._woken = False
                return batch
            if continued:
                continue  # it began before what woke this wait
            if self._events is None:
                self._bell.wait(min(remaining, self._interval))
            else:
                self._events.wait(min(remaining, _UNHEARD))

    def wake(self) -> None:
        self._woken = True
        self._bell.set()

    def close(self) -> None:
        self._closed = True
        self._bell.set()
        with self._lock:
            if self._events is not None:
                self._events.close()

    def _check(self) -> None:
        if self._closed:
            raise ConnectionLost(f"{self._root}: the subscription was closed")

    def _looked(self, mirror: Mirror) -> Batch | None:
        """What a look found; where somebody calls it is left where it is, and the next poll goes on with it."""
        look = self._look or mirror.look()
        self._look = None
        while True:
            try:
                next(look)
            except StopIteration as done:
                found: Batch | None = done.value
                return found
            if self._woken or self._closed:
                self._look = look
                return None

    def _pause(self) -> bool:
        rung = self._bell.wait(_QUIET)
        self._check()
        return not rung or self._mirror is None  # a snapshot is read to its end, whoever calls

    def _listen(self) -> None:
        with self._lock:
            self._check()
            if self._watch:
                if self._events is not None:
                    self._events.close()
                self._events = listen(self._root, self._bell)
