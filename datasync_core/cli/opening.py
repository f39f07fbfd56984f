"""Which store a command works on, opened for as long as it does."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasync_core.config import Settings, StoreSettings
    from datasync_core.sync.publisher import StorePublisher
    from datasync_core.sync.store import Store
    from datasync_core.transport import Capabilities


@contextmanager
def opened(config: Path | None, which: str | None, *, create: bool = False) -> Iterator[Store]:
    """The store ``which`` (a URL, a name, None: main); without ``create`` nothing is made where nothing is.

    Raises `ConfigError` where there is none.
    """
    from attrs import evolve

    from datasync_core.config import load_settings
    from datasync_core.config.urls import store_settings
    from datasync_core.opening import open_store

    settings = load_settings(cwd=Path.cwd(), environ=os.environ, file=config)
    if which is not None and which in settings.stores:
        settings = evolve(settings, stores={which: settings.stores[which]})
    elif which is not None and ":" in which:
        settings = evolve(settings, stores={"main": store_settings("main", which, Path.cwd())})
        which = None
    elif which is None and (main := settings.main_store()) is not None:
        settings = evolve(settings, stores={main.name: main})
    store = open_store(settings if create else as_they_are(settings), which)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def publishing(config: Path | None, which: str | None) -> Iterator[tuple[StorePublisher, Capabilities]]:
    """What writes to the store ``which``, and what that can do; it is made where it is not there yet."""
    from datasync_core.model.runtime import RealRuntime
    from datasync_core.sync.publisher import StorePublisher

    with opened(config, which, create=True) as store:
        publisher = StorePublisher(store, RealRuntime())
        try:
            yield publisher, store.capabilities
        finally:
            publisher.close()


def as_they_are(settings: Settings) -> Settings:
    """The settings with stores that nobody makes by reading them.

    A transport whose subscriptions make the store where there is none has an option ``create`` that says no to it.
    """
    from attrs import evolve

    return evolve(settings, stores={name: _as_it_is(store) for name, store in settings.stores.items()})


def _as_it_is(store: StoreSettings) -> StoreSettings:
    from attrs import evolve

    from datasync_core.plugins.transports import transport_class

    makes = "create" in inspect.signature(transport_class(store.url.scheme)).parameters
    if not makes or "create" in store.url.query:
        return store
    return evolve(store, options={"create": False, **store.options})
