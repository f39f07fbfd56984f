"""The lines that wait to be written to standard error: a bounded backlog, and one thread that writes it.

A write to a pipe that is not read, or to a terminal that is stopped, does not return. So whoever logs only leaves its
line here, and the thread alone waits. Where the backlog is full, lines are dropped and counted, until half of it is
written; the next line follows a notice of how many are missing. Order is kept.

The descriptor is written without the stream's own buffer, whose lock a blocked write would keep for ever.
"""

from __future__ import annotations

import os
import select
from collections import deque
from collections.abc import Callable

from datasync_core.model.runtime import Runtime, Thread

MOST_LINES = 10_000
MOST_BYTES = 1 << 20
LOOK = 0.05
"""Seconds between looks of `Backlog.drain`: one ring is heard by one of those who wait."""


class Backlog:
    """Lines on their way to one descriptor. Calls of `put` and `announce` exclude each other (a handler's lock)."""

    def __init__(self, descriptor: int | None, runtime: Runtime, notice: Callable[[int], bytes]) -> None:
        """``notice`` makes the line that tells of a number of dropped ones. None takes lines nowhere."""
        self._descriptor = descriptor
        self._runtime = runtime
        self._notice = notice
        self._lines: deque[bytes] = deque()
        self._ready = runtime.doorbell()
        self._done = runtime.doorbell()
        self._thread: Thread | None = None  # from the first line on: a plugin may fork while it is imported
        self._is_direct = False  # in a forked child, which has no such thread
        # Each number has one writer, so none needs a lock, which a fork might find taken.
        self._put = self._put_bytes = self._dropped = 0  # of whoever puts
        self._written = self._written_bytes = 0  # of the thread

    def put(self, line: bytes) -> None:
        """Leave a line to be written, or drop it where the backlog is full. Never waits, but in a forked child."""
        if self._descriptor is None:
            return
        if self._is_direct:
            self._write(line)
            return
        waiting, size = self._put - self._written, self._put_bytes - self._written_bytes
        fits = not waiting or (waiting < MOST_LINES and size + len(line) <= MOST_BYTES)
        if not fits or (self._dropped and (waiting > MOST_LINES // 2 or size > MOST_BYTES // 2)):
            self._dropped += 1
            return
        self.announce()
        self._append(line)

    def announce(self) -> None:
        """Leave the notice of dropped lines, where there are some. Never waits."""
        if self._dropped:
            notice, self._dropped = self._notice(self._dropped), 0
            self._append(notice)

    def drain(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds until all that was put before is written; whether it was. Any thread."""
        target, end = self._put, self._runtime.monotonic() + timeout
        while self._written < target and not self._is_direct:
            left = end - self._runtime.monotonic()
            if left <= 0:
                return False
            self._done.wait(min(left, LOOK))
        return True

    def forget(self) -> None:
        """Write in the calling thread from now on: in a forked child, whose parent writes what waits here."""
        self._is_direct = True
        self._lines = deque()

    def _append(self, line: bytes) -> None:
        if self._thread is None:
            try:
                self._thread = self._runtime.start(self._run, "datasync-log")
            except RuntimeError:  # no thread can be begun any more: the process ends
                self._write(line)
                return
        self._lines.append(line)
        self._put += 1
        self._put_bytes += len(line)
        self._ready.ring()

    def _run(self) -> None:
        while True:
            self._ready.wait()
            while self._lines:
                line = self._lines.popleft()
                self._write(line)
                self._written_bytes += len(line)
                self._written += 1
            self._done.ring()

    def _write(self, line: bytes) -> None:
        assert self._descriptor is not None
        left = memoryview(line)
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:  # another process that has it made it so
                select.select([], [self._descriptor], [], 1.0)
            except OSError:  # closed, or its reader is gone: the host goes on
                return
