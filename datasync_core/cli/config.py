"""``config``: each setting, and where it comes from."""

from __future__ import annotations

import os
from pathlib import Path

import click

from datasync_core.cli.exits import Exit
from datasync_core.cli.options import config_options, json_option
from datasync_core.cli.session import echo, print_json


@click.command("config")
@json_option
@config_options
def config_command(as_json: bool, config: Path | None) -> int:
    """Show each setting with its origin; secrets are hidden."""
    from datasync_core.config import load_settings

    settings = load_settings(cwd=Path.cwd(), environ=os.environ, file=config)
    if as_json:
        print_json(
            [{"name": row.name, "value": row.shown, "origin": str(row.origin)} for row in settings.rows]
        )
        return Exit.FINE
    width = max((len(f"{row.name} = {row.shown}") for row in settings.rows), default=0)
    for row in settings.rows:
        echo(f"{f'{row.name} = {row.shown}':{min(width, 60)}}  # {row.origin}")
    return Exit.FINE
