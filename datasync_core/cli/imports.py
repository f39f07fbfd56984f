"""Names an import that takes long while it lasts: until it ends no plugin begins, and the log would be silent."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Self

from datasync_core.model.runtime import Runtime, Thread

log = logging.getLogger("datasync.cli")


class ImportWatch:
    """Warns once of an import that takes longer than ``timeout`` seconds. The importing thread enters and calls it."""

    def __init__(self, runtime: Runtime, timeout: float) -> None:
        self._runtime = runtime
        self._timeout = timeout
        self._rest = runtime.doorbell()
        self._importing: tuple[str, float] | None = None  # replaced as a whole by the importing thread
        self._ended = False
        self._thread: Thread | None = None

    def __enter__(self) -> Self:
        self._thread = self._runtime.start(self._watch, "datasync-imports")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self._rest.ring()
        if self._thread is not None:
            self._thread.join()

    def __call__(self, what: str | None) -> None:
        """Take note of what is imported now; None: nothing."""
        self._importing = None if what is None else (what, self._runtime.monotonic())

    def _watch(self) -> None:
        named: tuple[str, float] | None = None
        while not self._ended:
            now = self._importing
            if now is not None and now is not named and self._runtime.monotonic() - now[1] >= self._timeout:
                named = now
                log.warning(
                    "the import of %s has not ended for %g s (hook_timeout): no plugin begins before it has",
                    now[0],
                    self._timeout,
                )
            self._rest.wait(min(self._timeout / 4, 1.0))
