"""The functions of a plugin that carry the mark of `hookimpl`, found without running any of its code.

Attributes are read statically: a property or a lazy proxy among a module's names must not run, or fail, because
somebody looks for hooks. Functions, methods, static and class methods may be marked, on either side of their
decorator.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType, MethodType, ModuleType
from typing import Any, Final

from attrs import frozen

from datasync_core.spec.hooks import PROJECT, Hooks

SPEC: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        name: tuple(inspect.signature(function).parameters)[1:]
        for name, function in vars(Hooks).items()
        if hasattr(function, f"{PROJECT}_spec")
    }
)
"""Each hook there is, and its arguments."""

WRAPPED: Final = ("on_resync", "on_change")
"""The hooks that a wrapper may surround."""


@frozen(eq=False)
class Marked:
    """One marked attribute: ``name`` in the plugin, ``hook`` that it implements or surrounds."""

    name: str
    hook: str
    options: Mapping[str, Any]
    function: Any
    """What carries the code; not bound."""
    call: Callable[..., Any]
    """The same, bound: what is to be called."""

    @property
    def is_wrapper(self) -> bool:
        return bool(self.options.get("wrapper"))


def members(plugin: object) -> dict[str, object]:
    """The attributes of a module, or of an object and its classes, as they are stored."""
    if isinstance(plugin, ModuleType):
        return dict(vars(plugin))
    found: dict[str, object] = {}
    for owner in reversed(type(plugin).__mro__[:-1]):
        found.update(vars(owner))
    found.update(getattr(plugin, "__dict__", {}))
    return found


def marked(plugin: object) -> Iterator[Marked]:
    """Every marked attribute of a plugin, in the order of their names."""
    for name, stored in sorted(members(plugin).items()):
        function = code_of(stored)
        for holder in (stored, function):
            options = inspect.getattr_static(holder, f"{PROJECT}_impl", None)
            if type(options) is dict:
                hook = options.get("specname") or name
                yield Marked(name, hook, options, function, getattr(plugin, name))
                break


def code_of(stored: object) -> object:
    """The function inside a static, class or bound method; else the thing itself.

    By type and not by `isinstance`, which asks a proxy for its ``__class__`` and so may run it.
    """
    if issubclass(type(stored), staticmethod | classmethod | MethodType):
        return inspect.getattr_static(type(stored), "__func__").__get__(stored)
    return stored


def adapted(call: Callable[..., Any], arguments: tuple[str, ...]) -> Callable[..., Any]:
    """What takes exactly ``arguments``: the hook itself, or, where it takes fewer, a function around it."""
    if len(inspect.signature(call).parameters) == len(arguments):
        return call
    return lambda _: call()
