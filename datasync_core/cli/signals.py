"""SIGTERM and SIGINT ask a running host to stop; a second one ends the process at once."""

from __future__ import annotations

import os
import signal
import time
from types import FrameType, TracebackType
from typing import Self

from datasync_core.model.runtime import Doorbell

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_ONE = 0.1
"""Seconds within which signals are one: timeout(1) sends its own to the process and to its group."""


class StopSignals:
    """Rings ``bell`` at the first signal, ends the process at the second. The main thread enters and leaves it."""

    def __init__(self, bell: Doorbell) -> None:
        self._bell = bell
        self._before: dict[signal.Signals, object] = {}
        self._first = 0.0
        self.received: str | None = None
        """The name of the signal that came."""

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, self._heard)
        return self

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
        elif time.monotonic() - self._first > _ONE:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
