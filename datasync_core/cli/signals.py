"""SIGTERM and SIGINT ask a running host to stop; a second one ends the process at once."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Self

from datasync_core.model.runtime import Doorbell

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """Rings ``bell`` at the first signal and steps aside for the second. The main thread enters and leaves it."""

    def __init__(self, bell: Doorbell) -> None:
        self._bell = bell
        self._before: dict[signal.Signals, object] = {}
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
        for each in _SIGNALS:  # the system's own way ends even a process whose interpreter hangs
            signal.signal(each, signal.SIG_DFL)
        self.received = signal.Signals(number).name
        self._bell.ring()
