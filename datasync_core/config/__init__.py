"""Settings with their origin: the command line, else the environment, else the file, else the default."""

from datasync_core.config.folder import state_folder
from datasync_core.config.loading import load_settings
from datasync_core.config.settings import (
    Brake,
    HostSettings,
    Origin,
    PluginSettings,
    RetrySettings,
    Row,
    Settings,
    StoreSettings,
)
from datasync_core.config.sources import Overrides
from datasync_core.config.stores import embedded_store
from datasync_core.config.table import SETTINGS, Setting

__all__ = [
    "SETTINGS",
    "Brake",
    "HostSettings",
    "Origin",
    "Overrides",
    "PluginSettings",
    "RetrySettings",
    "Row",
    "Setting",
    "Settings",
    "StoreSettings",
    "embedded_store",
    "load_settings",
    "state_folder",
]
