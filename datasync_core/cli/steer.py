"""``resync`` and ``release``: what an operator may tell a running host to do."""

from __future__ import annotations

from pathlib import Path

import click

from datasync_core.cli.asking import ask_host, complete_running, counted, host_options
from datasync_core.cli.exits import Exit
from datasync_core.cli.options import json_option
from datasync_core.cli.session import echo, print_json


@click.command("resync")
@click.argument("plugins", nargs=-1, metavar="[PLUGIN ...]", shell_complete=complete_running)
@json_option
@host_options
def resync_command(plugins: tuple[str, ...], as_json: bool, config: Path | None, name: str | None) -> int:
    """Let the running host hand plugins their whole state again: these, else all.

    Plugins that require them are resynced with them. What was rejected is tried again, no retry is waited for, and a
    store of theirs that is lost is tried at once.
    It returns at once. Exits with 1 where no host runs, 2 for a plugin that does not run there.
    """
    planned = ask_host(config, name, {"command": "resync", "plugins": list(plugins)})
    if as_json:
        print_json({"planned": planned})
    else:
        echo(f"a resync is planned of {', '.join(planned) or 'nobody, as no plugin runs'}")
    return Exit.FINE


@click.command("release")
@click.argument("plugin", shell_complete=complete_running)
@json_option
@host_options
def release_command(plugin: str, as_json: bool, config: Path | None, name: str | None) -> int:
    """Let the removals go that the running host holds back of a plugin.

    They are keys that vanished, too many at once, without having been deleted; status tells how many. Those of
    plugins that require it go with them. Exits with 1 where no host runs, 2 for a plugin that does not run there.
    """
    held = ask_host(config, name, {"command": "release", "plugin": plugin})
    if as_json:
        print_json({"plugin": plugin, "released": held})
    elif held:
        echo(f"{counted(held, 'removal')} of {plugin} and of what requires it {_go(held)}")
    else:
        echo(f"nothing of {plugin} is held")
    return Exit.FINE


def _go(number: int) -> str:
    return "goes ahead" if number == 1 else "go ahead"
