"""What is configured, as values: the host, its stores, its plugins, and where each setting came from.

Frozen, and safe to read from any thread. `loading` makes them; an embedder may make them by hand.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from attrs import evolve, field, frozen

from datasync_core.config.nearest import did_you_mean
from datasync_core.model.errors import ConfigError
from datasync_core.model.url import Url

OnHang = Literal["report", "restart"]
FaultPolicy = Literal["resync", "restart", "ignore"]
Reconnect = Literal["resync", "delta"]


@frozen
class Origin:
    """Where a setting came from: ``datasync.toml:12``, ``DATASYNC_STORE``, ``--store``, or nowhere (a default)."""

    kind: Literal["command line", "environment", "file", "default"]
    where: str = ""

    def __str__(self) -> str:
        return self.where or self.kind

    def refusal(self, sentence: str) -> ConfigError:
        """The error that says ``sentence`` about a setting from here."""
        return ConfigError(f"{self.where}: {sentence}" if self.where else sentence)


DEFAULT = Origin("default")


class Row(NamedTuple):
    """One line of ``datasync-host config``: a setting as it may be shown, and where it came from."""

    name: str
    shown: str
    origin: Origin


@frozen
class Brake:
    """When an inferred removal is held: it takes at least ``keys``, and more than this share of what is applied."""

    share: float = 0.5
    keys: int = 10


@frozen
class RetrySettings:
    """Backoff: seconds before the first retry, seconds at most, failures in a row before a resync instead."""

    first: float = 0.5
    most: float = 60.0
    resync_after: int = 3


@frozen
class HostSettings:
    """``[host]``. Times are in seconds; ``only`` None means all plugins, ``audit`` None means off."""

    name: str
    only: tuple[str, ...] | None = None
    disable: tuple[str, ...] = ()
    state_dir: Path | None = None
    stop_timeout: float = 30.0
    hook_timeout: float = 30.0
    on_hang: OnHang = "report"
    brake: Brake = Brake()
    retry: RetrySettings = RetrySettings()
    hold: float = 15.0
    fault_policy: FaultPolicy = "resync"
    reconnect: Reconnect = "resync"
    audit: float | None = None


@frozen
class StoreSettings:
    """One store. ``url`` and ``options`` hold what is the transport's; what is the host's own has its fields."""

    name: str
    url: Url
    options: Mapping[str, object] = field(factory=dict, repr=False)
    text: frozenset[str] = frozenset()
    """The options that came as text, to be converted."""
    secret: frozenset[str] = frozenset()
    """The options, also of the host's own, that came through a reference, never to be shown."""
    origin: Origin = DEFAULT
    origins: Mapping[str, Origin] = field(factory=dict, repr=False)
    """Where each of ``options`` came from."""
    prefix: str = field(default="", repr=False)
    separator: str = "/"
    liveness: float = 10.0
    """Seconds."""


@frozen
class PluginSettings:
    """``[plugins.NAME]``; what it leaves open about faults and retries is the host's."""

    name: str
    enabled: bool | None = None
    use: str | None = None
    config: Mapping[str, object] = field(factory=dict, repr=False)
    store: str | None = None
    stores: Mapping[str, str] = field(factory=dict)
    """The plugin's name for a store → the configured one; ``store`` is in it as ``main``."""
    requires: tuple[str, ...] | None = None
    fault_policy: FaultPolicy = "resync"
    reconnect: Reconnect = "resync"
    brake: Brake = Brake()
    retry: RetrySettings = RetrySettings()
    origin: Origin = DEFAULT
    text: bool = False
    """Whether some of ``config`` came as text, to be converted."""
    secret: frozenset[str] = frozenset()
    """What of ``config`` came through a reference, never to be shown."""
    origins: Mapping[str, Origin] = field(factory=dict, repr=False)
    """Where each of ``config`` came from."""
    own: Mapping[str, Origin] = field(factory=dict, repr=False)
    """Where each of the others came from that stand in the table itself, as ``use``."""

    @property
    def places(self) -> Mapping[str, str]:
        """The origins of both, as text; an option is called ``config.NAME``."""
        named = {**self.own, **{f"config.{option}": origin for option, origin in self.origins.items()}}
        return {name: origin.where for name, origin in named.items()}


@frozen
class Settings:
    """Everything configured. ``folder`` is the file's, else the working directory."""

    host: HostSettings
    stores: Mapping[str, StoreSettings]
    plugins: Mapping[str, PluginSettings]
    folder: Path
    file: Path | None = None
    rows: tuple[Row, ...] = field(default=(), repr=False)

    def main_store(self) -> StoreSettings | None:
        """The store called main, or the only one; None where there is none.

        Raises `ConfigError` where there are several and none is called main.
        """
        if "main" in self.stores or len(self.stores) < 2:
            return self.stores.get("main") or next(iter(self.stores.values()), None)
        raise ConfigError(
            f"none of the stores {', '.join(self.stores)} is called main; call one so, or name one"
        )

    def store_of(self, plugin: str, store: str = "main") -> StoreSettings | None:
        """What a plugin's own name for a store stands for; None for main where no store is configured.

        Raises `ConfigError` for a name that no store has.
        """
        settings = self.plugin(plugin)
        name = settings.stores.get(store, store)
        if name == "main":
            return self.main_store()
        if name not in self.stores:
            raise settings.origin.refusal(
                f"plugin {plugin} uses an unknown store {name}: {did_you_mean(name, self.stores)}"
            )
        return self.stores[name]

    def plugin(self, name: str) -> PluginSettings:
        """A plugin's settings, also of one without a table."""
        if name in self.plugins:
            return self.plugins[name]
        host = self.host
        return PluginSettings(
            name, fault_policy=host.fault_policy, reconnect=host.reconnect, brake=host.brake, retry=host.retry
        )

    def matched(self, installed: Collection[str]) -> Settings:
        """These settings with plugins that only the environment names called as they are installed.

        A variable cannot hold ``-``, so ``DATASYNC_PLUGINS__RATE_LIMIT__ENABLED`` means ``rate-limit`` where there
        is no ``rate_limit``.
        """
        spelt = {name.replace("-", "_"): name for name in sorted(installed)}
        only_named_here = {
            name for name, plugin in self.plugins.items() if plugin.origin.kind == "environment"
        }
        renamed = {name: spelt[name] for name in only_named_here - set(installed) if name in spelt}
        if not renamed:
            return self
        plugins: dict[str, PluginSettings] = {}
        for name, plugin in self.plugins.items():
            new = renamed.get(name, name)
            plugins[new] = evolve(plugin, name=new)
        return evolve(self, plugins=plugins, rows=tuple(_renamed(row, renamed) for row in self.rows))


def _renamed(row: Row, renamed: Mapping[str, str]) -> Row:
    section, _, rest = row.name.partition(".")
    name, _, setting = rest.partition(".")
    return (
        row._replace(name=f"plugins.{renamed[name]}.{setting}")
        if section == "plugins" and name in renamed
        else row
    )
