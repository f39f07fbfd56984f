"""Every plugin of a host as `plugins` and `check` show it: what its metadata says, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from datasync_core.cli.session import echo, print_traceback

if TYPE_CHECKING:
    from datasync_core.host import Host
    from datasync_core.plugins.plugin import Plugin
    from datasync_core.plugins.problem import Problem


def inventory(host: Host) -> list[dict[str, Any]]:
    """One row for each plugin, sorted by name: state ``ok``, ``waiting``, ``disabled`` or ``failed``, and why.

    ``host`` has loaded its plugins.
    """
    rows = {one.name: _row(one.name, one.distribution, one.version, one.value) for one in host.assembly.found}
    for name, why in host.assembly.disabled.items():
        rows.setdefault(name, _row(name)).update(state="disabled", reason=why)
    waiting = waits(host)
    for plugin in host.plugins:
        rows[plugin.name] = _loaded(plugin, waiting.get(plugin.name))
    for problem in host.problems:
        if problem.plugin is None:
            continue
        row = rows.setdefault(problem.plugin, _row(problem.plugin))
        reason = f"{row['reason']}; {problem.text}" if row["state"] == "failed" else problem.text
        row.update(state="failed", reason=reason, path=problem.where or row["path"])
    templates = {one.use for one in host.settings.plugins.values()}
    return [rows[name] for name in sorted(rows) if rows[name]["state"] or name not in templates]


def waits(host: Host) -> dict[str, str]:
    """Plugins that cannot run as things are, and what they miss, directly or not."""
    waiting: dict[str, str] = {}
    there = {plugin.name for plugin in host.plugins}
    for plugin in host.plugins:
        missing = [f"requires {name}: {waiting[name]}" for name in plugin.requires if name in waiting]
        failed = host.assembly.order.requires[plugin.name]
        missing += [f"requires {name}: failed" for name in failed if name not in there]
        if direct := host.assembly.waiting_for.get(plugin.name):
            missing.insert(0, direct)
        if missing:
            waiting[plugin.name] = ", ".join(missing)
    return waiting


def print_problems(problems: Sequence[Problem], verbose: bool) -> None:
    """One line each on stderr; ``verbose`` adds tracebacks where there are some."""
    for problem in problems:
        if verbose and problem.error is not None:
            print_traceback(problem.error)
        echo(str(problem), err=True)


def _row(name: str, distribution: str = "", version: str = "", path: str = "") -> dict[str, Any]:
    return {
        "name": name,
        "distribution": distribution,
        "version": version,
        "path": path,
        "hooks": [],
        "requires": [],
        "after": [],
        "watches": [],
        "state": "",
        "reason": "",
    }


def _loaded(plugin: Plugin, waiting: str | None) -> dict[str, Any]:
    return {
        **_row(plugin.name, plugin.distribution, plugin.version, plugin.where),
        "hooks": list(plugin.hooks),
        "requires": list(plugin.requires),
        "after": list(plugin.after),
        "watches": [
            watch.path if watch.store == "main" else f"{watch.store}:{watch.path}" for watch in plugin.watches
        ],
        "state": "ok" if waiting is None else "waiting",
        "reason": waiting or "",
    }
