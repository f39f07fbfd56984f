"""Wrappers: ``@hookimpl(wrapper=True)`` surrounds each plugin's delivery.

pluggy wraps the whole call of all plugins; here each plugin gets a manager of its own, in which its one delivery
and everybody's wrappers stand. They stand on holders, which are told apart by identity: pluggy refuses plugins that
are equal, and fails on unhashable ones. Where no wrapper is installed nothing of this is made, and no call pays.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

import attrs
import pluggy

from datasync_core.plugins.hooks import SPEC, WRAPPED, adapted, marked
from datasync_core.plugins.plugin import Plugin
from datasync_core.spec.hooks import PROJECT, Hooks, hookimpl

Wrapper = tuple[str, Callable[..., Any]]


class _Holder:
    """Carries functions for pluggy, by name."""


def wrappers_of(thing: object) -> tuple[Wrapper, ...]:
    """The wrappers of a module or an object that is no plugin: what ``--trace-hooks`` installs."""
    return tuple((hook.hook, hook.call) for hook in marked(thing) if hook.is_wrapper)


def surround(plugins: Sequence[Plugin], outermost: Sequence[Wrapper] = ()) -> tuple[Plugin, ...]:
    """The plugins (in DAG order) with every wrapper around `on_resync` and `on_change` of each, its own included.

    The first plugin's wrappers are outside those of later ones; ``outermost`` is outside them all. What leaves the
    outermost wrapper decides whether the call succeeded.
    """
    wrappers = [*outermost, *(wrapper for plugin in plugins for wrapper in plugin.wrappers)]
    if not wrappers:
        return tuple(plugins)
    return tuple(attrs.evolve(plugin, **_surrounded(plugin, wrappers)) for plugin in plugins)


def _surrounded(plugin: Plugin, wrappers: Sequence[Wrapper]) -> dict[str, Any]:
    deliveries = {name: call for name in WRAPPED if (call := getattr(plugin, name))}
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Hooks)
    own = _Holder()
    for name, call in deliveries.items():
        setattr(own, name, _hook(call))
    manager.register(own, plugin.name)
    for number, (name, call) in reversed(
        list(enumerate(wrappers))
    ):  # pluggy: the last one registered is outermost
        if name in deliveries:
            holder = _Holder()
            setattr(holder, name, _wrapper(adapted(call, SPEC[name])))
            manager.register(holder, f"wrapper {number}")
    return {name: _called(getattr(manager.hook, name)) for name in deliveries}


def _hook(call: Callable[..., Any]) -> Callable[..., Any]:
    @hookimpl
    def delivery(event: object) -> None:
        call(event)

    return delivery


def _wrapper(call: Callable[..., Any]) -> Callable[..., Any]:
    @hookimpl(wrapper=True)
    def wrapper(event: object) -> Generator[None, object, object]:
        return (yield from call(event))

    return wrapper


def _called(caller: Callable[..., Any]) -> Callable[[object], None]:
    def deliver(event: object) -> None:
        caller(event=event)

    return deliver
