"""``run``: the host, until a signal ends it."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from datasync_core.cli.exits import Exit
from datasync_core.cli.inventory import print_problems, waits
from datasync_core.cli.loading import settings_for
from datasync_core.cli.options import config_options, plugin_options
from datasync_core.cli.session import echo, session
from datasync_core.model.errors import PluginError

if TYPE_CHECKING:
    from datasync_core.cli.logs import HostLog
    from datasync_core.cli.signals import StopSignals
    from datasync_core.config import Settings
    from datasync_core.host import Host
    from datasync_core.model.runtime import Doorbell

log = logging.getLogger("datasync.cli")

LOOK = 0.5
"""Seconds between looks at whether a store refuses us, the host broke or a plugin changed its log; signals ring."""
IN_ORDER = 0.2
"""Seconds to write a line before what plugins print next, for readers who have both outputs in one."""


@click.command("run")
@plugin_options
@click.option("--name", metavar="NAME", help="The name of this host; only one of a name runs.")
@click.option("--strict", is_flag=True, help="Do not start when anything is wrong with any plugin.")
@click.option("--trace-hooks", is_flag=True, help="Log each call of a hook.")
@click.option("-q", "--quiet", is_flag=True, help="Log only warnings and errors.")
@click.option(
    "--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True, help="On stderr."
)
@config_options
def run_command(
    files: tuple[Path, ...],
    stores: tuple[str, ...],
    only: tuple[str, ...],
    disable: tuple[str, ...],
    name: str | None,
    strict: bool,
    trace_hooks: bool,
    quiet: bool,
    log_format: str,
    config: Path | None,
) -> int:
    """Run the plugins that are installed, and those in files, until Ctrl-C or SIGTERM.

    The first signal (SIGHUP, too, unless it is ignored) lets the running hook finish and stops the plugins in reverse
    order, the second ends the process at once. Exits with 1 when a hook does not return within stop_timeout, 3 for a
    wrong setting, 4 when no plugin is left to run, 5 when a store refuses this host, 75 when a plugin's fault or a
    hook that hangs asks for a restart.
    Where nothing names a store, datasync.db in the working directory is made.
    """
    from datasync_core.cli.ending import LAST_WORDS
    from datasync_core.cli.logs import log_to_stderr
    from datasync_core.cli.signals import StopSignals
    from datasync_core.model.runtime import RealRuntime

    session().store_exit = Exit.STORE
    session().last_words = LAST_WORDS
    verbose = session().verbose
    level = logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO
    host_log = log_to_stderr(log_format, level, verbose)
    bell = RealRuntime().doorbell()
    with StopSignals(bell) as signals:
        try:
            try:
                settings = settings_for(config, stores, only, disable, name)
                host, folder, beginning = _prepared(settings, files, trace_hooks)
            except KeyboardInterrupt:
                if signals.received in (None, "SIGINT"):
                    raise
                host_log.keep()
                log.info("stopping, because of %s", signals.received)  # before anything began
                return Exit.FINE
            changed = signals.begin()
            host_log.keep()
            if changed:
                log.warning("a plugin changed the handling of %s: put back", ", ".join(changed))
            _check_plugins(host, strict, verbose)
            log.info("%s", beginning)
            return _run(host, folder, signals, bell, host_log)
        finally:
            host_log.drain(LAST_WORDS)


def _prepared(settings: Settings, files: Sequence[Path], trace_hooks: bool) -> tuple[Host, Path, str]:
    """The host, its plugins loaded, the folder of its state, and the first line that it says."""
    from attrs import evolve

    from datasync_core.cli.imports import ImportWatch
    from datasync_core.config import embedded_store, state_folder
    from datasync_core.host import Host
    from datasync_core.model.runtime import RealRuntime

    made = ""
    if not settings.stores:
        settings = evolve(settings, stores={"main": embedded_store(Path.cwd())})
        made = " (made here, as nothing names a store)"
    folder = state_folder(settings, os.environ)
    wrappers = []
    if trace_hooks:
        from datasync_core.cli.trace import HookTrace
        from datasync_core.plugins.wrappers import wrappers_of

        wrappers = list(wrappers_of(HookTrace()))
    host = Host(settings=settings, discover=True, files=files, wrappers=wrappers, state_dir=folder)
    with ImportWatch(RealRuntime(), settings.host.hook_timeout) as watch:
        host.load(watch)
    stores = ", ".join(f"{store.name} {store.url}" for store in host.stores.values())
    plugins = ", ".join(plugin.name for plugin in host.plugins)
    shown = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    return host, folder, f"host {host.name}: store {stores}{made}, plugins {plugins}, state in {shown}"


def _check_plugins(host: Host, strict: bool, verbose: bool) -> None:
    """Raise `PluginError` where nothing is left to run, or, strictly, where anything is wrong."""
    waiting = waits(host)
    left = [plugin.name for plugin in host.plugins if plugin.name not in waiting]
    if left and not (strict and (host.problems or waiting)):
        return  # the host logs the problems when it starts
    print_problems(host.problems, verbose)
    for name, why in waiting.items():
        echo(f"{name}: waits ({why})", err=True)
    if left:
        raise PluginError("not started, because of --strict: something is wrong with plugins, as said above")
    if host.problems or waiting:
        raise PluginError("no plugin is left to run; what is wrong with each is said above")
    if host.assembly.disabled:
        names = ", ".join(f"{name} ({why})" for name, why in host.assembly.disabled.items())
        raise PluginError(f"no plugin is left to run: {names}")
    raise PluginError("no plugin is installed: pip install one, or name a file: datasync-host run FILE.py")


def _run(host: Host, folder: Path, signals: StopSignals, bell: Doorbell, host_log: HostLog) -> Exit:
    from datasync_core.cli.ending import HangWatch
    from datasync_core.ops.ownership import make_base

    with HangWatch(host, lambda: signals.received is not None):
        make_base(folder.parent)
        host_log.drain(IN_ORDER)
        host.start()
        while signals.received is None and not _is_over(host):
            bell.wait(LOOK)
            host_log.keep()
        refused = host.refused()
        if signals.received is not None:
            log.info("stopping, because of %s", signals.received)
            host_log.drain(IN_ORDER)
        _stop(host)
        if signals.received is None and refused is not None:
            raise refused
        if signals.received is None and host.restart_wanted:
            return Exit.RESTART
        return Exit.FINE if host.crashed() is None else Exit.FAILED


def _is_over(host: Host) -> bool:
    """Whether the host cannot go on, or wants to be started anew."""
    return host.restart_wanted or host.refused() is not None or host.crashed() is not None


def _stop(host: Host) -> None:
    """Stop the host; where a hook does not return in time, name it and end the process."""
    from datasync_core.cli.ending import end_at_once

    timeout = host.settings.host.stop_timeout
    session().leave_by = time.monotonic() + timeout
    if host.stop(timeout):
        return
    running = host.running()
    what = f"{running[1]} of plugin {running[0]}" if running else "a thread of the host"
    end_at_once(f"{what} has not returned within {timeout:g} s (stop_timeout): ended without it", Exit.FAILED)
