"""A plugin that fails when told to, for tests of the dispatcher. What it is told the harness records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datasync_core import Event, Watch, hookimpl


class Recording:
    """Watches one path. ``fail`` holds what the next calls raise (None: nothing), ``fail_on`` which keys raise."""

    def __init__(
        self, path: str = "a/", *, requires: Sequence[str] = (), type: Any = str, whole: bool = False
    ) -> None:
        self.watch = Watch(path, type)
        self.watches = [self.watch]
        self.requires = list(requires)
        self.whole = whole
        self.fail: list[BaseException | None] = []
        self.fail_on: dict[str, Exception] = {}

    @hookimpl
    def on_resync(self, event: Event) -> None:
        self._apply(event)

    @hookimpl
    def on_change(self, event: Event) -> None:
        self._apply(event)

    def _apply(self, event: Event) -> None:
        error = self.fail.pop(0) if self.fail else None
        for change in event.changes(self.watch):
            with change:
                if change.key in self.fail_on:
                    raise self.fail_on[change.key]
        if error is not None:
            raise error


class Whole(Recording):
    """Without `on_change`: every change arrives as a resync."""

    on_change = None  # type: ignore[assignment]  # a plugin without this hook
