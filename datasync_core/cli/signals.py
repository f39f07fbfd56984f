"""Signals: they ask a running host to stop; a second one ends the process at once.

This module imports nothing of others: `guard` comes before all else, so that there is no moment in which Ctrl-C ends
a command with a traceback, or in which the first process of a container, for which the kernel has no default action,
ignores a signal.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, NoReturn, Self

if TYPE_CHECKING:
    from datasync_core.model.runtime import Doorbell

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_ONE = 0.1
"""Seconds within which signals are one: timeout(1) sends its own to the process and to its group."""


def guard() -> None:
    """Let Ctrl-C end the process at once, and in the first process of a container SIGTERM and SIGHUP, too.

    What is ignored stays ignored. The main thread calls it before anything of others is imported.
    """
    numbers = _SIGNALS if os.getpid() == 1 else (signal.SIGINT,)
    for number in numbers:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _end)


@contextmanager
def interruptible() -> Iterator[None]:
    """Within it Ctrl-C raises KeyboardInterrupt, so that a command can put away what it holds."""
    guarded = signal.getsignal(signal.SIGINT) is _end
    try:
        if guarded:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        yield
    finally:
        if guarded:
            signal.signal(signal.SIGINT, _end)


def _end(number: int, _: FrameType | None = None) -> NoReturn:
    os._exit(128 + number)


class StopSignals:
    """Rings ``bell`` at the first signal, ends the process at the second. The main thread enters and leaves it.

    SIGHUP counts unless it was ignored (nohup). Until `begin` the first signal raises KeyboardInterrupt: nothing has to
    be stopped yet, and an import may take long.
    """

    def __init__(self, bell: Doorbell) -> None:
        self._bell = bell
        self._before: dict[signal.Signals, object] = {}
        self._blocked: set[signal.Signals] = set()
        self._first = 0.0
        self._begun = False
        self.received: str | None = None
        """The name of the signal that came."""

    def __enter__(self) -> Self:
        self._blocked = {
            signal.Signals(number)
            for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())
            if number in _SIGNALS
        }
        for number in _SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._heard)
        return self

    def begin(self) -> list[str]:
        """From now on the first signal only rings; returns the signals that an import had replaced or blocked.

        They are put back: a host that does not hear SIGTERM can only be killed.
        """
        self._begun = True
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        changed = []
        for number in self._before:
            hidden = number in blocked and number not in self._blocked
            if hidden or signal.getsignal(number) != self._heard:
                signal.signal(number, self._heard)
                changed.append(number.name)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, set(self._before) - self._blocked)
        return changed

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)  # type: ignore[arg-type]

    def _heard(self, number: int, _: FrameType | None) -> None:
        if self.received is None:
            self._first = time.monotonic()
            self.received = signal.Signals(number).name
            self._bell.ring()
            if not self._begun:
                raise KeyboardInterrupt
        elif time.monotonic() - self._first > _ONE:
            _end(number)
