"""``status``: how a running host is doing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from datasync_core.cli.asking import ask_host, counted, host_options, local
from datasync_core.cli.exits import Exit
from datasync_core.cli.options import json_option
from datasync_core.cli.session import echo, print_json
from datasync_core.ops.absence import next_try

LAST = 10
"""Faults that people are shown; ``--json`` has all that the host remembers."""


@click.command("status")
@json_option
@host_options
def status_command(as_json: bool, config: Path | None, name: str | None) -> int:
    """Show how the running host is doing: its stores, its plugins, what hangs, the last faults.

    Exits with 1 where no host runs, else with 0, however its plugins are.
    """
    status = ask_host(config, name, {"command": "status"})
    if as_json:
        print_json(status)
    else:
        for line in lines(status):
            echo(line)
    return Exit.FINE


def lines(status: Mapping[str, Any]) -> Iterator[str]:
    """What the host said, a line for each thing."""
    yield f"host {status['host']}"
    if running := status["running"]:
        yield (
            f"plugins and keys as before {local(running['since'])}:"
            f" since then {running['hook']} of plugin {running['plugin']} runs"
        )
    for store in status["stores"]:
        yield f"store {store['name']}: {_store(store)}"
    for plugin in status["plugins"]:
        yield f"{plugin['name']}: {_plugin(plugin)}"
    if hanging := status["hanging"]:
        of = f" of plugin {hanging['plugin']}" if hanging["plugin"] else ", outside hooks,"
        yield f"{hanging['hook']}{of} hangs since {local(hanging['since'])}"
    faults = status["faults"]
    if len(faults) > LAST:
        yield f"the last {LAST} of {len(faults)} faults:"
    for fault in faults[-LAST:]:
        yield f"{local(fault['time'])} {fault['kind']}: {fault['text']}"


def _store(store: Mapping[str, Any]) -> str:
    if not store["watched"]:
        return f"watched by no plugin, {store['url']}"
    since = local(store["since"])
    url, keys = store["url"], counted(store["keys"], "key")
    if store["connected"]:
        return f"connected since {since}, {keys} at revision {store['revision']}, {url}"
    if store["error"] is None:
        return f"not read yet, since {since}, {url}"
    if not store["reached"]:
        return f"never reached since {since} ({store['error']}), {next_try(store)}, {url}"
    return f"lost since {since} ({store['error']}), {next_try(store)}, {keys} from before, {url}"


def _plugin(plugin: Mapping[str, Any]) -> str:
    state = plugin["state"].replace("_", " ")
    facts = [f"{state} ({plugin['reason']})" if plugin["reason"] else state]
    if "keys" in plugin:
        facts.append(counted(plugin["keys"], "key"))
        if plugin["undelivered"]:
            facts.append(f"{plugin['undelivered']} of them invalid or rejected")
        if plugin["set_aside"]:
            facts.append(f"{plugin['set_aside']} of them failed alone and are tried again")
    return ", ".join(facts)
