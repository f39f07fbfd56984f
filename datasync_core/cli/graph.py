"""``graph``: who requires whom."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from datasync_core.cli.exits import Exit
from datasync_core.cli.inventory import print_problems
from datasync_core.cli.loading import host_without_stores, settings_for
from datasync_core.cli.options import config_options, json_option, plugin_options
from datasync_core.cli.session import echo, print_json, session

if TYPE_CHECKING:
    from datasync_core.plugins.plugin import Plugin


class Edge(NamedTuple):
    """``name`` comes after ``first``; ``required``, or only if that is there."""

    first: str
    name: str
    required: bool


@click.command("graph")
@click.option(
    "--format", "form", type=click.Choice(["text", "mermaid", "dot"]), default="text", show_default=True
)
@plugin_options
@json_option
@config_options
def graph_command(
    files: tuple[Path, ...],
    form: str,
    stores: tuple[str, ...],
    only: tuple[str, ...],
    disable: tuple[str, ...],
    as_json: bool,
    config: Path | None,
) -> int:
    """Show the plugins in their order, and who requires whom."""
    host = host_without_stores(settings_for(config, stores, only, disable), files)
    names = [plugin.name for plugin in host.plugins]
    edges = [edge for plugin in host.plugins for edge in _edges(plugin, names)]
    waiting = dict(host.assembly.waiting_for)
    if as_json:
        plugins = [
            {"name": one.name, "requires": list(one.requires), "after": list(one.after)}
            for one in host.plugins
        ]
        print_json({"order": names, "plugins": plugins, "waiting": waiting})
    else:
        lines = {"text": _text(names, edges), "mermaid": _mermaid(names, edges), "dot": _dot(names, edges)}
        for line in lines[form]:
            echo(line)
    print_problems(host.problems, session().verbose)
    for name, why in waiting.items():
        echo(f"{name}: waits ({why})", err=True)
    return Exit.FINE


def _edges(plugin: Plugin, names: list[str]) -> Iterator[Edge]:
    for name in plugin.requires:
        yield Edge(name, plugin.name, True)
    for name in plugin.after:
        if name in names and name not in plugin.requires:
            yield Edge(name, plugin.name, False)


def _text(names: list[str], edges: list[Edge]) -> Iterator[str]:
    for name in names:
        requires = [edge.first for edge in edges if edge.name == name and edge.required]
        after = [edge.first for edge in edges if edge.name == name and not edge.required]
        line = name
        if requires:
            line += f" requires {', '.join(requires)}"
        if after:
            line += f"{',' if requires else ''} after {', '.join(after)}"
        yield line


def _mermaid(names: list[str], edges: list[Edge]) -> Iterator[str]:
    """Nodes are numbered: a plugin may be called like a word of the language (``end``)."""
    number = {name: f"n{index}" for index, name in enumerate(_all(names, edges))}
    yield "graph LR"
    for name, node in number.items():
        yield f'    {node}["{name}"]' if name in names else f'    {node}["{name} is not there"]'
    for edge in edges:
        arrow = "-->" if edge.required else "-.->"
        yield f"    {number[edge.first]} {arrow} {number[edge.name]}"


def _dot(names: list[str], edges: list[Edge]) -> Iterator[str]:
    yield "digraph plugins {"
    yield "    rankdir=LR"
    for name in _all(names, edges):
        yield f'    "{name}"' if name in names else f'    "{name}" [style=dashed]'
    for edge in edges:
        yield f'    "{edge.first}" -> "{edge.name}"' + ("" if edge.required else " [style=dashed]")
    yield "}"


def _all(names: list[str], edges: list[Edge]) -> list[str]:
    return [*names, *sorted({edge.first for edge in edges} - set(names))]
