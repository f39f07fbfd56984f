"""``check``: would it run? Loads, validates and orders the plugins, reaches the stores, changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from datasync_core.cli.exits import Exit
from datasync_core.cli.inventory import inventory, print_problems
from datasync_core.cli.loading import host_with_stores, settings_for
from datasync_core.cli.options import config_options, json_option, plugin_options
from datasync_core.cli.plugins import lines
from datasync_core.cli.reading import unreadable
from datasync_core.cli.session import echo, print_json, print_traceback, session
from datasync_core.model.errors import ConfigError, error_text
from datasync_core.model.keys import outermost

if TYPE_CHECKING:
    from datasync_core.cli.apart import Report
    from datasync_core.config import Settings
    from datasync_core.host import Host
    from datasync_core.sync.store import Store

_NAMED = 5  # keys that cannot be read and are named; --json names all


@click.command("check")
@plugin_options
@json_option
@config_options
def check_command(
    files: tuple[Path, ...],
    stores: tuple[str, ...],
    only: tuple[str, ...],
    disable: tuple[str, ...],
    as_json: bool,
    config: Path | None,
) -> int:
    """Load, validate and order the plugins, reach the stores, and exit.

    Exits with 3 for a wrong setting, 4 for a plugin that is broken or misses what it requires, 5 for a store that
    cannot be read. Keys that cannot be read are named, and no error. Nothing is made and nothing is changed. Plugins
    are imported in a process of its own; one that ends it, or takes longer than 30 s, is named, and is an error.
    """
    from datasync_core.cli.apart import apart
    from datasync_core.host import NO_STORE

    session().store_exit = Exit.STORE
    settings = settings_for(config, stores, only, disable)
    if not settings.stores:
        raise ConfigError(NO_STORE)
    return apart(lambda report: _check(settings, files, as_json, report))


def _check(settings: Settings, files: Sequence[Path], as_json: bool, report: Report) -> int:
    host = host_with_stores(settings, files, report)
    rows = inventory(host)
    reached = [_reach(store, paths) for store, paths in _watched(host).items()]
    code = Exit.FINE
    if any(row["error"] for row in reached):
        code = Exit.STORE
    if host.problems or any(row["state"] in ("failed", "waiting") for row in rows):
        code = Exit.PLUGINS
    if as_json:
        print_json({"plugins": rows, "stores": reached, "exit": int(code)})
    else:
        for line in lines(rows):
            echo(line)
        for row in reached:
            said = row["error"] or "reached"
            echo(f"store {row['name']}: {said}" + (f", {row['url']}" if row["url"] not in said else ""))
            for line in _without_value(row["unreadable"]):
                echo(line)
    print_problems(
        [one for one in host.problems if one.plugin is None or session().verbose], session().verbose
    )
    return code


def _watched(host: Host) -> Mapping[Store, list[str]]:
    """What is watched in each store."""
    watched: dict[str, list[str]] = {name: [] for name in host.stores}
    for plugin in host.plugins:
        for watch in plugin.watches:
            store = host.settings.store_of(plugin.name, watch.store)
            if store is not None:
                watched[store.name].append(watch.path)
    return {host.stores[name]: outermost(paths) for name, paths in watched.items()}


def _reach(store: Store, paths: list[str]) -> dict[str, Any]:
    """Read what is watched, as a host would; where nothing is, the first part of what is there."""
    error = None
    without: dict[str, str] = {}
    try:
        if paths:
            without = unreadable(store, paths)
        else:
            subscription = store.subscribe([""])
            try:
                next(iter(subscription.snapshot()), None)
            finally:
                subscription.close()
    except Exception as caught:  # of a transport's own mistakes this is the place to tell
        error = error_text(caught) or type(caught).__name__
        if session().verbose:
            print_traceback(caught)
    finally:
        store.close()
    return {"name": store.name, "url": store.url, "error": error, "unreadable": without}


def _without_value(without: Mapping[str, str]) -> Iterator[str]:
    """A line for each of the first keys that cannot be read; hooks are told of them as invalid, so it is no error."""
    for key in islice(without, _NAMED):
        yield f"  {key}: {without[key]}"
    if len(without) > _NAMED:
        yield f"  and {len(without) - _NAMED} keys more that cannot be read"
