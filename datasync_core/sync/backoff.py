"""How long to wait before the next attempt: exponential, with jitter, bounded."""

from __future__ import annotations

from collections.abc import Callable


class Backoff:
    """Delays that double from ``first`` up to ``most`` seconds, each shortened by up to half at random.

    The jitter keeps a hundred agents from coming back to a restarted store in the same instant.
    Owned by one thread.
    """

    __slots__ = ("_first", "_random", "attempts", "most")

    def __init__(self, first: float, most: float, random: Callable[[], float]) -> None:
        self._first = first
        self.most = most
        self._random = random
        self.attempts = 0

    def next(self) -> float:
        """Seconds to wait before the next attempt; one more failure is counted."""
        bare = min(self.most, self._first * 2.0 ** min(self.attempts, 62))
        self.attempts += 1
        return bare * (1.0 - self._random() / 2.0)

    def reset(self) -> None:
        """Something succeeded: the next failure waits ``first`` again."""
        self.attempts = 0
