"""Faults as they come: logged, kept for whoever asks, and left for the observers to be told."""

from __future__ import annotations

import logging
from collections import deque

from attrs import evolve

from datasync_core.model.errors import LONGEST, Reject, Retry, cut
from datasync_core.model.faults import Fault, FaultKind
from datasync_core.model.runtime import Runtime

log = logging.getLogger("datasync")

KEPT = 100
UNTOLD = 1000
"""Faults that may wait for the observers; of more the oldest are left to the log."""


class FaultLog:
    """Any thread may `keep` and `log`; `take` is the dispatcher's."""

    def __init__(self, runtime: Runtime) -> None:
        self.latest: deque[Fault] = deque(maxlen=KEPT)
        """The latest faults, without their causes; any thread may read a copy."""
        self._runtime = runtime
        self.untold: deque[Fault] = deque(maxlen=UNTOLD)
        """Those that the observers were not told yet; any thread may look whether there are any."""
        self._traced: dict[str, str] = {}

    def keep(self, fault: Fault) -> Fault:
        """Keep a fault for whoever asks and for the observers; return it with its time.

        One that goes on (``count``) is only counted, where it is kept.
        """
        if fault.count > 1:
            self._count(fault)
            return fault
        # What is not ours was cut where it came in; a key or a store's answer may be long as well.
        now = self._runtime.time()
        fault = evolve(fault, time=now, last=now, text=cut(fault.text, 2 * LONGEST))
        # An exception holds the frames that it came through, and these all that a hook had in its hands.
        self.latest.append(evolve(fault, cause=None))
        self.untold.append(fault)
        return fault

    def log(self, fault: Fault) -> None:
        """Log a fault, but not one that goes on."""
        if fault.count > 1:
            return
        level = logging.INFO if fault.kind is FaultKind.STORE_BACK else logging.WARNING
        trace = fault.cause if self._is_traced(fault) else None
        places = {"plugin": fault.plugin, "store": fault.store, "key": fault.key}
        extra = {"fault": str(fault.kind)} | {
            name: place for name, place in places.items() if place is not None
        }
        try:
            log.log(level, "%s", fault.text, exc_info=trace, extra=extra)
        except BaseException:  # a traceback has the texts of exceptions, which are their authors' code
            log.log(level, "%s", fault.text, extra=extra)

    def take(self) -> list[Fault]:
        """What the observers were not told yet."""
        return [self.untold.popleft() for _ in range(len(self.untold))]

    def _count(self, fault: Fault) -> None:
        about = (fault.kind, fault.plugin, fault.key)
        for number, kept in enumerate(self.latest):
            if (kept.kind, kept.plugin, kept.key) == about:
                self.latest[number] = evolve(
                    kept, text=cut(fault.text, 2 * LONGEST), count=fault.count, last=self._runtime.time()
                )
                return

    def _is_traced(self, fault: Fault) -> bool:
        """Whether a trace helps: of a plugin's mistake, but not of an attempt that fails like the one before."""
        if fault.kind is FaultKind.MISTAKE:
            return True
        if fault.kind is not FaultKind.HOOK_FAILED or isinstance(fault.cause, Reject | Retry):
            return False
        plugin = fault.plugin or ""
        again = self._traced.get(plugin) == fault.text
        self._traced[plugin] = fault.text
        return not again
