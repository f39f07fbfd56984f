"""``plugins``: who is installed, and what is wrong with whom."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from datasync_core.cli.exits import Exit
from datasync_core.cli.inventory import inventory, print_problems
from datasync_core.cli.loading import host_without_stores, settings_for
from datasync_core.cli.options import config_options, json_option, plugin_options
from datasync_core.cli.session import echo, print_json, session


@click.command("plugins")
@click.option("--all", "everything", is_flag=True, help="List the transports, too.")
@plugin_options
@json_option
@config_options
def plugins_command(
    files: tuple[Path, ...],
    everything: bool,
    stores: tuple[str, ...],
    only: tuple[str, ...],
    disable: tuple[str, ...],
    as_json: bool,
    config: Path | None,
) -> int:
    """List the plugins, and what is wrong with them.

    All of them are loaded, each by itself, but those that are disabled. A broken one hides no other.
    """
    from datasync_core.plugins.discovery import GROUP_TRANSPORTS, discover

    host = host_without_stores(settings_for(config, stores, only, disable), files)
    rows = inventory(host)
    transports = discover(GROUP_TRANSPORTS).found if everything else ()
    extra = [
        {"scheme": one.name, "distribution": one.distribution, "version": one.version, "path": one.value}
        for one in transports
    ]
    if as_json:
        print_json({"plugins": rows, "transports": extra} if everything else rows)
    else:
        for line in lines(rows):
            echo(line)
        for one in transports:
            echo(f"transport {one.name}: {one.origin}, {one.value}")
        if not rows:
            echo("no plugin is installed: pip install one, or name a FILE.py", err=True)
    print_problems([one for one in host.problems if one.plugin is None], session().verbose)
    return Exit.FINE


def lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """``hello: ok, datasync-hello 0.1.0, watches hello/, hooks on_resync on_change, in /…/hello.py``."""
    return [_line(row) for row in rows]


def _line(row: dict[str, Any]) -> str:
    facts = [row["state"] + (f" ({row['reason']})" if row["reason"] else "")]
    if row["distribution"]:
        facts.append(f"{row['distribution']} {row['version']}")
    lists = {word: row[word] for word in ("watches", "requires", "after", "hooks") if row[word]}
    facts += [f"{word} {' '.join(one or repr(one) for one in several)}" for word, several in lists.items()]
    if row["path"]:
        facts.append(f"in {row['path']}")
    return f"{row['name']}: {', '.join(facts)}"
