"""``get`` and ``list``: what a store holds."""

from __future__ import annotations

from pathlib import Path

import click

from datasync_core.cli.exits import Exit
from datasync_core.cli.opening import opened
from datasync_core.cli.options import config_options, json_option, store_option
from datasync_core.cli.reading import name_unreadable, read
from datasync_core.cli.session import echo, output, print_json, say
from datasync_core.cli.values import as_fields, as_line
from datasync_core.model.keys import check_key, check_path, shown


@click.command("get")
@click.argument("key")
@store_option
@json_option
@config_options
def get_command(key: str, store: str | None, as_json: bool, config: Path | None) -> int:
    """Print the value of a key.

    The bytes are printed as they are; on a terminal a line end follows. Exits with 1 where there is no such key.
    """
    check_key(key)
    with opened(config, store) as source:
        entries = read(source, key)
    if not entries:
        say(f"there is no key {key}")
        return Exit.FAILED
    if name_unreadable(entries):
        return Exit.FAILED
    entry = entries[0]
    if as_json:
        print_json({"key": key, **as_fields(entry.value), "revision": entry.revision})
        return Exit.FINE
    with output() as stdout:
        stdout.write(entry.value)
        if stdout.isatty() and not entry.value.endswith(b"\n"):
            stdout.write(b"\n")
    return Exit.FINE


@click.command("list")
@click.argument("path", default="")
@click.option("--values", is_flag=True, help="Print each value after its key and a tab, on one line.")
@store_option
@json_option
@config_options
def list_command(path: str, values: bool, store: str | None, as_json: bool, config: Path | None) -> int:
    """List the keys under a path, sorted, one a line.

    PATH is a subtree when it ends in a slash (routes/), else one key; without it, everything.
    """
    check_path(path)
    with opened(config, store) as source:
        entries = read(source, path)
    for entry in entries:
        if as_json:
            error = {} if entry.error is None else {"error": entry.error}
            value = as_fields(entry.value) if values and not error else {}
            print_json({"key": entry.key, **value, "revision": entry.revision, **error})
        elif values and entry.error is None:
            click.echo(f"{shown(entry.key)}\t{as_line(entry.value)}")
        else:
            echo(entry.key)
    if not as_json:
        name_unreadable(entries)
    return Exit.FINE
