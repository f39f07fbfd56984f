"""The operating system's own word that something below a directory moved, by watchfiles where it is installed."""

from __future__ import annotations

import threading
from pathlib import Path

_STEP = 20  # milliseconds; also how soon `bell` is heard
_DEBOUNCE = 200  # milliseconds for which events are gathered at most


class FileEvents:
    """Waits for events, from its making on. One thread waits; `close` is for any.

    Events are lost where two waits meet: look at the directory before each.
    """

    def __init__(self, root: Path, bell: threading.Event) -> None:
        """Raises ImportError where watchfiles is not installed, OSError where the system grants no more watches."""
        from watchfiles._rust_notify import RustNotify

        self._bell = bell
        self._notify = RustNotify([str(root)], False, False, 0, True, True)

    def wait(self, seconds: float) -> None:
        """Return after an event, when the bell was rung, or after ``seconds``."""
        try:
            heard = self._notify.watch(_DEBOUNCE, _STEP, max(1, int(seconds * 1000)), self._bell)
        except RuntimeError:  # closed meanwhile, or the system's queue broke: the next look knows
            self._bell.wait(min(seconds, _STEP / 1000))
            return
        if heard == "signal":
            raise KeyboardInterrupt  # the library took it from the thread that it was meant for

    def close(self) -> None:
        """End the watch. Any number of times."""
        self._notify.close()


def listen(root: Path, bell: threading.Event) -> FileEvents | None:
    """Events of a directory; None where there are none to be had."""
    try:
        return FileEvents(root, bell)
    except (ImportError, OSError, RuntimeError):
        return None
