"""A plugin that is loaded: what it wants, and how it is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import field, frozen

from datasync_core.model.faults import Fault
from datasync_core.spec.context import Context
from datasync_core.spec.event import Event
from datasync_core.spec.watch import Watch


@frozen(eq=False)
class Plugin:
    """One plugin, or one instance of it; two are the same only if they are one object.

    The deliveries are plain callables of exactly one argument (`on_stop`: none), usually the plugin's own bound
    functions. They belong to the dispatcher thread.
    """

    name: str
    watches: tuple[Watch[Any], ...] = ()
    requires: tuple[str, ...] = ()
    """Names of plugins of this host, instances spelt out; also those that are not there."""
    after: tuple[str, ...] = ()
    whole: bool = False
    distribution: str = ""
    version: str = ""
    where: str = ""
    hooks: tuple[str, ...] = ()
    """The hooks that it implements."""
    on_start: Callable[[Context], None] | None = field(default=None, repr=False)
    on_resync: Callable[[Event], None] | None = field(default=None, repr=False)
    on_change: Callable[[Event], None] | None = field(default=None, repr=False)
    on_stop: Callable[[], None] | None = field(default=None, repr=False)
    on_fault: Callable[[Fault], None] | None = field(default=None, repr=False)
    wrappers: tuple[tuple[str, Callable[..., Any]], ...] = field(default=(), repr=False)
    """Hook and generator function, for each wrapper that it brings; called with ``event`` or without (`wrappers`)."""
