"""What plugins were told under a test: one `Call` for each call of a hook, noted by a wrapper around it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple

from attrs import frozen

from datasync_core.model.errors import said
from datasync_core.spec.event import Event
from datasync_core.spec.hooks import hookimpl


class Told(NamedTuple):
    """One change as the plugin was told it: compare it with a tuple, or read its parts by name."""

    kind: str
    key: str
    value: Any
    previous: Any

    def __str__(self) -> str:
        if self.kind == "DELETE":
            return f"DELETE {self.key} (was {self.previous!r})"
        was = "" if self.previous is None else f" (was {self.previous!r})"
        return f"{self.kind} {self.key} {self.value!r}{was}"


@frozen
class Call:
    """One call of a hook: whose, why, what it was told, and what it raised. ``str()`` is one line."""

    plugin: str
    hook: str
    reason: str
    changes: list[Told]
    """What changed, in order; equal to a list of tuples (kind, key, value, previous)."""
    values: dict[Any, Any]
    """The whole state it was shown, by key (by store and key, where it watches several stores)."""
    round: int
    error: BaseException | None = None

    def __str__(self) -> str:
        told = "; ".join(map(str, self.changes)) or "nothing changed"
        raised = "" if self.error is None else f" -> {said(self.error)}"
        return f"round {self.round}: {self.plugin}.{self.hook} ({self.reason}): {told}{raised}"


class Recorder:
    """The wrapper that notes each call."""

    def __init__(self, calls: list[Call]) -> None:
        self._calls = calls

    @hookimpl(wrapper=True)
    def on_resync(self, event: Event) -> Generator[None, None, None]:
        return (yield from self._record("on_resync", event))

    @hookimpl(wrapper=True)
    def on_change(self, event: Event) -> Generator[None, None, None]:
        return (yield from self._record("on_change", event))

    def _record(self, hook: str, event: Event) -> Generator[None, None, None]:
        changes = [Told(str(change.kind), change.key, change.value, change.previous) for change in event]
        values = dict(event.values)
        event.handed = None  # what was read here says nothing about the plugin
        error: BaseException | None = None
        try:
            yield
        except BaseException as raised:
            error = raised
            raise
        finally:
            call = Call(event.plugin, hook, event.reason, changes, values, event.round, error)
            self._calls.append(call)
