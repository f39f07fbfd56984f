"""Asking the host that runs here: options that say which one, its answer, and times for people."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from datasync_core.cli.options import config_options

Function = TypeVar("Function", bound=Callable[..., Any])


def host_options(command: Function) -> Function:
    """``--name``, ``-c`` and ``-v``: the running host is found through the state directory that they lead to."""
    return click.option("--name", metavar="NAME", help="The host's name, where it was started with --name.")(
        config_options(command)
    )


def ask_host(config: Path | None, name: str | None, request: Mapping[str, Any]) -> Any:
    """The running host's answer. Raises `HostError` where none runs, `UsageError` for what it refuses."""
    from datasync_core.cli.loading import settings_for
    from datasync_core.config import state_folder
    from datasync_core.ops.control import ask

    return ask(state_folder(settings_for(config, (), (), (), name), os.environ), request)


def complete_running(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Names of the plugins that the running host has."""
    from datasync_core.model.errors import DatasyncError

    try:
        status = ask_host(ctx.params.get("config"), ctx.params.get("name"), {"command": "status"})
    except (DatasyncError, OSError):
        return []
    return [one["name"] for one in status["plugins"] if "keys" in one and one["name"].startswith(incomplete)]


def local(time: float) -> str:
    """``2026-03-01 12:00:01``: seconds since the Unix epoch as the operator's clock shows them."""
    return datetime.fromtimestamp(time).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def counted(number: int, what: str) -> str:
    """``1 key``, ``2 keys``."""
    return f"{number} {what}{'' if number == 1 else 's'}"
