"""The root command: finds the others by name, imports the one that is asked for, and turns errors into exit codes.

A refusal is one sentence on stderr. ``-v`` adds the traceback.
"""

from __future__ import annotations

import io
import os
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib import import_module
from types import CodeType
from typing import NoReturn

import click

from datasync_core.cli.exits import Exit, exit_of
from datasync_core.cli.session import PROGRAM, Session, echo, output, print_traceback, say
from datasync_core.cli.signals import interruptible
from datasync_core.model.errors import DatasyncError, error_text, said
from datasync_core.model.keys import shown_lines

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
        echo(line)
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
    _escape_output()
    try:
        with interruptible():
            result = root.main(args, prog_name=PROGRAM, standalone_mode=False, obj=state)
    except KeyboardInterrupt:  # between the command and the handlers around it
        result = Exit.INTERRUPTED
    except Exception as error:
        result = error
    code = _code(result, state)
    if state.last_words is None:
        code = _finish(result, code, state)
    else:
        code = _finish_within(state.last_words, lambda: _finish(result, code, state), code)
    if any(thread is not threading.main_thread() and not thread.daemon for thread in threading.enumerate()):
        from datasync_core.cli.ending import bound_the_end

        bound_the_end(state.leave_by, code)
    sys.exit(int(code))


def _escape_output() -> None:
    """Let what the encoding of a terminal or pipe does not have be printed as escapes, and end no command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _code(result: object, state: Session) -> int:
    """The exit code for what a command returned or raised."""
    if isinstance(result, click.exceptions.Abort):
        return Exit.INTERRUPTED
    if isinstance(result, click.ClickException):
        return Exit.USAGE
    if isinstance(result, Exception):
        return exit_of(result, state.store_exit)
    return result if isinstance(result, int) else Exit.FINE


def _finish(result: object, code: int, state: Session) -> int:
    """Say what went wrong, where something did, and hand on what was printed; the exit code."""
    try:
        if isinstance(result, Exception):
            raise result
        if sys.stdout is not None:
            with output():  # to leave it is to flush it
                pass
    except BrokenPipeError:  # who read our output has seen enough
        code = Exit.FAILED
    except KeyboardInterrupt:  # between the command and the handlers around it
        code = Exit.INTERRUPTED
    except Exception as error:
        code = _code(error, state)
        _tell(error, state)
    _settle_output()
    return code


def _finish_within(timeout: float, finish: Callable[[], int], code: int) -> int:
    """Finish within some seconds; else end the process with ``code``, as what it prints is not read."""
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(finish()), daemon=True)
    thread.start()
    thread.join(timeout)
    if thread.is_alive():
        os._exit(code)
    return codes[0] if codes else code


def _tell(error: Exception, state: Session) -> None:
    """Say what went wrong."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return
    if state.verbose:
        print_traceback(error)
    if isinstance(error, click.exceptions.Abort):
        say("interrupted, by Ctrl-C or by what a plugin raises (-v shows where)")
    elif isinstance(error, click.ClickException):
        click.echo(shown_lines(f"{PROGRAM}: {_usage(error)}"), err=True)
    elif isinstance(error, DatasyncError):
        say(error_text(error))
    elif isinstance(error, OSError):
        say(_refused(error))
    else:
        say(f"a mistake of datasync itself, {said(error)} (-v shows where)")


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
