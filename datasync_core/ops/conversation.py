"""One client of the control socket: its line in, the answer out, never waiting."""

from __future__ import annotations

import socket
from collections.abc import Callable
from selectors import EVENT_READ, EVENT_WRITE

LONGEST = 1 << 16
"""Bytes that a request may have."""


class Conversation:
    """Goes on whenever the client can be read or written; owned by the thread that serves the socket."""

    def __init__(self, client: socket.socket, answer: Callable[[bytes], bytes], deadline: float) -> None:
        """``answer`` makes the answer to a request; it must all be over at ``deadline``."""
        client.setblocking(False)
        self.client = client
        self.deadline = deadline
        self.waits_for = EVENT_READ
        """What it waits for, as selectors name it; 0 where it is over."""
        self._answer = answer
        self._request = bytearray()
        self._left = memoryview(b"")

    def is_over(self, now: float) -> bool:
        """Whether all is said, or the time is up."""
        return not self.waits_for or self.deadline <= now

    def go_on(self) -> None:
        """Read or write what can be."""
        try:
            if self.waits_for == EVENT_READ and not self._is_asked():
                return
            self._left = self._left[self.client.send(self._left) :]
            self.waits_for = EVENT_WRITE if self._left else 0
        except BlockingIOError:
            pass
        except OSError:  # the client went away
            self.waits_for = 0

    def _is_asked(self) -> bool:
        part = self.client.recv(1 << 16)
        self._request += part
        if part and b"\n" not in part and len(self._request) <= LONGEST:
            return False
        self.waits_for, self._left = EVENT_WRITE, memoryview(self._answer(bytes(self._request)))
        return True
