"""From a module, an object or a class to a `Plugin`; whatever breaks on the way is a `Problem` of that plugin alone.

A class is called once per instance, with its settings as keyword arguments. Everything that a plugin's code can
raise at import or in ``__init__`` is caught, ``SystemExit`` too; only KeyboardInterrupt passes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import ModuleType
from typing import Any

from attrs import field, frozen

from datasync_core.model.errors import ConfigError, DatasyncError, error_text, said
from datasync_core.plugins import sources
from datasync_core.plugins.arguments import WrongSetting, arguments, redacted, showable
from datasync_core.plugins.hooks import SPEC, Marked, adapted, marked
from datasync_core.plugins.plugin import Plugin
from datasync_core.plugins.problem import Problem
from datasync_core.plugins.validation import class_mistakes, mistakes


@frozen
class Source:
    """Where a plugin comes from: how to get its object, and what to call that in messages."""

    name: str
    load: Callable[[], object] = field(repr=False)
    what: str
    """``acme_routes (acme-routes 1.2)``, ``hello.py``: what is loaded."""
    distribution: str = ""
    version: str = ""
    one_off: bool = False
    """Whether it is a file that somebody named: one without a hook is a mistake."""

    @property
    def origin(self) -> str:
        return f"{self.distribution} {self.version}" if self.distribution else self.what


def import_plugin(source: Source) -> object | Problem:
    """What the source names: a module, an object or a class."""
    try:
        return source.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        text = f"{source.what} cannot be imported: {_raised(error)}"
        if isinstance(error, ImportError) and "relative import" in error_text(error):
            text += ": a single file has no package; make one, or import what lies beside it by its name"
        return Problem(source.name, text, sources.of_error(error) or source.origin, error)


def make_plugin(
    name: str,
    source: Source,
    loaded: object,
    config: Mapping[str, object] | None = None,
    secret: Collection[str] = (),
    *,
    config_at: Callable[[str], str] = lambda setting: "",
    from_text: bool = False,
) -> Plugin | tuple[Problem, ...]:
    """A plugin under ``name`` from what was imported, or everything that is wrong with it.

    ``secret`` names what of ``config`` is in no message; ``config_at`` tells where ``config.NAME`` stands, or
    ``config``.
    """
    settings = dict(config or {})
    try:
        if isinstance(loaded, type):
            if wrong := list(class_mistakes(loaded)):
                return tuple(Problem(name, mistake.text, mistake.where) for mistake in wrong)
            try:
                given = arguments(loaded, settings, settings if from_text else (), secret=secret)
            except WrongSetting as error:
                where = config_at(f"config.{error.setting}") or source.origin
                return (Problem(name, f"config: {error}", where),)
            loaded = loaded(**given)
        elif settings:
            kind = "a module" if isinstance(loaded, ModuleType) else "an object"
            text = f"{source.what} takes no config, because it is {kind}: name a class in its place"
            return (Problem(name, text, config_at("config") or source.origin),)
        return _validated(name, source, loaded)
    except KeyboardInterrupt:
        raise
    except ConfigError as error:
        text = f"config: {redacted(error_text(error), settings, secret)}"
        return (Problem(name, text, config_at("config") or source.origin),)
    except BaseException as error:
        text = f"{source.what} cannot be made: {redacted(_raised(error), settings, secret)}"
        where = sources.of_error(error) or source.origin
        return (Problem(name, text, where, showable(error, settings, secret)),)


def _validated(name: str, source: Source, loaded: object) -> Plugin | tuple[Problem, ...]:
    found = list(marked(loaded))
    if wrong := mistakes(loaded, found):
        return tuple(Problem(name, mistake.text, mistake.where) for mistake in wrong)
    if not found and not getattr(loaded, "requires", ()):
        text = None
        if source.one_off:
            text = f"{source.what} has no hook: write one, as in @hookimpl def on_resync(event)"
        elif not isinstance(loaded, ModuleType):
            kind = type(loaded).__name__
            text = f"{source.what} is a {kind} without any hook: name a module, an object or a class that has hooks"
        if text is not None:
            return (Problem(name, text, source.origin),)
    hooks = {
        hook.hook: hook
        for hook in found
        if not hook.is_wrapper and hook.hook in SPEC and hook.name == hook.hook
    }
    return Plugin(
        name,
        tuple(getattr(loaded, "watches", ())),
        _names(loaded, "requires"),
        _names(loaded, "after"),
        getattr(loaded, "whole", False),
        source.distribution,
        source.version,
        sources.file_of(loaded),
        tuple(name for name in SPEC if name in hooks),
        **{hook: _delivery(hooks[hook]) for hook in SPEC if hook in hooks},
        wrappers=tuple((hook.hook, hook.call) for hook in found if hook.is_wrapper and hook.hook in SPEC),
    )


def _delivery(hook: Marked) -> Callable[..., Any]:
    return adapted(hook.call, SPEC[hook.hook])


def _names(loaded: object, attribute: str) -> tuple[str, ...]:
    return tuple(sorted(set(getattr(loaded, attribute, ()))))


def _raised(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        plain = error.code is None or type(error.code) in (int, str)  # the code of another type has its own
        return f"it calls sys.exit({error.code!r})" if plain else "it calls sys.exit"
    if isinstance(error, DatasyncError):
        return error_text(error)
    return said(error) if error_text(error) else type(error).__name__
