"""A store that somebody names by its URL alone: an embedder, or one command's ``--store``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from datasync_core.config.checks import Sections, effective
from datasync_core.config.settings import DEFAULT, Origin, StoreSettings
from datasync_core.config.sources import Given, setting_at
from datasync_core.config.stores import read_store


def store_settings(
    name: str, url: str, base: Path, environ: Mapping[str, str] | None = None, origin: Origin = DEFAULT
) -> StoreSettings:
    """The settings of the store ``name`` at ``url``; ``base`` is what a relative path in it is relative to.

    Raises `ConfigError` for a URL or a common option that is wrong.
    """
    path = ("stores", name, "url")
    values = effective([Given(path, setting_at(path, origin), url, origin, base)], environ or {})
    settings, _ = read_store(name, Sections.of(values)["stores", name], origin)
    return settings
