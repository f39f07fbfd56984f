"""Which plugins run here, and in which order: the one call for a host.

What is installed, given and named on the command line is brought together with what the settings say; only what is
to run is imported. Whatever is wrong with one plugin is a `Problem` and leaves the others alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import attrs
from attrs import field, frozen

from datasync_core.plugins.candidates import Candidates, Wanted
from datasync_core.plugins.discovery import Discovery, Found
from datasync_core.plugins.graph import Order, order
from datasync_core.plugins.loading import import_plugin, make_plugin
from datasync_core.plugins.names import did_you_mean
from datasync_core.plugins.plugin import Plugin
from datasync_core.plugins.problem import Problem
from datasync_core.plugins.wrappers import Wrapper, surround

__all__ = ["Assembly", "Wanted", "assemble"]


@frozen
class Assembly:
    """What a host runs: ``plugins`` in DAG order, and what became of the others."""

    plugins: tuple[Plugin, ...]
    problems: tuple[Problem, ...]
    disabled: Mapping[str, str]
    """Name → why it does not run though nothing is wrong with it."""
    waiting_for: Mapping[str, str]
    """``requires interfaces: not installed`` for each plugin that misses something."""
    order: Order = field(repr=False)
    found: tuple[Found, ...] = field(default=(), repr=False)
    """What is installed, whether it runs here or not."""


def assemble(
    found: Discovery,
    given: Mapping[str, object],
    files: Sequence[Path] = (),
    wanted: Mapping[str, Wanted] | None = None,
    only: Collection[str] = (),
    disable: Collection[str] = (),
    wrappers: Sequence[Wrapper] = (),
    on_import: Callable[[str | None], None] | None = None,
) -> Assembly:
    """Load what is to run, in DAG order. ``only`` brings what the named ones require; empty, everything runs.

    ``on_import`` is called with what is imported, or made of a class, and with None when that has ended.
    """
    settings = wanted or {}
    candidates = Candidates.of(found, given, files, settings)
    disabled = candidates.disabled(disable)
    problems = [problem for problem in candidates.problems if problem.plugin not in disabled]
    problems += _unknown(candidates, {"only": only, "disable": disable})
    loader = _Loader(candidates, settings, disabled, on_import or (lambda what: None))
    if only:
        loader.load(candidates.expand(only))
        brought = {*loader.plugins, *loader.failed, *disabled}
        disabled.update((name, "not named by only") for name in candidates.names if name not in brought)
    else:
        loader.load(candidates.names)
    failed = {*loader.failed, *candidates.failed}
    absent = {**dict.fromkeys(failed, "failed"), **dict.fromkeys(disabled, "disabled")}
    edges = {name: (plugin.requires, plugin.after) for name, plugin in loader.plugins.items()}
    ordered = order(edges, absent)
    problems += loader.problems
    problems += [Problem(name, text, loader.plugins[name].where) for name, text in ordered.failed.items()]
    plugins = surround([loader.plugins[name] for name in ordered.names], wrappers)
    problems.sort(key=lambda problem: (problem.plugin or "", problem.where, problem.text))
    return Assembly(
        plugins,
        tuple(problems),
        dict(sorted(disabled.items())),
        ordered.waiting_for,
        ordered,
        found.found,
    )


class _Loader:
    """Loads plugins and what they require; imports each source once, however many instances it has."""

    def __init__(
        self,
        candidates: Candidates,
        settings: Mapping[str, Wanted],
        disabled: Mapping[str, str],
        on_import: Callable[[str | None], None],
    ) -> None:
        self.plugins: dict[str, Plugin] = {}
        self.failed: set[str] = set()
        self.problems: list[Problem] = []
        self._candidates = candidates
        self._settings = settings
        self._disabled = disabled
        self._on_import = on_import
        self._imported: dict[str, object] = {}

    def load(self, names: Collection[str]) -> None:
        todo = sorted(names, reverse=True)
        while todo:
            name = todo.pop()
            if name in self._disabled or name in self.plugins or name in self.failed:
                continue
            if name not in self._candidates.names:
                continue
            self._on_import(f"{name} ({self._candidates.names[name].what})")
            wrong = self._load(name)
            self._on_import(None)
            if wrong:
                self.failed.add(name)
                self.problems += wrong
            else:
                todo += sorted(self.plugins[name].requires, reverse=True)

    def _load(self, name: str) -> Sequence[Problem]:
        source = self._candidates.names[name]
        if source.name not in self._imported:
            self._imported[source.name] = import_plugin(source)
        loaded = self._imported[source.name]
        if isinstance(loaded, Problem):
            return (attrs.evolve(loaded, plugin=name),)
        said = self._settings.get(name, Wanted())
        made = make_plugin(
            name, source, loaded, said.config, said.secret, config_at=said.at, from_text=said.from_text
        )
        if not isinstance(made, Plugin):
            return made
        requires, surplus = self._narrowed(made.requires, said.requires)
        if surplus:
            text = f"requires names {', '.join(surplus)}, which is no instance of what it requires"
            return (Problem(name, text + did_you_mean(surplus[0], requires), said.at("requires")),)
        after = self._candidates.expand(made.after)
        self.plugins[name] = attrs.evolve(made, requires=requires, after=tuple(sorted(after)))
        return ()

    def _narrowed(
        self, requires: Sequence[str], chosen: Sequence[str] | None
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The required instances, less those that the settings leave out; and what in those has no place."""
        result: set[str] = set()
        left = set(chosen or ())
        for name in requires:
            instances = self._candidates.expand([name])
            kept = instances & set(chosen or ())
            if name in left and name not in instances:
                kept = instances
            left -= {*kept, name}
            result |= kept or instances
        return tuple(sorted(result)), tuple(sorted(left))


def _unknown(candidates: Candidates, named: Mapping[str, Collection[str]]) -> list[Problem]:
    known = candidates.known
    return [
        Problem(
            None, f"{setting} names {name!r}, which is no plugin here{did_you_mean(name, known)}", setting
        )
        for setting, names in named.items()
        for name in sorted(names)
        if name not in known
    ]
