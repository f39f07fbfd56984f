"""The hooks of an application plugin, and the mark that makes a function one of them.

The signatures here are the reference: a hook may take fewer of these arguments, never others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from datasync_core.model.faults import Fault
    from datasync_core.spec.context import Context
    from datasync_core.spec.event import Event

PROJECT = "datasync"

hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function as a hook: ``@hookimpl``; ``@hookimpl(wrapper=True)`` surrounds every plugin's delivery."""

hookspec = pluggy.HookspecMarker(PROJECT)


class Hooks:
    """Every hook there is. All are called on the dispatcher thread, never two at once."""

    @hookspec
    def on_start(self, context: Context) -> None:
        """Get ready: once, before the first resync, after every plugin that this one requires.

        An exception is retried with backoff; ``raise Reject`` means that the plugin has failed.
        """

    @hookspec
    def on_resync(self, event: Event) -> None:
        """Make your system equal to the whole state in ``event``. Required where there are watches."""

    @hookspec
    def on_change(self, event: Event) -> None:
        """Apply what changed since you last succeeded. Without it a change arrives as ``on_resync``."""

    @hookspec
    def on_stop(self) -> None:
        """Let go: once, in reverse order, where ``on_start`` returned or there is none."""

    @hookspec
    def on_fault(self, fault: Fault) -> None:
        """Be told of everything that breaks, anywhere in this host."""
