"""From what the sources say to what is effective: the highest source wins, and every value is checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import evolve, field, frozen

from datasync_core.config.references import refers, resolve
from datasync_core.config.settings import Origin
from datasync_core.config.shown import got
from datasync_core.config.sources import Given, Names, dotted
from datasync_core.config.table import Setting

RANK = {"default": 0, "file": 1, "environment": 2, "command line": 3}


@frozen
class Value:
    """A checked setting, and what it was made from."""

    value: Any = field(repr=False)
    given: Given

    @property
    def hidden(self) -> bool:
        """Whether some of it came through a reference."""
        return refers(self.given.value)

    @property
    def text(self) -> bool:
        """Whether it may have to be converted from text by whoever reads it."""
        return self.given.text or self.hidden


class Sections:
    """Checked settings by the table they stand in: ``sections["plugins", "routes", "config"]``."""

    def __init__(self) -> None:
        self._tables: dict[Names, dict[str, Value]] = {}
        self._origins: dict[str, dict[str, Origin]] = {}

    @classmethod
    def of(cls, values: Mapping[Names, Value]) -> Sections:
        """The sections that hold ``values``."""
        sections = cls()
        for path, value in values.items():
            if path[0] != "host":
                sections._origins.setdefault(path[0], {}).setdefault(path[1], value.given.origin)
            if value.given.setting is not None:
                sections._tables.setdefault(path[:-1], {})[path[-1]] = value
        return sections

    def __getitem__(self, table: Names) -> Mapping[str, Value]:
        return self._tables.get(table, {})

    def names(self, section: str) -> Mapping[str, Origin]:
        """The stores or plugins that are named, each with where it is named first."""
        return self._origins.get(section, {})


def effective(given: Iterable[Given], environ: Mapping[str, str]) -> dict[Names, Value]:
    """The settings that count, by path, of what was given, from the lowest source to the highest.

    A wrong value is refused even where another source overrides it; a reference is resolved only where it counts.
    """
    winners: dict[Names, Given] = {}
    for item in given:
        before = winners.setdefault(item.path, item)
        if before is item or item.setting is None:
            continue
        if before.origin.kind == item.origin.kind:
            raise item.origin.refusal(
                f"{dotted(item.path)} is given twice, also by {before.origin}: keep one"
            )
        adds = item.path == ("host", "disable") and item.origin.kind == "command line"
        overridden: Any = check(before, environ) if adds or not refers(before.value) else None
        winners[item.path] = evolve(item, value=[*overridden, *item.value]) if adds else item
    return {path: Value(check(item, environ), item) for path, item in winners.items()}


def check(given: Given, environ: Mapping[str, str]) -> Any:
    """The value of one setting, its references resolved; raises `ConfigError`."""
    if given.setting is None:
        return None
    try:
        value = resolve(given.value, environ, url=given.setting.name == "stores.*.url")
    except ValueError as error:
        raise given.origin.refusal(f"{dotted(given.path)} {error}") from None
    return accept(given.path, given.setting, value, given.origin, hidden=refers(given.value))


def accept(path: Names, setting: Setting, value: Any, origin: Origin, *, hidden: bool) -> Any:
    """The value as its kind reads it; raises `ConfigError` for one that is wrong."""
    name = dotted(path)
    try:
        return setting.kind.read(value)
    except (ValueError, OverflowError):
        found = got(value, hidden=hidden)
        raise origin.refusal(f"{name} must be {setting.kind.expected}, got {found}") from None
