"""Every setting of host and plugins as it may be shown, with its origin: what ``datasync-host config`` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from datasync_core.config.checks import Sections, Value
from datasync_core.config.folder import state_base
from datasync_core.config.references import masked
from datasync_core.config.settings import DEFAULT, HostSettings, Row
from datasync_core.config.shown import show
from datasync_core.config.sources import Names, dotted
from datasync_core.config.table import SETTINGS, Setting

_OF_HOST = {tuple(item.name.split(".")[1:]): item for item in SETTINGS if item.name.startswith("host.")}
_OF_PLUGIN = {tuple(item.name.split(".")[2:]): item for item in SETTINGS if item.name.startswith("plugins.")}


def host_rows(
    values: Mapping[Names, Value], host: HostSettings, folder: Path, environ: Mapping[str, str]
) -> Iterator[Row]:
    """All of ``[host]``."""
    for path, setting in _OF_HOST.items():
        value = values.get(("host", *path))
        if value is not None:
            yield _row(("host", *path), value)
        elif path == ("state_dir",):
            state, origin = state_base(None, folder, environ)
            yield Row(setting.name, show(state), origin)
        else:
            yield Row(setting.name, show(host.name) if path == ("name",) else _default(setting), DEFAULT)


def plugin_rows(name: str, sections: Sections, values: Mapping[Names, Value]) -> Iterator[Row]:
    """What is set for a plugin, and what it inherits."""
    for path, setting in _OF_PLUGIN.items():
        own = ("plugins", name, *path)
        if path[-1] == "*":
            for option, free in sections[own[:-1]].items():
                yield _row((*own[:-1], option), free)
        elif (value := values.get(own)) is not None:
            yield _row(own, value)
        elif setting.inherited:
            of_host = values.get(("host", *path))
            yield _row(own, of_host) if of_host else Row(dotted(own), _default(_OF_HOST[path]), DEFAULT)
        elif setting.default is not None:
            yield Row(dotted(own), _default(setting), DEFAULT)


def _row(path: Names, value: Value) -> Row:
    return Row(dotted(path), show(masked(value.given.value), path[-1]), value.given.origin)


def _default(setting: Setting) -> str:
    return show(setting.default) if setting.default is not None else setting.unset or ""
