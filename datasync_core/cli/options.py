"""Options that several commands share, and what completes them in a shell."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from datasync_core.cli.session import Session

Function = TypeVar("Function", bound=Callable[..., Any])


def _be_verbose(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Session).verbose = True


def complete_store(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Names of the configured stores."""
    from datasync_core.config import load_settings
    from datasync_core.model.errors import DatasyncError

    try:
        settings = load_settings(cwd=Path.cwd(), environ=os.environ, file=ctx.params.get("config"))
    except (DatasyncError, OSError):
        return []
    return [name for name in settings.stores if name.startswith(incomplete)]


def complete_plugin(_ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Names of the installed plugins, after ``no:`` where that is written."""
    from datasync_core.plugins.discovery import GROUP_PLUGINS, discover

    prefix = "no:" if incomplete.startswith("no:") else ""
    names = [one.name for one in discover(GROUP_PLUGINS).found]
    return [prefix + name for name in names if name.startswith(incomplete.removeprefix("no:"))]


def verbose_option(command: Function) -> Function:
    """``-v``."""
    return click.option(
        "-v", "--verbose", is_flag=True, expose_value=False, callback=_be_verbose, help="Show tracebacks."
    )(command)


def config_options(command: Function) -> Function:
    """``-c`` and ``-v``."""
    command = verbose_option(command)
    return click.option(
        "-c",
        "--config",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="The configuration file, in place of datasync.toml.",
    )(command)


def store_option(command: Function) -> Function:
    """``--store`` of the commands that work on one store."""
    return click.option(
        "--store",
        metavar="URL|NAME",
        shell_complete=complete_store,
        help="The store: a URL like sqlite:data.db, or a configured name; else the main one.",
    )(command)


def json_option(command: Function) -> Function:
    """``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(command)


def disabled_names(words: Sequence[str]) -> list[str]:
    """The names in ``-p no:NAME``; raises a usage error for another form."""
    for word in words:
        if not word.startswith("no:") or word == "no:":
            raise click.UsageError(f"-p takes no:NAME, as in -p no:routes; got {word!r}")
    return [word.removeprefix("no:") for word in words]


def plugin_options(command: Function) -> Function:
    """Which plugins: files, ``--only`` and ``-p no:NAME``; and ``--store [NAME=]URL``."""
    command = click.argument(
        "files",
        nargs=-1,
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="[FILE.py ...]",
    )(command)
    command = click.option(
        "-p",
        "disable",
        multiple=True,
        metavar="no:NAME",
        shell_complete=complete_plugin,
        help="Leave a plugin out. Repeatable.",
    )(command)
    command = click.option(
        "--only",
        multiple=True,
        metavar="NAME",
        shell_complete=complete_plugin,
        help="Load this plugin and what it requires, and no other. Repeatable.",
    )(command)
    return click.option(
        "--store",
        "stores",
        multiple=True,
        metavar="[NAME=]URL",
        help="The main store, or the one of that name. Repeatable.",
    )(command)
