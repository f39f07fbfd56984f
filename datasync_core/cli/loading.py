"""A host for commands that only look: its plugins are loaded and ordered, and nothing is started or made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from datasync_core.cli.options import disabled_names

if TYPE_CHECKING:
    from datasync_core.config import Settings
    from datasync_core.host import Host


def settings_for(
    config: Path | None,
    stores: Sequence[str],
    only: Sequence[str],
    disable: Sequence[str],
    name: str | None = None,
) -> Settings:
    """The settings with what the options say."""
    from datasync_core.config import Overrides, load_settings

    overrides = Overrides(name=name, stores=stores, only=only, disable=disabled_names(disable))
    return load_settings(cwd=Path.cwd(), environ=os.environ, file=config, overrides=overrides)


def loaded_host(settings: Settings, files: Sequence[Path]) -> Host:
    """A host that has loaded its plugins. Without any store the embedded one stands in, unopened."""
    from attrs import evolve

    from datasync_core.cli.opening import as_they_are
    from datasync_core.config import embedded_store
    from datasync_core.host import Host

    if not settings.stores:
        settings = evolve(settings, stores={"main": embedded_store(Path.cwd())})
    host = Host(settings=as_they_are(settings), discover=True, files=files)
    host.load()
    return host
