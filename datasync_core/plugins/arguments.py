"""From settings to the arguments of a class: unknown names refused, values converted by the annotations.

msgspec converts builtins, attrs classes and the like; any other type is called with the value, which serves
``Path`` or ``IPv4Address``. No value whose setting looks like a secret, or that came as one, gets into a message,
whole or in parts.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import attrs
import msgspec

from datasync_core.model.errors import ConfigError
from datasync_core.model.url import REDACTED, is_secret, passwords
from datasync_core.plugins.names import did_you_mean

_PART = 4
"""Characters of a secret that are not shown together."""


class WrongSetting(ConfigError):
    """A setting is unknown or wrong; ``setting`` is its name, None where one is missing."""

    def __init__(self, sentence: str, setting: str | None = None) -> None:
        super().__init__(sentence)
        self.setting = setting


def arguments(
    cls: Callable[..., Any],
    settings: Mapping[str, object],
    text: Collection[str] = (),
    given: Collection[str] = (),
    secret: Collection[str] = (),
) -> dict[str, object]:
    """``settings`` as keyword arguments of ``cls``.

    ``text`` names those that came as text, where ``"8080"`` may become a number; ``given`` are parameters that the
    caller fills; ``secret`` those whose values are in no message. Raises `WrongSetting`.
    """
    parameters = {name: p for name, p in inspect.signature(cls).parameters.items() if name not in given}
    named = {name: p for name, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for name in settings:
        if name not in named and not open_ended:
            raise WrongSetting(f"unknown setting {name!r}{did_you_mean(name, named)}{_known(named)}", name)
    missing = [name for name, p in named.items() if p.default is p.empty and name not in settings]
    if missing:
        several = len(missing) > 1
        raise WrongSetting(
            f"the setting{'s' * several} {', '.join(missing)} {'are' if several else 'is'} missing"
        )
    converted = {}
    for name, value in settings.items():
        converted[name] = value
        if name in named:
            try:
                converted[name] = _converted(
                    cls, name, value, named[name].annotation, name not in text, name in secret
                )
            except ConfigError as error:
                raise WrongSetting(str(error), name) from None
    return converted


def redacted(message: str, settings: Mapping[str, object], secret: Collection[str] = ()) -> str:
    """The message without any secret value of the settings (``secret`` are some by name), or four characters of it."""
    hidden = [False] * len(message)
    for value in {one for name, item in settings.items() for one in _secrets({name: item}, name in secret)}:
        size = min(_PART, len(value))
        parts = {value[start : start + size] for start in range(len(value) - size + 1)}
        for start in range(len(message) - size + 1):
            if message[start : start + size] in parts:
                hidden[start : start + size] = [True] * size
    runs = groupby(zip(message, hidden, strict=True), key=itemgetter(1))
    return "".join(REDACTED if unseen else "".join(char for char, _ in run) for unseen, run in runs)


def showable(
    error: BaseException, settings: Mapping[str, object], secret: Collection[str] = ()
) -> BaseException | None:
    """The error, unless the messages in its traceback would show a secret of the settings."""
    shown = "".join(traceback.TracebackException.from_exception(error, limit=0).format())
    return error if redacted(shown, settings, secret) == shown else None


def _known(named: Collection[str]) -> str:
    return f" (known: {', '.join(named)})" if named else ": there are none"


def _secrets(value: object, secret: bool = False) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _secrets(inner, secret or is_secret(str(name)))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _secrets(inner, secret)
    elif secret and value not in (None, "", True, False):
        yield str(value)
    elif isinstance(value, str):
        yield from passwords(value)


def _converted(
    cls: Callable[..., Any], name: str, value: object, annotation: Any, strict: bool, secret: bool
) -> object:
    if annotation is inspect.Parameter.empty:
        return value
    hint = _resolved(cls, name, annotation)
    _check_inner(value, hint, name)
    try:
        return msgspec.convert(value, hint, strict=strict, dec_hook=lambda kind, value: kind(value))
    except Exception as error:
        if is_secret(name) or (secret and isinstance(value, str)):
            raise ConfigError(f"the setting {name!r} is not what is expected: {_shown(hint)}") from None
        reason, _, place = str(error).replace("`", "").partition(" - at ")
        path = place.removeprefix("$") if place else ""
        if not path and (choices := _choices(hint)):
            reason = f"it is one of {', '.join(map(repr, choices))}, got {value!r}"
        reason = redacted(reason, {name: value}, [name] if secret else ())
        raise ConfigError(f"the setting '{name}{path}' is wrong: {reason[:1].lower()}{reason[1:]}") from None


def _choices(hint: Any) -> list[object]:
    """The values that a setting may have, where they are listed; empty where it may be something else, too."""
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    if get_origin(hint) not in (Union, UnionType):
        return []
    parts = [_choices(part) for part in get_args(hint) if part is not type(None)]
    return [choice for part in parts for choice in part] if all(parts) else []


def _resolved(cls: Callable[..., Any], name: str, annotation: Any) -> Any:
    """An annotation as a type. Only those of settings that are given: others may exist for type checkers alone."""
    names: dict[str, Any] = {}
    for owner in reversed(getattr(cls, "__mro__", (cls,))):
        names.update(vars(sys.modules.get(owner.__module__, object)))
        names[owner.__name__] = owner
    holder = type("_Holder", (), {"__annotations__": {name: annotation}})
    try:
        return get_type_hints(holder, names)[name]
    except Exception as error:
        raise ConfigError(f"the annotation {annotation!r} of {name!r} cannot be read: {error}") from None


def _check_inner(value: object, hint: Any, path: str) -> None:
    """Refuse names that msgspec would pass over in attrs classes and dataclasses inside the settings."""
    fields = _fields(hint)
    if fields is not None and isinstance(value, Mapping):
        for name, inner in value.items():
            if name not in fields:
                raise ConfigError(
                    f"unknown setting '{path}.{name}'{did_you_mean(str(name), fields)}{_known(fields)}"
                )
            _check_inner(inner, fields[name], f"{path}.{name}")
        return
    parts = get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        models = [part for part in parts if _fields(part) is not None]
        if len(models) == 1:
            _check_inner(value, models[0], path)
    elif isinstance(value, Mapping) and len(parts) == 2:
        for name, inner in value.items():
            _check_inner(inner, parts[1], f"{path}.{name}")
    elif isinstance(value, list | tuple) and parts:
        for position, inner in enumerate(value):
            _check_inner(inner, parts[0], f"{path}[{position}]")


def _fields(hint: Any) -> dict[str, Any] | None:
    """The arguments of an attrs class or a dataclass, with their types; None for anything else."""
    if isinstance(hint, type) and attrs.has(hint):
        fields = attrs.fields(hint)
    elif isinstance(hint, type) and dataclasses.is_dataclass(hint):
        fields = dataclasses.fields(hint)
    else:
        return None
    try:
        hints = get_type_hints(hint)
    except NameError:  # a name for type checkers alone; msgspec will say so where it matters
        hints = {}
    return {field.name: hints.get(field.name, Any) for field in fields if field.init}


def _shown(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint)
