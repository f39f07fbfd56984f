"""Settings from the command line, the environment and the file, each with its origin.

The way: every source is taken apart into single settings (`sources`), the highest source wins and each value is
checked (`checks`), and what is left is put together here.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from attrs import evolve

from datasync_core.config.checks import Sections, Value, effective
from datasync_core.config.nearest import did_you_mean
from datasync_core.config.rows import host_rows, plugin_rows
from datasync_core.config.settings import HostSettings, Origin, PluginSettings, Row, Settings, StoreSettings
from datasync_core.config.shown import show
from datasync_core.config.sources import Overrides, from_command_line, from_environment, from_file
from datasync_core.config.stores import embedded, read_store
from datasync_core.model.errors import ConfigError

FILE = "datasync.toml"
_NOTHING = Overrides()
_T = TypeVar("_T", HostSettings, PluginSettings)


def load_settings(
    *, cwd: Path, environ: Mapping[str, str], file: Path | None = None, overrides: Overrides = _NOTHING
) -> Settings:
    """Read all settings. ``file`` is what ``-c`` names; ``cwd`` is where ``datasync.toml`` is looked for.

    Raises `ConfigError` for what is unknown, wrong or unreadable.
    """
    path, content = _file(cwd, environ, file)
    folder = cwd if path is None else path.parent
    filed = [] if path is None else list(from_file(content, _shown(path, cwd), folder))
    commanded = list(from_command_line(overrides, cwd))
    told = list(from_environment(environ, [given.path for given in (*filed, *commanded)], cwd))
    given = [*filed, *told, *commanded]
    if not any(item.path[0] == "stores" for item in given):
        given += embedded(cwd)
    values = effective(given, environ)

    sections = Sections.of(values)
    host = _host(sections)
    stores: dict[str, StoreSettings] = {}
    rows: list[Row] = [*host_rows(values, host, folder, environ)]
    for name, origin in sections.names("stores").items():
        stores[name], shown = read_store(name, sections["stores", name], origin)
        rows += shown
    plugins: dict[str, PluginSettings] = {}
    for name, origin in sections.names("plugins").items():
        plugins[name] = _plugin(name, sections, host, origin)
        _check_uses_of_stores(name, sections, stores)
        rows += plugin_rows(name, sections, values)
    return Settings(host, stores, plugins, folder, path, tuple(rows))


def _file(cwd: Path, environ: Mapping[str, str], asked: Path | None) -> tuple[Path | None, bytes]:
    """The file to read and its content; (None, b"") where none is asked for and none is there."""
    variable = environ.get("DATASYNC_CONFIG")
    who = "-c: " if asked is not None else "DATASYNC_CONFIG: " if variable else ""
    path = cwd / (asked if asked is not None else variable or FILE)
    shown = _shown(path, cwd)
    try:
        return path, path.read_bytes()
    except FileNotFoundError:
        if not who and not path.is_symlink():
            return None, b""
        raise ConfigError(f"{who}there is no file {shown}: name a configuration file that exists") from None
    except IsADirectoryError:
        raise ConfigError(f"{who}{shown} is a directory: name a file, as in {shown}/{FILE}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"{who}{shown} cannot be read ({reason}): make it a readable file") from None


def _shown(path: Path, cwd: Path) -> str:
    return str(path.relative_to(cwd) if path.is_relative_to(cwd) else path)


def _plain(section: Mapping[str, Value]) -> dict[str, Any]:
    return {name: value.value for name, value in section.items()}


def _origins(section: Mapping[str, Value]) -> dict[str, Origin]:
    return {name: value.given.origin for name, value in section.items()}


def _host(sections: Sections) -> HostSettings:
    given = sections["host",]
    fields = _plain(given)
    fields.setdefault("name", socket.gethostname() or "localhost")
    if "state_dir" in given:
        fields["state_dir"] = given["state_dir"].given.base / given["state_dir"].value
    return _with_tables(HostSettings(**fields), sections, "host")


def _plugin(name: str, sections: Sections, host: HostSettings, origin: Origin) -> PluginSettings:
    given = sections["plugins", name]
    config = sections["plugins", name, "config"]
    stores = dict(sections["plugins", name, "stores"])
    if "store" in given:
        if stores.setdefault("main", given["store"]).value != given["store"].value:
            sentence = f"plugins.{name}.store and plugins.{name}.stores.main differ: keep one"
            raise given["store"].given.origin.refusal(sentence)
    settings = PluginSettings(
        name,
        config=_plain(config),
        stores=_plain(stores),
        brake=host.brake,
        retry=host.retry,
        origin=origin,
        text=any(value.text for value in config.values()),
        secret=frozenset(option for option, value in config.items() if value.hidden),
        origins=_origins(config),
        own=_origins(given),
        **{"fault_policy": host.fault_policy, "reconnect": host.reconnect, **_plain(given)},
    )
    return _with_tables(settings, sections, "plugins", name)


def _with_tables(settings: _T, sections: Sections, *path: str) -> _T:
    """``settings`` with its brake and retry completed by the tables below ``path``."""
    brake = evolve(settings.brake, **_plain(sections[*path, "brake"]))
    given = sections[*path, "retry"]
    retry = evolve(settings.retry, **_plain(given))
    if retry.first > retry.most:
        origin = next(iter(given.values())).given.origin
        first, most = show(retry.first), show(retry.most)
        raise origin.refusal(f"{'.'.join(path)}.retry has first = {first} above most = {most}: swap them")
    return evolve(settings, brake=brake, retry=retry)


def _check_uses_of_stores(plugin: str, sections: Sections, stores: Mapping[str, StoreSettings]) -> None:
    own = sections["plugins", plugin]
    for value in (
        *sections["plugins", plugin, "stores"].values(),
        *(own[name] for name in own if name == "store"),
    ):
        if value.value != "main" and value.value not in stores:
            right = did_you_mean(value.value, stores)
            raise value.given.origin.refusal(f"plugin {plugin} uses an unknown store {value.value}: {right}")
