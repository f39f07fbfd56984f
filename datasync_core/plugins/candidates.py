"""Who may run: what is installed, given and named as files, under the names and instances that the settings say."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from attrs import field, frozen

from datasync_core.plugins import sources
from datasync_core.plugins.discovery import Discovery
from datasync_core.plugins.files import load_file
from datasync_core.plugins.loading import Source
from datasync_core.plugins.names import bad_name, did_you_mean
from datasync_core.plugins.problem import Problem


@frozen
class Wanted:
    """What the settings say about one plugin.

    ``use`` names the plugin that this one is an instance of; ``requires`` narrows required instances; ``from_text``
    says that the values of ``config`` came as text, so that ``"8080"`` may become a number; ``secret`` are those of
    them that are in no message. ``where`` is the place of all this, ``places`` are those of single settings
    (``use``, ``config.port``).
    """

    enabled: bool | None = None
    use: str | None = None
    config: Mapping[str, object] = field(factory=dict, repr=False)
    requires: tuple[str, ...] | None = None
    where: str = ""
    from_text: bool = False
    secret: frozenset[str] = frozenset()
    places: Mapping[str, str] = field(factory=dict)

    def at(self, setting: str) -> str:
        """The place of one setting."""
        return self.places.get(setting, self.where)


@frozen
class Candidates:
    """``names``: each plugin or instance that may run, with its source. ``instances``: of each plugin that has some."""

    names: Mapping[str, Source]
    instances: Mapping[str, tuple[str, ...]]
    settings: Mapping[str, Wanted]
    problems: tuple[Problem, ...]
    failed: frozenset[str]
    """Names that something is wrong with already."""
    refused: frozenset[str]
    """Those of them that are offered, and by nobody who could be loaded: they can be disabled, too."""

    @classmethod
    def of(
        cls,
        found: Discovery,
        given: Mapping[str, object],
        files: Sequence[Path],
        settings: Mapping[str, Wanted],
    ) -> Candidates:
        problems = list(found.problems)
        offered = _single(_offers(found, given, files), problems)
        refused = frozenset(problem.plugin for problem in problems if problem.plugin)
        names: dict[str, Source] = {}
        instances: dict[str, list[str]] = {}
        for name, wanted in sorted(settings.items()):
            base = wanted.use
            if base is None or base == name:
                if name not in offered and name not in refused:
                    text = f"no plugin of this name is installed{did_you_mean(name, offered)}"
                    problems.append(Problem(name, text, wanted.where))
                continue
            instances.setdefault(base, []).append(name)
            wrong = bad_name(name) or _bad_use(name, base, offered, refused, settings)
            if wrong:
                problems.append(Problem(name, wrong, wanted.at("use")))
            else:
                names[name] = offered[base]
        for name, source in offered.items():
            own = name in settings and settings[name].use in (None, name)
            if own or (name not in instances and name not in settings):
                names[name] = source
        failed = frozenset(problem.plugin for problem in problems if problem.plugin)
        spelt_out = {
            base: tuple(sorted({*several, *([base] if base in names else [])}))
            for base, several in instances.items()
        }
        return cls(dict(sorted(names.items())), spelt_out, settings, tuple(problems), failed, refused)

    @property
    def known(self) -> Collection[str]:
        """Every name that is one."""
        return {*self.names, *self.instances, *self.settings, *self.failed}

    def expand(self, names: Iterable[str]) -> set[str]:
        """The names with the instances of a plugin in its place, where it has some."""
        return {one for name in names for one in self.instances.get(name, (name,))}

    def disabled(self, disable: Collection[str]) -> dict[str, str]:
        """Which of the names are switched off, and by what."""
        off = self.expand(disable)
        result = {}
        for name in (*self.names, *self.refused):
            wanted = self.settings.get(name)
            if name in off:
                result[name] = "disabled"
            elif wanted is not None and wanted.enabled is False:
                where = wanted.at("enabled")
                result[name] = f"enabled = false ({where})" if where else "enabled = false"
        return result


def _offers(found: Discovery, given: Mapping[str, object], files: Sequence[Path]) -> list[Source]:
    offers = []
    for point in found.found:
        what = f"{point.value} ({point.origin})"
        offers.append(Source(point.name, point.load, what, point.distribution, point.version))
    for name, thing in given.items():
        offers.append(Source(name, partial(_same, thing), f"the plugin given from {sources.file_of(thing)}"))
    return offers + [
        Source(path.stem, partial(load_file, path), str(path), one_off=True) for path in dict.fromkeys(files)
    ]


def _single(offers: list[Source], problems: list[Problem]) -> dict[str, Source]:
    """One source for each name that is one; a name that is offered twice is nobody's."""
    by_name: dict[str, list[Source]] = {}
    for source in offers:
        by_name.setdefault(source.name, []).append(source)
    for name, several in by_name.items():
        if wrong := bad_name(name):
            problems.extend(Problem(name, wrong, source.origin) for source in several)
        elif len(several) > 1:
            whose = " and ".join(source.what for source in several)
            problems.append(
                Problem(name, f"{whose} are both called {name!r}: rename one of them", several[0].origin)
            )
    failed = {problem.plugin for problem in problems}
    return {name: several[0] for name, several in sorted(by_name.items()) if name not in failed}


def _bad_use(
    name: str,
    base: str,
    offered: Mapping[str, Source],
    failed: Collection[str],
    settings: Mapping[str, Wanted],
) -> str | None:
    if name in offered:
        return (
            f"use makes an instance, but a plugin {name!r} is there already: give the instance another name"
        )
    if base in offered or base in failed:
        return None if base in offered else f"use names {base!r}, which failed"
    seen = {name}
    end = base
    while end not in seen and (said := settings.get(end)) is not None and said.use not in (None, end):
        seen.add(end)
        end = said.use
    if end in seen:
        return f"use names {base!r}, an instance itself, and so on in a circle: name an installed plugin"
    if end != base:
        return f"use names {base!r}, an instance itself: write use = {end!r}"
    return f"use names {base!r}, which is no plugin here{did_you_mean(base, offered)}"


def _same(thing: object) -> object:
    return thing
