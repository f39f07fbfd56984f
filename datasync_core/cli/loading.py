"""A host for commands that only look: its plugins are loaded and ordered, and nothing is started or made."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from datasync_core.cli.options import disabled_names
from datasync_core.cli.session import output_to_stderr

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


def host_with_stores(
    settings: Settings, files: Sequence[Path], on_import: Callable[[str | None], None]
) -> Host:
    """A host that has loaded its plugins, and its stores as they are: reading them makes none."""
    from datasync_core.cli.opening import as_they_are
    from datasync_core.host import Host

    host = Host(settings=as_they_are(settings), discover=True, files=files)
    with output_to_stderr():
        host.load(on_import)
    return host


def host_without_stores(settings: Settings, files: Sequence[Path]) -> Host:
    """The same, for who asks for plugins alone: no transport is imported, and a store's wrong URL is no matter."""
    from attrs import evolve

    from datasync_core.config import embedded_store
    from datasync_core.host import Host
    from datasync_core.transport import Subscription, Transport

    class Closed(Transport):
        def subscribe(self, paths: Sequence[str]) -> Subscription:
            raise NotImplementedError

    stores = settings.stores or {"main": embedded_store(Path.cwd())}
    closed = {name: Closed(store.url) for name, store in stores.items()}
    host = Host(closed, settings=evolve(settings, stores={}), discover=True, files=files)
    with output_to_stderr():
        host.load()
    return host
