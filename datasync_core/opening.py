"""Stores as they are configured, ready to be used: a transport under a name, with its prefix and separator."""

from __future__ import annotations

from pathlib import Path

from datasync_core.config.settings import Settings, StoreSettings
from datasync_core.config.urls import store_settings
from datasync_core.model.errors import ConfigError, Misconfigured
from datasync_core.plugins.arguments import WrongSetting
from datasync_core.plugins.transports import make_transport
from datasync_core.sync.store import Store

NO_STORE = "no datasync.toml or datasync.db here; give --store"


def make_store(settings: StoreSettings) -> Store:
    """A store as it is configured; opens nothing.

    Raises `ConfigError` for a wrong URL or option, saying where it is: what needs no store to be seen is the
    configuration's, whichever class of errors a transport has for it.
    """
    try:
        transport = make_transport(settings.url, settings.options, settings.text, settings.secret)
    except ConfigError as error:
        setting = error.setting if isinstance(error, WrongSetting) else None
        origin = settings.origins.get(setting or "", settings.origin)
        if not origin.where:
            raise
        raise origin.refusal(str(error)) from error
    except Misconfigured as error:
        raise settings.origin.refusal(str(error)) from error
    transport.liveness = settings.liveness
    names = {"prefix": settings.prefix, "separator": settings.separator}
    return Store(settings.name, transport, secret=settings.secret, **names)


def open_store(settings: Settings, which: str | None) -> Store:
    """One store for one command: by its name, by a URL, or (None) main. Opens nothing yet.

    Raises `ConfigError` where there is none.
    """
    if which is not None and which in settings.stores:
        return make_store(settings.stores[which])
    if which is not None:
        if ":" not in which:
            names = ", ".join(settings.stores) or "none"
            raise ConfigError(
                f"there is no store {which}: give a URL, or the name of one that is configured ({names})"
            )
        return make_store(store_settings("main", which, Path.cwd()))
    main = settings.main_store()
    if main is None:
        raise ConfigError(NO_STORE)
    return make_store(main)
