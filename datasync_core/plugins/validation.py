"""Every mistake in a plugin that would otherwise be silent: what never runs, or runs twice, or is not what it seems.

pluggy accepts an unmarked hook, an ``async def`` and a misspelt name without a word. Here each is refused with file,
line and the right form. A false refusal is as bad as a missed one: what is imported, what is called by the plugin
itself, and names that merely resemble ours are let be.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Collection, Iterator, Sequence
from types import FunctionType, MethodType, ModuleType
from typing import Any

import attrs
from attrs import frozen

from datasync_core.model.errors import PluginError
from datasync_core.plugins import sources
from datasync_core.plugins.hooks import SPEC, WRAPPED, Marked, code_of, members
from datasync_core.plugins.names import bad_name, did_you_mean, is_misspelling
from datasync_core.spec.watch import Watch

NAME_LISTS = ("requires", "after")
ATTRIBUTES = ("watches", *NAME_LISTS, "whole")


@frozen
class Mistake:
    """What is wrong, in a sentence that has the right form, and where."""

    text: str
    where: str


def class_mistakes(cls: type) -> Iterator[Mistake]:
    """What is wrong with a class before it is called: our attributes as its arguments."""
    fields = (
        attrs.fields(cls)
        if attrs.has(cls)
        else dataclasses.fields(cls)
        if dataclasses.is_dataclass(cls)
        else ()
    )
    for field in fields:
        if field.name in ATTRIBUTES and field.init:
            text = f"{field.name} is annotated, which makes it an argument of the class: write {field.name} = … bare"
            yield Mistake(text, sources.of_attribute(cls, field.name))


def mistakes(plugin: object, hooks: Sequence[Marked]) -> list[Mistake]:
    """What is wrong with a module or an object; ``hooks`` are its marked functions."""
    stored = members(plugin)
    found = [*_hidden(plugin, stored, hooks), *_attributes(plugin)]
    for hook in hooks:
        found += _hook(plugin, hook, stored)
    return found or list(_needs(plugin, {hook.hook: hook for hook in hooks if not hook.is_wrapper}))


def _hidden(plugin: object, stored: dict[str, object], hooks: Sequence[Marked]) -> Iterator[Mistake]:
    """What is meant as a hook or an attribute, and would not be seen as one."""
    marked = {hook.name for hook in hooks}
    for name in SPEC:
        if name not in marked and stored.get(name) is not None:
            yield _unmarked(plugin, name, stored[name])
    arguments = _arguments_of(plugin)
    for name, value in stored.items():
        if name.startswith("_") or name in arguments or name in marked or name in SPEC:
            continue
        function = code_of(value)
        for right in ("watches", *NAME_LISTS):
            if right not in stored and is_misspelling(name, right) and _is_list_of_ours(value):
                text = f"{name} is no attribute of a plugin: did you mean {right}?"
                yield Mistake(text, sources.of_attribute(plugin, name))
        for right in SPEC:
            if right not in stored and is_misspelling(name, right) and _is_hook_like(name, function, right):
                text = f"{name} is no hook: did you mean {right}? {_form(right)}"
                yield Mistake(text, sources.of_function(function))


def _is_hook_like(name: str, function: object, hook: str) -> bool:
    """Whether an unmarked function can only be a hook: `on_changed` is a word of its own."""
    if type(function) is not FunctionType or not SPEC[hook] or name.startswith(hook):
        return False
    return tuple(inspect.signature(function).parameters)[-1:] == SPEC[hook]


def _unmarked(plugin: object, name: str, value: object) -> Mistake:
    function = code_of(value)
    where = sources.of_function(function) or sources.of_attribute(plugin, name)
    if issubclass(type(value), functools.partial | functools.partialmethod):
        return Mistake(f"{name} is a partial, which has no signature of its own: {_form(name)}", where)
    if not callable(function):
        return Mistake(f"{name} is the name of a hook, and this is no function: {_form(name)}", where)
    return Mistake(f"{name} lacks @hookimpl, so nobody would call it: {_form(name)}", where)


def _form(name: str) -> str:
    return f"write @hookimpl above def {name}({', '.join(SPEC[name])})"


def _arguments_of(plugin: object) -> Collection[str]:
    """The names that an object got as arguments: they are settings of its own."""
    if isinstance(plugin, ModuleType):
        return frozenset()
    try:
        return inspect.signature(type(plugin)).parameters.keys()
    except (TypeError, ValueError):
        return frozenset()


def _is_list_of_ours(value: object) -> bool:
    if type(value) is str:
        return True
    if type(value) is not list and type(value) is not tuple:
        return False
    return bool(value) and all(_is_a(item, str | Watch) for item in value)


def _is_a(value: object, kind: Any) -> bool:
    """`isinstance` by the real type: a lazy proxy is not run to be asked for its class."""
    return issubclass(type(value), kind)


def _hook(plugin: object, hook: Marked, stored: dict[str, object]) -> Iterator[Mistake]:
    """What is wrong with one marked function: the first that is found."""
    text = _not_ours(plugin, hook, stored)
    if text is None:
        return
    text = text or _options(hook) or _kind(hook) or _parameters(hook)
    if text:
        yield Mistake(text, sources.of_function(hook.function) or sources.of_attribute(plugin, hook.name))


def _not_ours(plugin: object, hook: Marked, stored: dict[str, object]) -> str | None:
    """A name that is no hook, or a function of another module; "" where all is well, None where it is none of ours."""
    function = hook.function
    foreign = False
    if isinstance(plugin, ModuleType) and _is_a(stored[hook.name], FunctionType):
        home = getattr(function, "__module__", None) or plugin.__name__
        outside = home != plugin.__name__ and not home.startswith(f"{plugin.__name__}.")
        foreign = (
            outside and "<locals>" not in function.__qualname__
        )  # a decorator's inner function has its module
    if hook.hook not in SPEC:
        if foreign or any(code_of(stored.get(name)) is function for name in SPEC):
            return None  # imported to be called, or a second name for a hook
        kind = "specname" if hook.options.get("specname") else "name"
        return f"{hook.hook} is the {kind} of no hook{did_you_mean(hook.hook, SPEC)}"
    if foreign:
        return (
            f"{hook.name} is imported from {function.__module__} and would run twice if that is a plugin, too: "
            f"define it here and call the other from it"
        )
    return ""


def _options(hook: Marked) -> str | None:
    name = hook.name
    for option, instead in (
        ("tryfirst", "say requires or after to come later than others"),
        ("trylast", "say requires or after to come later than others"),
        ("hookwrapper", "write @hookimpl(wrapper=True)"),
        ("optionalhook", "leave it out, every hook is optional"),
    ):
        if hook.options.get(option):
            return f"{option} has no effect on {name}: {instead}"
    if hook.is_wrapper and hook.hook not in WRAPPED:
        return f"a wrapper of {hook.hook} would never run: wrappers surround on_resync or on_change"
    if hook.options.get("specname") and not hook.is_wrapper:
        return f"specname is for wrappers: name the function {hook.hook}"
    return None


def _kind(hook: Marked) -> str | None:
    name, function = hook.name, hook.function
    if _is_a(function, functools.partial | functools.partialmethod):
        return f"{name} is a partial, which has no signature of its own: {_form(hook.hook)}"
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return f"{name} is async and would never run: hooks are called synchronously, so write def {name}"
    generator = inspect.isgeneratorfunction(function) or inspect.isgeneratorfunction(inspect.unwrap(function))
    if hook.is_wrapper and not generator:
        return f"{name} is a wrapper without a yield: a wrapper yields once, where the hook is to run"
    if not hook.is_wrapper and inspect.isgeneratorfunction(function):
        return f"{name} has a yield and would never run: take it out, or write @hookimpl(wrapper=True)"
    return None


def _parameters(hook: Marked) -> str | None:
    name, wanted = hook.name, SPEC[hook.hook]
    form = f"write def {name}({', '.join(wanted)})"
    if isinstance(hook.call, MethodType):
        first = next(iter(inspect.signature(hook.call.__func__).parameters), None)
        if first is None or first in wanted:
            return f"{name} lacks self: write def {name}({', '.join(('self', *wanted))})"
    for parameter in inspect.signature(hook.call).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            return f"{name} takes {parameter}: {form}"
        if parameter.name not in wanted:
            there = f"it may take {', '.join(wanted)}" if wanted else "it takes none"
            return f"{name} has the argument {parameter.name}, which the hook lacks; {there}: {form}"
        if parameter.default is not parameter.empty:
            return (
                f"{name} has a default for {parameter.name}, which would always be used instead of it: {form}"
            )
        if parameter.kind is parameter.KEYWORD_ONLY:
            return f"{name} takes {parameter.name} by keyword only: {form}"
    return None


def _attributes(plugin: object) -> Iterator[Mistake]:
    watches = getattr(plugin, "watches", ())
    if not isinstance(watches, list | tuple):
        kind = "text" if isinstance(watches, str) else f"one {type(watches).__name__}"
        right = 'watches = [Watch("routes/")]'
        yield Mistake(
            f"watches is {kind} and not a list: write {right}", sources.of_attribute(plugin, "watches")
        )
    else:
        yield from _watches(plugin, watches)
    for attribute in NAME_LISTS:
        names = getattr(plugin, attribute, ())
        where = sources.of_attribute
        if not isinstance(names, list | tuple | set | frozenset):
            shown = repr(names) if isinstance(names, str) else '"interfaces"'
            kind = "text" if isinstance(names, str) else f"a {type(names).__name__}"
            text = f"{attribute} is {kind} and not a list: write {attribute} = [{shown}]"
            yield Mistake(text, where(plugin, attribute))
            continue
        for name in names:
            if not isinstance(name, str):
                yield Mistake(
                    f"{attribute} holds {name!r}: it takes names of plugins", where(plugin, attribute)
                )
            elif wrong := bad_name(name):
                yield Mistake(f"{attribute}: {wrong}", where(plugin, attribute))
    if not isinstance(getattr(plugin, "whole", False), bool):
        yield Mistake("whole is neither True nor False", sources.of_attribute(plugin, "whole"))


def _watches(plugin: object, watches: Sequence[object]) -> Iterator[Mistake]:
    seen: dict[tuple[str, str], Watch[Any]] = {}
    for watch in watches:
        if not isinstance(watch, Watch):
            right = f"Watch({watch!r})" if isinstance(watch, str) else 'a Watch, as in Watch("routes/")'
            yield Mistake(
                f"watches holds {watch!r}: it takes {right}", sources.of_attribute(plugin, "watches")
            )
            continue
        where = "{}:{}".format(*watch.where)
        if before := seen.get((watch.store, watch.path)):
            text = f"{watch!r} is watched twice, by line {before.where[1]} too: one Watch serves a path of a store"
            yield Mistake(text, where)
        seen[watch.store, watch.path] = watch
        try:
            watch.codec  # noqa: B018 - made here, so that a type that cannot work is refused now
        except PluginError as error:
            yield Mistake(f"{watch!r}: {error}", where)


def _needs(plugin: object, hooks: dict[str, Marked]) -> Iterator[Mistake]:
    """What belongs together."""
    watches = getattr(plugin, "watches", ())
    for name in WRAPPED:
        if name in hooks and not watches:
            text = f'{name} would never run without watches: write watches = [Watch("routes/")]'
            yield Mistake(text, sources.of_function(hooks[name].function))
    if "on_change" in hooks and "on_resync" not in hooks:
        text = f"on_change without on_resync, which comes first and after each gap: {_form('on_resync')}"
        yield Mistake(text, sources.of_function(hooks["on_change"].function))
    elif watches and "on_resync" not in hooks:
        text = f"watches without on_resync, which is told the whole state: {_form('on_resync')}"
        yield Mistake(text, sources.of_attribute(plugin, "watches"))
