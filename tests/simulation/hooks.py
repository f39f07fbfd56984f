"""When hooks are called: on one thread, never two at once, none after the end was asked for; and who hangs is named.

A hook that takes longer than its time is named while it hangs, once, and no more when it has returned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from datasync_core import Host
from datasync_core.model.faults import Fault
from datasync_core.testing import VirtualRuntime

LOOK = 1.0
"""Seconds between two looks of the watchdog, at most."""


class Hooks:
    """The calls of hooks in one life of the host. ``fail`` takes a guarantee and what breaks it."""

    def __init__(
        self, runtime: VirtualRuntime, host: Host, limit: float | None, fail: Callable[[str, str], None]
    ) -> None:
        """``limit``: seconds after which a hook hangs; None: nobody looks."""
        self._runtime = runtime
        self._host = host
        self._limit = limit
        self._fail = fail
        self._running: tuple[str, str] | None = None
        self._since = 0.0
        self._named = False
        self.ending = False
        """Whether the host was asked to stop, or to end for a restart."""

    @contextmanager
    def inside(self, plugin: str, hook: str) -> Iterator[None]:
        """A hook is called."""
        if self._running is not None:
            self._fail("G5", f"{hook} of {plugin} is called while {self._running} is")
        current = self._runtime._current
        if current is None or current.name != "datasync-dispatcher":
            self._fail("G5", f"{hook} of {plugin} is called on another thread: {current}")
        if self.ending != (hook == "on_stop"):
            text = "after the end was asked for" if self.ending else "though nobody asked for the end"
            self._fail("G12", f"{hook} of {plugin} is called {text}")
        self._running, self._since, self._named = (plugin, hook), self._runtime.monotonic(), False
        try:
            yield
        finally:
            self._running, self._since = None, self._runtime.monotonic()

    def told(self, fault: Fault) -> None:
        """A fault says that a hook hangs."""
        running, took = self._running, self._runtime.monotonic() - self._since
        if running is None or running[0] != fault.plugin or f"{running[1]} hangs" not in fault.text:
            self._fail("hang", f"{fault.text!r}, and {running} is running")
        elif self._named or self._limit is None or took < self._limit:
            self._fail("hang", f"{fault.text!r}, after {took:g} s{', again' if self._named else ''}")
        self._named = True

    def quiet(self) -> None:
        """Time passes next: what hangs is named, what does not is not."""
        if self._limit is None:
            return
        hanging = self._host.watchdog.hanging
        took = self._runtime.monotonic() - self._since
        if self._running is None:
            if hanging is not None and took > LOOK:
                self._fail("hang", f"{hanging} is said to hang, and returned {took:g} s ago")
        elif took > self._limit + 2 * LOOK and (hanging is None or hanging[:2] != self._running):
            self._fail(
                "hang", f"{self._running} has not returned for {took:g} s, and {hanging} is said to hang"
            )

    def gives_up(self) -> None:
        """A stop gave up waiting: it can say for whom."""
        if self._running is None or self._host.running() != self._running:
            self._fail(
                "G12", f"{self._host.running()} is said to be in the way of a stop; it is {self._running}"
            )
