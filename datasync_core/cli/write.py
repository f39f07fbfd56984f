"""``put`` and ``delete``: change keys."""

from __future__ import annotations

import os
from pathlib import Path

import click

from datasync_core.cli.exits import Exit
from datasync_core.cli.opening import publishing
from datasync_core.cli.options import config_options, json_option, store_option
from datasync_core.cli.session import print_json, read_input
from datasync_core.model.errors import UsageError
from datasync_core.model.keys import check_key


class _Put(click.Command):
    """Takes a VALUE that begins with a dash; but a misspelt option is refused, never stored."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        known = {name for parameter in self.get_params(ctx) for name in parameter.opts}
        for word in args[: args.index("--")] if "--" in args else args:
            name = word.partition("=")[0]
            if word.startswith("--") and name not in known:
                raise click.NoSuchOption(name, possibilities=known, ctx=ctx)
        return super().parse_args(ctx, args)


@click.command("put", cls=_Put, context_settings={"ignore_unknown_options": True})
@click.argument("key")
@click.argument("value", metavar="VALUE|-|@FILE")
@click.option("--ttl", type=float, metavar="SECONDS", help="Remove the key after this time.")
@click.option(
    "--expect", type=click.IntRange(min=0), metavar="REVISION", help="Write only over this one; 0: not there."
)
@store_option
@json_option
@config_options
def put_command(
    key: str,
    value: str,
    ttl: float | None,
    expect: int | None,
    store: str | None,
    as_json: bool,
    config: Path | None,
) -> int:
    """Write a key, and print the revision where the store has them.

    The value is the argument itself, or read from stdin (-), or from a file (@FILE), byte for byte. Write -- before
    a value that begins with two dashes, and give - one that begins with @.
    """
    check_key(key)
    content = _content(value)
    with publishing(config, store) as (publisher, _):
        revision = publisher.put(key, content, ttl=ttl, expect=expect)
    _print_revision(revision, {"key": key}, as_json)
    return Exit.FINE


@click.command("delete")
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@click.option("--expect", type=click.IntRange(min=1), metavar="REVISION", help="Delete only this one.")
@store_option
@json_option
@config_options
def delete_command(
    keys: tuple[str, ...], expect: int | None, store: str | None, as_json: bool, config: Path | None
) -> int:
    """Remove keys, and print the revision where the store has them.

    Several go in one transaction, where the store has them. To remove what is not there is no error.
    """
    from datasync_core.cli.batches import AT_ONCE, write
    from datasync_core.transport import Delete

    wanted = list(dict.fromkeys(keys))
    for key in wanted:
        check_key(key)
    if expect is not None and len(wanted) > 1:
        raise UsageError("--expect is one key's revision: delete one key at a time with it")
    with publishing(config, store) as (publisher, can):
        if expect is not None:
            revision = publisher.delete(wanted[0], expect=expect)
        else:
            revision = write(publisher, [Delete(key) for key in wanted], AT_ONCE if can.transactions else 1)
    _print_revision(revision, {"keys": wanted}, as_json)
    return Exit.FINE


def _content(value: str) -> bytes:
    if value == "-":
        return read_input()
    if not value.startswith("@"):
        return os.fsencode(value)
    file = Path(value[1:])
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(
            f"the value @{file} cannot be read ({error.strerror}): name a readable file"
        ) from None


def _print_revision(revision: int, what: dict[str, object], as_json: bool) -> None:
    if as_json:
        print_json({**what, "revision": revision})
    elif revision:
        click.echo(revision)
