"""``load``: write many keys from a file."""

from __future__ import annotations

from pathlib import Path

import click

from datasync_core.cli.exits import Exit
from datasync_core.cli.opening import publishing
from datasync_core.cli.options import config_options, json_option, store_option
from datasync_core.cli.session import print_json, read_input
from datasync_core.model.errors import Unsupported, UsageError


@click.command("load")
@click.argument("file", metavar="FILE|-")
@click.option("--atomic", is_flag=True, help="All in one transaction, or refuse.")
@store_option
@json_option
@config_options
def load_command(file: str, atomic: bool, store: str | None, as_json: bool, config: Path | None) -> int:
    """Write many keys from a file, or from stdin (-).

    It holds JSON lines as dump writes them, {"key": ..., "text" or "base64": ...}, or one JSON mapping of key to
    value: text as it is, anything else as compact JSON, null deletes. Of a key that comes in two lines the later one
    counts; a name that stands twice in one object is refused.
    All of it is checked before the first key is written. Without --atomic some hundreds of keys go at a time.
    """
    from datasync_core.cli.batches import AT_ONCE, write
    from datasync_core.cli.lines import parse
    from datasync_core.transport import Put

    ops = parse(_content(file), "stdin" if file == "-" else file)
    with publishing(config, store) as (publisher, can):
        if atomic and len(ops) > 1 and not can.transactions:
            raise Unsupported("this store has no transactions: load without --atomic")
        at_once = len(ops) if atomic else AT_ONCE if can.transactions else 1
        revision = write(publisher, ops, at_once)
    written = sum(isinstance(op, Put) for op in ops)
    deleted = len(ops) - written
    if as_json:
        print_json({"written": written, "deleted": deleted, "revision": revision})
    else:
        click.echo(f"{_keys(written)} written" + (f", {_keys(deleted)} deleted" if deleted else ""))
    return Exit.FINE


def _content(file: str) -> bytes:
    if file == "-":
        return read_input()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read ({error.strerror}): name a readable file") from None


def _keys(number: int) -> str:
    return f"{number} key{'' if number == 1 else 's'}"
