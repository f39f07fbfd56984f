"""``explain``: why a key is where it is."""

from __future__ import annotations

from pathlib import Path

import click

from datasync_core.cli.asking import ask_host, host_options
from datasync_core.cli.exits import Exit
from datasync_core.cli.options import json_option
from datasync_core.cli.session import echo, print_json
from datasync_core.model.keys import check_key


@click.command("explain")
@click.argument("key")
@json_option
@host_options
def explain_command(key: str, as_json: bool, config: Path | None, name: str | None) -> int:
    """Ask the running host why a key is where it is.

    It tells the store and revision, who watches the key and what became of it there: applied, pending, invalid,
    rejected or held; what is waited for, and when the next attempt is.
    """
    check_key(key)
    said = ask_host(config, name, {"command": "explain", "key": key})
    if as_json:
        print_json(said)
    else:
        from datasync_core.ops.explain import in_words

        for line in in_words(said):
            echo(line)
    return Exit.FINE
