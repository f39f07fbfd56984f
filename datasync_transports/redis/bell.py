"""Waking a thread that waits for a socket."""

from __future__ import annotations

import os
import threading
from contextlib import suppress


class Bell:
    """A file descriptor that can be read once the bell was rung. Any thread may ring and close; one listens."""

    def __init__(self) -> None:
        self._lock = (
            threading.Lock()
        )  # nobody writes into what is closed, and belongs to somebody else by then
        self._closed = False
        self.ear, self._rope = os.pipe()
        os.set_blocking(self._rope, False)
        os.set_blocking(self.ear, False)

    def ring(self) -> None:
        """Let whoever listens go on."""
        with self._lock, suppress(BlockingIOError):  # it is full: it rings
            if not self._closed:
                os.write(self._rope, b"!")

    def hush(self) -> None:
        """Forget that it was rung."""
        with suppress(BlockingIOError):
            os.read(self.ear, 65536)

    def close(self) -> None:
        """Let go of it; nobody listens any more."""
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self.ear)
                os.close(self._rope)
