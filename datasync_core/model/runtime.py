"""Time, threads and chance, as one object that is passed in.

Everything in the core that waits, locks, starts a thread, reads a clock or draws a number does it through a
`Runtime`, so that a simulation can decide every step (`datasync_core.testing.virtual`).
"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol


class Lock(Protocol):
    """Mutual exclusion, as a context manager; not reentrant."""

    def __enter__(self) -> Any: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


class Doorbell(Protocol):
    """Wakes one waiting thread. Rings are kept until they are heard; several may be heard as one."""

    def ring(self) -> None:
        """Wake the thread that waits, or the next that will. Any thread; safe in a signal handler."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds (``None``: for ever) for a ring; whether there was one."""


class Thread(Protocol):
    """A thread that was started."""

    def join(self, timeout: float | None = None) -> None:
        """Wait up to ``timeout`` seconds for its end."""

    def is_alive(self) -> bool:
        """Whether it still runs."""

    def is_current(self) -> bool:
        """Whether the caller runs on it."""


class Runtime(Protocol):
    """The one source of time, threads, locks and randomness."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""

    def time(self) -> float:
        """Seconds since the Unix epoch, for people."""

    def random(self) -> float:
        """A number from 0 up to, not including, 1."""

    def lock(self) -> Lock:
        """A new lock."""

    def doorbell(self) -> Doorbell:
        """A new doorbell."""

    def start(self, target: Callable[[], None], name: str) -> Thread:
        """Run ``target`` on a new daemon thread of that name."""


class _QueueDoorbell:
    """A doorbell on ``SimpleQueue``, whose ``put`` is reentrant and ten times faster than ``threading.Event``.

    A ring that nobody heard yet serves for the next, too, so unheard rings take no memory: whoever hears it looks
    only afterwards at what it was rung for.
    """

    __slots__ = ("_rings",)

    def __init__(self) -> None:
        self._rings: queue.SimpleQueue[None] = queue.SimpleQueue()

    def ring(self) -> None:
        if self._rings.empty():
            self._rings.put(None)

    def wait(self, timeout: float | None = None) -> bool:
        rings = self._rings
        try:
            rings.get(timeout=None if timeout is None else min(max(timeout, 0.0), threading.TIMEOUT_MAX))
        except queue.Empty:
            return False
        return True


class _RealThread(threading.Thread):
    def is_current(self) -> bool:
        return threading.current_thread() is self


class RealRuntime:
    """The runtime of a host outside a simulation: the machine's clock and threads."""

    def __init__(self) -> None:
        self._random = random.Random()

    def monotonic(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return time.time()

    def random(self) -> float:
        return self._random.random()

    def lock(self) -> Lock:
        return threading.Lock()

    def doorbell(self) -> Doorbell:
        return _QueueDoorbell()

    def start(self, target: Callable[[], None], name: str) -> Thread:
        thread = _RealThread(target=target, name=name, daemon=True)
        thread.start()
        return thread
