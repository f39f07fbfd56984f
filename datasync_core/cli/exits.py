"""The exit codes of ``datasync-host``, and which error means which."""

from __future__ import annotations

from enum import IntEnum

from datasync_core.model.errors import ConfigError, PluginError, StoreError, UsageError


class Exit(IntEnum):
    """What a command ends with; programs rely on these numbers."""

    FINE = 0
    FAILED = 1
    USAGE = 2
    CONFIG = 3
    PLUGINS = 4
    STORE = 5
    RESTART = 75
    INTERRUPTED = 130
    """Ctrl-C ended a command that was not made to be ended so: 128 + SIGINT, as shells have it."""


def exit_of(error: BaseException, store_exit: Exit = Exit.FAILED) -> Exit:
    """The code for an error; ``store_exit`` is what a store's own trouble means to this command."""
    if isinstance(error, UsageError):
        return Exit.USAGE
    if isinstance(error, ConfigError):
        return Exit.CONFIG
    if isinstance(error, PluginError):
        return Exit.PLUGINS
    if isinstance(error, StoreError):
        return store_exit
    return Exit.FAILED
