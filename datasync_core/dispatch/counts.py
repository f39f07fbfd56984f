"""What survives the host: how many keys each plugin had applied, for the brake of its next life.

A file of JSON, replaced as a whole. It is written after a round that called a hook, at most every few seconds, and at
the stop; a host that is killed leaves counts that are a few seconds old, which is near enough for a brake.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from datasync_core.model.runtime import Runtime, Thread

log = logging.getLogger("datasync")

PAUSE = 5.0
"""Seconds between two writes."""


PATIENCE = 5.0
"""Seconds that a stop waits for the last write, at most."""


class Counts:
    """The counts in their file. `load` and `finish` are the host's owner's, the rest is the dispatcher's.

    A thread of their own writes them: a write to a dead file system does not return, and delivery goes on.
    """

    def __init__(self, file: Path, runtime: Runtime) -> None:
        self._file = file
        self._runtime = runtime
        self._next = 0.0  # when the next write may be
        self._stale = False
        self._failed = False  # the thread's
        self._ready = runtime.doorbell()
        self._thread: Thread | None = None
        self._lock = runtime.lock()  # guards what follows
        self._saved: dict[str, int] = {}
        self._newest: dict[str, int] | None = None  # to be written, or being written
        self._finishing = False
        self._given_up = False

    def load(self) -> Mapping[str, int]:
        """Return the counts of the previous run, empty where there was none, and begin to write those that are saved.

        To be called once, before the first round.
        """
        try:
            self._saved = msgspec.json.decode(self._file.read_bytes(), type=dict[str, int])
        except FileNotFoundError:
            self._saved = {}
        except (OSError, msgspec.MsgspecError) as error:
            log.warning(
                "%s cannot be read (%s): the brake does not know what was applied before", self._file, error
            )
            self._saved = {}
        self._thread = self._runtime.start(self._run, "datasync-counts")
        return dict(self._saved)

    def finish(self, timeout: float | None) -> None:
        """Write what is left and end the thread, within ``timeout`` and `PATIENCE` seconds; else log what is lost."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        with self._lock:
            self._finishing = True
        self._ready.ring()
        patience = PATIENCE if timeout is None else min(timeout, PATIENCE)
        thread.join(patience)
        with self._lock:
            self._given_up = thread.is_alive()
        if self._given_up:
            log.warning(
                "%s was not written within %g s: after a restart the brake knows older counts",
                self._file,
                patience,
            )

    def touch(self) -> None:
        """The counts may have changed."""
        self._stale = True

    def deadline(self) -> float | None:
        """When to save, on the monotonic clock; None where nothing changed."""
        return self._next if self._stale else None

    def save(self, counts: Mapping[str, int], now: float) -> None:
        """Have the counts written, where they changed; those of plugins that are not among them stay. Never waits."""
        self._stale = False
        self._next = now + PAUSE
        with self._lock:
            merged = {**self._saved, **counts}
            if merged == (self._saved if self._newest is None else self._newest):
                return
            self._newest = merged
        self._ready.ring()

    def _run(self) -> None:
        while True:
            with self._lock:
                newest, finishing = self._newest, self._finishing
            if newest is not None:
                self._write(newest)
            elif finishing:
                return
            else:
                self._ready.wait()

    def _write(self, counts: dict[str, int]) -> None:
        error = None
        try:
            self._replace(msgspec.json.encode(counts))
        except OSError as raised:
            error = raised
        with self._lock:
            if self._newest is counts:
                self._newest = None
            if error is None:
                self._saved = counts
        if error is not None and not self._failed:  # once is enough: it is tried again with each change
            log.warning(
                "%s cannot be written (%s): after a restart the brake knows older counts", self._file, error
            )
        self._failed = error is not None

    def _replace(self, content: bytes) -> None:
        fresh = self._file.with_name(self._file.name + ".new")
        with fresh.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        with self._lock:
            given_up = self._given_up
        if not given_up:  # else another host may have the folder, and have written newer ones
            fresh.replace(self._file)
