"""``new plugin`` and ``new transport``: a package that passes its own tests at once."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from datasync_core.cli.exits import Exit
from datasync_core.cli.options import complete_plugin, verbose_option
from datasync_core.cli.session import echo
from datasync_core.model.errors import UsageError
from datasync_core.model.keys import check_key, check_path, is_subtree, name_offset

if TYPE_CHECKING:
    from datasync_core.cli.scaffold import Scaffold

_DIR = click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where to make it: a new or empty folder; else datasync-NAME here.",
)


@click.group("new")
def new_command() -> None:
    """Make a package for a plugin or a transport, with code, tests, README and CI."""


@new_command.command("plugin")
@click.argument("name")
@click.option(
    "--requires",
    multiple=True,
    metavar="PLUGIN",
    shell_complete=complete_plugin,
    help="A plugin that must be in sync before this one. Repeatable.",
)
@click.option("--watch", metavar="PATH", help="What it watches: a subtree (routes/) or one key; else NAME/.")
@_DIR
@verbose_option
def plugin_command(name: str, requires: tuple[str, ...], watch: str | None, folder: Path | None) -> int:
    """Make a package for the plugin NAME.

    It passes its own tests at once. What it requires goes into its dependencies, too: under the name of the
    distribution that is installed here for it, else under datasync-PLUGIN, which is a guess to be looked at.
    """
    from datasync_core.cli.scaffold import Scaffold, check_name

    check_name(name)
    for other in requires:
        check_name(other)
    if name in requires:
        raise UsageError(f"{name} cannot require itself")
    path = f"{name}/" if watch is None else check_path(watch)
    if not is_subtree(path):
        check_key(path)
    key = f"{path}one" if is_subtree(path) else path
    others = list(dict.fromkeys(requires))
    words = {
        "watch": _literal(path),
        "key": _literal(key),
        "key_name": _literal(key[name_offset(path) :]),
        "requires": f"    requires = {_list(others)}\n" if others else "",
        "others": ", **dict.fromkeys(plugin.requires, Other)" if others else "",
        "with_others": ", beside stand-ins for what it requires" if others else "",
        "stand_in": _STAND_IN if others else "",
        "hookimpl": "from datasync_core import hookimpl\n" if others else "",
    }
    return _make(Scaffold("plugin", name, words, _dependencies(others)), folder)


@new_command.command("transport")
@click.argument("name")
@_DIR
@verbose_option
def transport_command(name: str, folder: Path | None) -> int:
    """Make a package for the transport NAME, which is the scheme of its URLs.

    It passes the conformance suite at once: it reads a JSON file, in whose place your store goes.
    """
    from datasync_core.cli.scaffold import Scaffold

    if "_" in name:
        raise UsageError(f"{name!r} is no scheme of a URL: write {name.replace('_', '-')}")
    return _make(Scaffold("transport", name, {}, ['"datasync-host",']), folder)


_STAND_IN = '''
class Other:
    """Stands for a plugin that is required."""

    @hookimpl
    def on_stop(self) -> None:
        """What has a hook is a plugin."""

'''


def _dependencies(requires: Sequence[str]) -> list[str]:
    """The lines of ``dependencies``: the host, attrs, and what is required."""
    from datasync_core.cli.scaffold import distribution_of
    from datasync_core.plugins.discovery import GROUP_PLUGINS, discover

    known = {one.name: one.distribution for one in discover(GROUP_PLUGINS).found} if requires else {}
    lines = ['"attrs>=24.1",', '"datasync-host",']
    for name in requires:
        if name in known:
            lines.append(f'"{known[name]}",  # the plugin {name}')
        else:
            lines.append(f'"{distribution_of(name)}",  # the plugin {name}; a guess, correct it')
    return list(dict.fromkeys(lines))


def _make(scaffold: Scaffold, folder: Path | None) -> int:
    place = folder or Path(scaffold.distribution)
    scaffold.write(place)
    here = f"{place}" if place.is_absolute() else f".{os.sep}{place}"
    python = shlex.quote(_python())
    echo(f"{place} is made; write what it does in {place / scaffold.module / '__init__.py'}")
    echo(f"install it:  {python} -m pip install -e {shlex.quote(f'{here}[dev]')}")
    echo(f"test it:     {python} -m pytest {shlex.quote(here)}")
    return Exit.FINE


def _python() -> str:
    """The Python that runs this, as one would type it here: the host is installed there."""
    python = Path(sys.executable)
    return str(python.relative_to(Path.cwd())) if python.is_relative_to(Path.cwd()) else str(python)


def _literal(text: str) -> str:
    """What stands for a text between double quotes."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _list(names: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"
