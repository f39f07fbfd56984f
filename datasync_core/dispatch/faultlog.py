"""Faults as they come: logged, kept for whoever asks, and left for the observers to be told."""

from __future__ import annotations

import logging
from collections import deque

from attrs import evolve

from datasync_core.model.errors import Reject, Retry
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
        """Keep a fault for whoever asks and for the observers; return it with its time."""
        fault = evolve(fault, time=self._runtime.time())
        # An exception holds the frames that it came through, and these all that a hook had in its hands.
        self.latest.append(evolve(fault, cause=None))
        self.untold.append(fault)
        return fault

    def log(self, fault: Fault) -> None:
        """Log a fault."""
        level = logging.INFO if fault.kind is FaultKind.STORE_BACK else logging.WARNING
        trace = fault.cause if self._is_traced(fault) else None
        places = {"plugin": fault.plugin, "store": fault.store, "key": fault.key}
        extra = {"fault": str(fault.kind)} | {
            name: place for name, place in places.items() if place is not None
        }
        log.log(level, "%s", fault.text, exc_info=trace, extra=extra)

    def take(self) -> list[Fault]:
        """What the observers were not told yet."""
        return [self.untold.popleft() for _ in range(len(self.untold))]

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
