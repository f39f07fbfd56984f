"""The process that owns an object: what has connections, locks or threads must not be used in a forked child."""

from __future__ import annotations

import os

from datasync_core.model.errors import DatasyncError, UsageError


class Owner:
    """Remember the process that made an object. Immutable; any thread may ask, and no lock is taken.

    In a forked child the threads of the parent are gone, a lock that one of them had is never free again, and a
    connection is the parent's, too: each process may get the answers that the other waits for.
    """

    __slots__ = ("_advice", "_error", "_process", "_what")

    def __init__(
        self, what: str, advice: str = "make a new transport", error: type[DatasyncError] = UsageError
    ) -> None:
        """``what`` is made here; ``advice``: what a child does instead of using it, for the text of ``error``."""
        self._what = what
        self._advice = advice
        self._error = error
        self._process = os.getpid()

    @property
    def is_here(self) -> bool:
        """Return whether this is the process that made the object, and not a forked child of it."""
        return os.getpid() == self._process

    def check(self) -> None:
        """Raise the error in a forked child. Costs less than a microsecond."""
        if os.getpid() != self._process:
            raise self._error(
                f"{self._what} was made before this process was forked from its parent, and cannot be used here:"
                f" {self._advice} after the fork"
            )
