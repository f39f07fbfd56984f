"""The deliveries of a loaded plugin, as tests call them: with anything in place of an event."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any

from datasync_core.plugins.plugin import Plugin


def delivery(hook: Callable[..., object] | None) -> Callable[..., object]:
    """A hook that the plugin has, callable with any argument."""
    assert hook is not None
    return hook


def instance(plugin: Plugin) -> Any:
    """The object whose method on_resync is; its class is written at run time."""
    assert isinstance(plugin.on_resync, MethodType)
    return plugin.on_resync.__self__
