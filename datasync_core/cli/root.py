"""The root command: finds the others by name, imports the one that is asked for, and turns errors into exit codes.

A refusal is one sentence on stderr. ``-v`` adds the traceback.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from types import CodeType
from typing import NoReturn

import click

from datasync_core.cli.exits import Exit, exit_of
from datasync_core.cli.session import PROGRAM, Session, output, say
from datasync_core.cli.signals import interruptible
from datasync_core.model.errors import DatasyncError, error_text, said

_HOMES = {
    "run": "run",
    "check": "check",
    "plugins": "plugins",
    "graph": "graph",
    "config": "config",
    "get": "read",
    "list": "read",
    "put": "write",
    "delete": "write",
    "watch": "watch",
    "load": "load",
    "dump": "dump",
    "status": "status",
    "explain": "explain",
    "resync": "steer",
    "release": "steer",
    "new": "new",
    "completion": "completion",
}
"""Command → module of this room, in which it is called ``COMMAND_command``."""


class Commands(click.Group):
    """Imports a command's module when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_HOMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        home = _HOMES.get(cmd_name)
        if home is None:
            return None
        module = import_module(f"datasync_core.cli.{home}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in _HOMES and not name.startswith("-"):
            near = get_close_matches(name, _HOMES, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise click.UsageError(f"there is no command {name!r}{hint}", ctx)
        return super().resolve_command(ctx, args)


def _print_versions(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from datasync_core.cli.versions import versions

    for line in versions():
        click.echo(line)
    ctx.exit()


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog='Complete words in your shell: eval "$(datasync-host completion bash)", or zsh, or fish.',
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_versions,
    help="Print the versions of the host, its transports and its plugins, and exit.",
)
def root() -> None:
    """Keep a copy of a store's data true, and call plugins with what changed."""


def execute(args: Sequence[str] | None = None) -> NoReturn:
    """Run a command line (``None``: that of the process) and exit with its code."""
    state = Session()
    try:
        with interruptible():
            code = _run(args, state)
        if sys.stdout is not None:
            with output():  # to leave it is to flush it
                pass
    except BrokenPipeError:  # who read our output has seen enough
        code = Exit.FAILED
    except KeyboardInterrupt:  # between the command and the handlers around it
        code = Exit.INTERRUPTED
    except Exception as error:
        code = _told(error, state)
    _settle_output()
    if any(thread is not threading.main_thread() and not thread.daemon for thread in threading.enumerate()):
        from datasync_core.cli.ending import bound_the_end

        bound_the_end(state.leave_by, code)
    sys.exit(int(code))


def _run(args: Sequence[str] | None, state: Session) -> int:
    try:
        result = root.main(args, prog_name=PROGRAM, standalone_mode=False, obj=state)
    except click.exceptions.Abort as error:
        if state.verbose:
            click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
        say("interrupted, by Ctrl-C or by what a plugin raises (-v shows where)")
        return Exit.INTERRUPTED
    return result if isinstance(result, int) else Exit.FINE


def _told(error: Exception, state: Session) -> Exit:
    """Say what went wrong; the code for it."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return Exit.USAGE
    if state.verbose:
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    if isinstance(error, click.ClickException):
        say(_usage(error))
        return Exit.USAGE
    if isinstance(error, DatasyncError):
        say(error_text(error))
    elif isinstance(error, OSError):
        say(_refused(error))
    else:
        say(f"a mistake of datasync itself, {said(error)} (-v shows where)")
    return exit_of(error, state.store_exit)


def _refused(error: OSError) -> str:
    """What the system would not do."""
    where = error.filename
    if where is None and isinstance(error, FileNotFoundError):
        where = "the working directory"
    if where is None and _innermost(error) is click.echo.__code__:
        where = "the output"
    if where is None:
        return f"{type(error).__name__}: {error} (-v shows where)"
    return f"{where}: {error.strerror or error}"


def _innermost(error: Exception) -> CodeType | None:
    """The code that raised it."""
    code = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        code = frame.f_code
    return code


def _usage(error: click.ClickException) -> str:
    message = error.format_message().rstrip(".")
    if message[1:2].islower():
        message = message[:1].lower() + message[1:]
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    return f"{message} (see {ctx.command_path} --help)" if ctx else message


def _settle_output() -> None:
    """Flush what is left; where nobody takes it, drop it, so that the interpreter's own end is quiet."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
