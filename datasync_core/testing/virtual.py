"""A runtime in which a seed decides everything: who runs next, what the clock says, what is drawn.

Each thread of the core is a real one, but only one of all runs at any time: whoever comes to a lock, a doorbell or
the end of a wait hands over, and the seed picks who goes on. Where nobody can, the clock jumps to the next
deadline. So a test drives reflectors and dispatcher through thousands of interleavings in no real time, and the
same seed makes the same history. (The idea is FoundationDB's simulation.)
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Deadlock(AssertionError):
    """Nobody can go on, and no deadline will ever change that."""


class _End(BaseException):
    """Unwinds a thread whose runtime was closed."""


class VirtualRuntime:
    """A `model.runtime.Runtime` on one seed. The thread that made it steers; it may call whatever the others may.

    Use it as a context manager, or call `close`: it ends every thread that was started and not yet ended.
    """

    def __init__(self, seed: int = 0, *, epoch: float = 1_700_000_000.0) -> None:
        self._seed = random.Random(seed)
        self._now = 0.0
        self._epoch = epoch
        self._threads: list[_Thread] = []
        self._current: _Thread | None = None
        self._back = threading.Semaphore(0)  # the running thread hands over to who steers
        self._closed = False

    # The runtime

    def monotonic(self) -> float:
        """Seconds since this runtime began."""
        return self._now

    def time(self) -> float:
        """Seconds since the Unix epoch, as if the runtime began at ``epoch``."""
        return self._epoch + self._now

    def random(self) -> float:
        """The seed's next number."""
        return self._seed.random()

    def lock(self) -> _Lock:
        """A lock at which threads change."""
        return _Lock(self)

    def doorbell(self) -> _Doorbell:
        """A doorbell at which threads change."""
        return _Doorbell(self)

    def start(self, target: Callable[[], None], name: str) -> _Thread:
        """A thread that runs when the seed says so."""
        thread = _Thread(self, target, name)
        self._threads.append(thread)
        return thread

    # For whoever steers

    def step(self) -> bool:
        """Let one thread run to its next hand-over; where none can, let time pass. False where nothing is left."""
        able = [thread for thread in self._threads if thread.can_run(self._now)]
        if not able:
            deadlines = [thread.deadline for thread in self._threads if thread.deadline is not None]
            if not deadlines:
                return False
            self._now = max(self._now, min(deadlines))
            return True
        self._run(able[0] if len(able) == 1 else self._seed.choice(able))
        return True

    def run(self, seconds: float) -> None:
        """Let ``seconds`` of virtual time pass, and all that happens in them."""
        end = self._now + seconds
        while True:
            if self._is_idle(end):
                self._now = end
                return
            self.step()

    def until(self, condition: Callable[[], bool], seconds: float = 3600.0) -> None:
        """Run until ``condition``; raises `Deadlock` where that cannot come, or not in ``seconds`` of virtual time."""
        end = self._now + seconds
        while not condition():
            if self._now > end or not self.step():
                raise Deadlock(f"it did not come to that by {self._now:g} s; threads: {self._threads}")

    def pause(self) -> None:
        """A point at which threads may change: for stores and plugins of a simulation."""
        self.block(lambda: True, None)

    def block(self, ready: Callable[[], bool], timeout: float | None) -> bool:
        """Wait until ``ready`` or for ``timeout`` virtual seconds; what ``ready`` says then."""
        deadline = None if timeout is None else self._now + max(timeout, 0.0)
        thread = self._current
        if thread is None:  # whoever steers: let the others run
            while not ready():
                if deadline is not None and self._is_idle(deadline):
                    self._now = max(self._now, deadline)
                    return ready()
                if not self.step():
                    raise Deadlock(f"nobody can go on; threads: {self._threads}")
            return True
        thread.ready, thread.deadline = ready, deadline
        self._back.release()
        thread.turn.acquire()
        thread.ready = thread.deadline = None
        if self._closed:
            raise _End
        return ready()

    def close(self) -> None:
        """End every thread."""
        self._closed = True
        while self._threads:  # each leaves when it has ended, and may start another until then
            self._run(self._threads[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _is_idle(self, end: float) -> bool:
        """Whether nobody can go on before a moment."""
        if any(thread.can_run(self._now) for thread in self._threads):
            return self._now > end
        deadlines = [thread.deadline for thread in self._threads if thread.deadline is not None]
        return min(deadlines, default=end) >= end

    def _run(self, thread: _Thread) -> None:
        self._current = thread
        thread.turn.release()
        self._back.acquire()
        self._current = None
        if not thread.is_alive():
            self._threads.remove(thread)
            thread.real.join()


class _Thread:
    """A real thread that runs only in its turn."""

    def __init__(self, runtime: VirtualRuntime, target: Callable[[], None], name: str) -> None:
        self.name = name
        self.turn = threading.Semaphore(0)
        self.ready: Callable[[], bool] | None = None
        self.deadline: float | None = None
        self._runtime = runtime
        self._target = target
        self._alive = True
        self.real = threading.Thread(target=self._main, name=name, daemon=True)
        self.real.start()

    def can_run(self, now: float) -> bool:
        """Whether it has something to go on with."""
        return self.ready is None or self.ready() or (self.deadline is not None and self.deadline <= now)

    def join(self, timeout: float | None = None) -> None:
        self._runtime.block(lambda: not self._alive, timeout)

    def is_alive(self) -> bool:
        return self._alive

    def is_current(self) -> bool:
        return self._runtime._current is self

    def __repr__(self) -> str:
        return f"<{self.name}: {'waits' if self.ready is not None else 'runs'}>"

    def _main(self) -> None:
        self.turn.acquire()
        try:
            if not self._runtime._closed:
                self._target()
        except _End:
            pass
        finally:
            self._alive = False
            self._runtime._back.release()


class _Lock:
    def __init__(self, runtime: VirtualRuntime) -> None:
        self._runtime = runtime
        self._held = False

    def __enter__(self) -> None:
        self._runtime.block(lambda: not self._held, None)
        self._held = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        self._held = False


class _Doorbell:
    def __init__(self, runtime: VirtualRuntime) -> None:
        self._runtime = runtime
        self._rung = False

    def ring(self) -> None:
        self._rung = True

    def wait(self, timeout: float | None = None) -> bool:
        heard = self._runtime.block(lambda: self._rung, timeout)
        self._rung = False
        return heard
