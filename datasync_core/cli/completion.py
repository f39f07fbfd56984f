"""``completion``: the script that completes words in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from datasync_core.cli.exits import Exit
from datasync_core.cli.session import PROGRAM


@click.command("completion", hidden=True)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion_command(ctx: click.Context, shell: str) -> int:
    """Print the script that completes words in this shell; eval it in the shell's start file."""
    found = get_completion_class(shell)
    assert found is not None
    variable = f"_{PROGRAM}_COMPLETE".replace("-", "_").upper()
    click.echo(found(ctx.find_root().command, {}, PROGRAM, variable).source())
    return Exit.FINE
