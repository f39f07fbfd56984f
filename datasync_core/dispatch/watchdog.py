"""Notices a hook that hangs, from a thread of its own: the calling itself reads no clock.

It samples what the dispatcher is running. A call that two samples see is one and the same call (the dispatcher makes
a new object for each), and one that is seen for longer than the timeout hangs.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path

from datasync_core.dispatch import dispatcher, lane
from datasync_core.dispatch.dispatcher import Dispatcher
from datasync_core.model.faults import Fault, FaultKind
from datasync_core.model.keys import shown
from datasync_core.model.runtime import Runtime, Thread

log = logging.getLogger("datasync")

DEEP = 20
"""Calls of a hook's stack that are told."""
_OURS = {dispatcher.__file__, lane.__file__}
"""Where hooks are called."""


class Watchdog:
    """Reports each call that takes longer than ``timeout`` seconds, once. `start` and `stop` are the host's owner's."""

    def __init__(self, dispatcher: Dispatcher, runtime: Runtime, timeout: float) -> None:
        self._dispatcher = dispatcher
        self._runtime = runtime
        self._timeout = timeout
        self.on_sample: Callable[[], None] | None = None
        """Called with each look, on the watchdog's thread; to be set before `start`."""
        self.on_hang: Callable[[str], None] | None = None
        """Called with a sentence about each call that hangs, on the watchdog's thread; to be set before `start`."""
        self._rest = runtime.doorbell()
        self._stopping = False  # set by any thread
        self._thread: Thread | None = None
        self.seen: tuple[tuple[str, str], float] | None = None
        """What the last look saw running, and since when, hanging or not. Any thread may read it."""
        self.hanging: tuple[str, str, float] | None = None
        """Plugin, hook and since when (seconds since the Unix epoch) of a call that hangs. Any thread may read it."""

    def start(self) -> None:
        """Begin to watch."""
        self._thread = self._runtime.start(self.run, "datasync-watchdog")

    def stop(self) -> None:
        """End the watching; any thread, any number of times."""
        self._stopping = True
        self._rest.ring()
        if self._thread is not None and not self._thread.is_current():
            self._thread.join()

    def run(self) -> None:
        """What the thread does."""
        seen: tuple[str, str] | None = None
        since = 0.0
        while not self._stopping:
            now = self._runtime.monotonic()
            running = self._dispatcher.running
            if running is not seen:
                seen, since, self.hanging = running, now, None
                self.seen = None if running is None else (running, self._runtime.time())
            elif running is not None and self.hanging is None and now - since >= self._timeout:
                self.hanging = (*running, self._runtime.time() - (now - since))
                self._tell(*running)
            if self.on_sample is not None:
                self.on_sample()
            self._rest.wait(min(self._timeout / 4, 1.0))

    def _tell(self, plugin: str, hook: str) -> None:
        key = self._key()
        at = "" if key is None else f" at {shown(key)}"
        text = f"{plugin}: {hook} hangs{at}: it has not returned for {self._timeout:g} s (hook_timeout)"
        self._dispatcher.report(Fault(FaultKind.HOOK_HANGS, text, plugin=plugin, key=key))
        if stack := self._stack():
            log.warning("%s: %s is at %s", plugin, hook, stack, extra={"plugin": plugin})
        if self.on_hang is not None:
            self.on_hang(text)

    def _key(self) -> str | None:
        """The key that the hook was handed last, where one was."""
        event = self._dispatcher.event
        try:
            return None if event is None else event.handed
        except Exception:  # the hook goes on meanwhile, and what is read belongs to its thread
            return None

    def _stack(self) -> str:
        """Where the hook is, innermost first; nothing where that cannot be seen."""
        frame = sys._current_frames().get(self._dispatcher.thread or 0)
        places: list[str] = []
        while frame is not None and frame.f_code.co_filename not in _OURS:
            file = Path(frame.f_code.co_filename).name
            places.append(f"{file}:{frame.f_lineno} ({frame.f_code.co_qualname})")
            frame = frame.f_back
        return "" if frame is None else ", called by ".join(places[:DEEP])
