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
from datasync_core.ops.failing import MOST

LAST = 10
"""Faults, and failing keys of each plugin, that people are shown; ``--json`` has more."""


@click.command("status")
@click.option(
    "--check", is_flag=True, help="Say only what is not in sync or not complete; exit with 1 for it."
)
@json_option
@host_options
def status_command(check: bool, as_json: bool, config: Path | None, name: str | None) -> int:
    """Show how the running host is doing: its stores, its plugins, what hangs, the last faults.

    Exits with 1 where no host runs, else with 0, however its plugins are. With --check, for probes, 0 says that each
    plugin is in sync and complete (no key is pending, invalid, rejected or held), 1 that some is not.
    """
    status = ask_host(config, name, {"command": "status"})
    wrong = list(reasons(status))
    if as_json:
        print_json(status)
    else:
        for line in wrong if check else lines(status):
            echo(line)
    return Exit.FAILED if check and wrong else Exit.FINE


def reasons(status: Mapping[str, Any]) -> Iterator[str]:
    """Why not all that runs is in sync and complete, a line for each reason."""
    if hanging := status["hanging"]:
        yield _hangs(hanging)
    for plugin in status["plugins"]:
        if plugin["state"] != "disabled" and not plugin.get("complete"):
            yield f"{plugin['name']}: {_plugin(plugin)}"
            yield from _failing(plugin.get("failing"))


def _hangs(hanging: Mapping[str, Any]) -> str:
    of = f" of plugin {hanging['plugin']}" if hanging["plugin"] else ", outside hooks,"
    return f"{hanging['hook']}{of} hangs since {local(hanging['since'])}"


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
        yield from _failing(plugin.get("failing"))
    if hanging := status["hanging"]:
        yield _hangs(hanging)
    faults = status["faults"]
    if len(faults) > LAST:
        yield f"the last {LAST} of {len(faults)} faults:"
    for fault in faults[-LAST:]:
        again = f" ({fault['count']} times, last {local(fault['last'])})" if fault.get("count", 1) > 1 else ""
        yield f"{local(fault['time'])} {fault['kind']}: {fault['text']}{again}"


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
        left = plugin["in_sync"] and plugin["not_applied"]
        all_of_it = counted(plugin["of"], "key")
        facts.append(f"{left} of {all_of_it} not applied" if left else counted(plugin["keys"], "key"))
        if plugin["undelivered"]:
            facts.append(f"{plugin['undelivered']} invalid or rejected")
        if plugin["set_aside"]:
            facts.append(f"{plugin['set_aside']} failing alone and tried again")
    return ", ".join(facts)


def _failing(failing: Mapping[str, Any] | None) -> Iterator[str]:
    """The keys that are not applied now: the first, and how many more there are."""
    if failing is None:
        return
    for one in failing["keys"][:LAST]:
        times = f" ({one['count']} times since {local(one['since'])})" if (one["count"] or 0) > 1 else ""
        yield f"  {one['key']} {one['what']}: {one['why']}{times}"
    if failing["number"] > LAST:
        yield f"  and {failing['number'] - LAST} more; --json has the first {MOST}"
