"""A plugin that keeps a copy of what it is told, and may be slow, hang or fail."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from datasync_core import Change, Event, Watch, hookimpl

PATIENCE = 60.0
"""Seconds after which what was to come does not."""


class Mirror:
    """``copy`` equals what it applied. Whoever feeds it in step waits for the value of a key (`await_value`)."""

    def __init__(
        self,
        path: str = "a/",
        *,
        type: Any = bytes,
        requires: Sequence[str] = (),
        on_each: Callable[[Change[Any]], None] | None = None,
        before: Callable[[Event], None] | None = None,
    ) -> None:
        self.watch = Watch(path, type)
        self.watches = [self.watch]
        self.requires = list(requires)
        self.copy: dict[str, Any] = {}
        self.calls = 0
        self._on_each = on_each  # called for each change, which fails alone if that raises
        self._before = before  # called with each event; what it raises fails the call
        self._heard = threading.Condition()

    @hookimpl
    def on_resync(self, event: Event) -> None:
        self._apply(event)

    @hookimpl
    def on_change(self, event: Event) -> None:
        self._apply(event)

    def await_value(self, name: str, value: object) -> None:
        """Wait until this is what it applied."""
        with self._heard:
            assert self._heard.wait_for(lambda: self.copy.get(name) == value, PATIENCE), (
                f"{name} did not come"
            )

    def await_calls(self, number: int) -> None:
        """Wait until so many calls were made."""
        with self._heard:
            assert self._heard.wait_for(lambda: self.calls >= number, PATIENCE), "no call came"

    def _apply(self, event: Event) -> None:
        with self._heard:
            self.calls += 1
            self._heard.notify_all()
        if self._before is not None:
            self._before(event)
        with self._heard:
            for change in event.changes(self.watch):
                with change:
                    if self._on_each is not None:
                        self._on_each(change)
                    if change.deleted:
                        self.copy.pop(change.name, None)
                    else:
                        self.copy[change.name] = change.value
            self._heard.notify_all()
