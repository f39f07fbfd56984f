"""Notices a hook or a dispatcher that hangs, from a thread of its own: the calling itself reads no clock.

It samples what the dispatcher is running. A call that two samples see is one and the same call (the dispatcher makes
a new object for each), and one that is seen for longer than the timeout hangs. So does the dispatcher itself where it
neither calls, nor waits for work, nor counts a step: a handler of the log that blocks it, a dead disk, our own code.
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
ITSELF = "the dispatcher"
"""Stands for the hook, without a plugin, where no hook is called."""
TELLING = 1.0
"""Seconds that the log may take before the host is ended, or whatever else is to be done about a hang."""
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
        self._between = (-1, ("", ITSELF))  # the step that a look found outside hooks, and what stands for it
        self.hanging: tuple[str, str, float] | None = None
        """Plugin, hook and since when (seconds since the Unix epoch) of a call that hangs. Any thread may read it.

        The plugin is empty where the dispatcher itself stands still.
        """

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
            running = self._look()
            if running is not seen:
                seen, since, self.hanging = running, now, None
                self.seen = None if running is None else (running, self._runtime.time())
            elif running is not None and self.hanging is None and now - since >= self._timeout:
                self.hanging = (*running, self._runtime.time() - (now - since))
                self._tell(*running)
            if self.on_sample is not None:
                self.on_sample()
            self._rest.wait(min(self._timeout / 4, 1.0))

    def _look(self) -> tuple[str, str] | None:
        """What runs: one object for each call, and for each step that the dispatcher takes outside hooks."""
        step, running = self._dispatcher.steps, self._dispatcher.running
        if running is not None or self._dispatcher.is_waiting:
            return running
        if step != self._between[0]:
            self._between = (step, ("", ITSELF))
        return self._between[1]

    def _tell(self, plugin: str, hook: str) -> None:
        key = self._key() if plugin else None
        at = "" if key is None else f" at {shown(key)}"
        text = f"{plugin}: {hook} hangs{at}: it has not returned for {self._timeout:g} s (hook_timeout)"
        if not plugin:
            text = f"{hook} hangs outside hooks: no step for {self._timeout:g} s (hook_timeout), nothing is delivered"
        stack = self._stack()
        fault = self._dispatcher.keep(Fault(FaultKind.HOOK_HANGS, text, plugin=plugin or None, key=key))

        def tell() -> None:
            self._dispatcher.log(fault)
            if stack:
                where = {"plugin": plugin} if plugin else {}
                log.warning("%s is at %s", f"{plugin}: {hook}" if plugin else hook, stack, extra=where)

        if self.on_hang is None:
            tell()
            return
        # A handler of the log may be what hangs, and would hold up this thread, too.
        self._runtime.start(tell, "datasync-hang").join(TELLING)
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
