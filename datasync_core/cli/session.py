"""What one run of the command knows of itself, and how it speaks to people: on stderr, a sentence at a time."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

import click

from datasync_core.cli.exits import Exit
from datasync_core.cli.values import json_text
from datasync_core.model.errors import UsageError
from datasync_core.model.keys import shown, shown_lines

PROGRAM = "datasync-host"


class Session:
    """Set by options while the command line is read; owned by the main thread."""

    def __init__(self) -> None:
        self.verbose = False
        self.store_exit = Exit.FAILED
        """What the commands answer when a store fails them: 1, or 5 where stores are what they look at."""
        self.leave_by: float | None = None
        """When threads that plugins began must have ended, on the monotonic clock; None: a moment after the command."""
        self.last_words: float | None = None
        """Seconds within which the process ends though its output is not read; None: it waits, as pipes have it."""


def session() -> Session:
    """The session of the command that is running."""
    return click.get_current_context().ensure_object(Session)


def echo(line: str, *, err: bool = False) -> None:
    """Print one line of text that may be somebody else's: its control characters as escapes."""
    click.echo(shown(line), err=err)


def say(sentence: str) -> None:
    """Tell the operator something, beside what the command prints."""
    echo(f"{PROGRAM}: {sentence}", err=True)


def print_traceback(error: BaseException) -> None:
    """Print where an error comes from, on stderr; its text is escaped as that of `echo` is."""
    click.echo(shown_lines("".join(traceback.format_exception(error))), err=True, nl=False)


def shows_progress() -> bool:
    """Return whether somebody sees a progress bar: stderr is there, and a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


@contextmanager
def output() -> Iterator[BinaryIO]:
    """Where bytes go that are printed as they are. An OSError that leaves it names the output as its file."""
    try:
        if sys.stdout is None:  # the shell's >&-
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        yield sys.stdout.buffer
        sys.stdout.flush()
    except OSError as error:
        error.filename = "the output"
        raise


@contextmanager
def output_to_stderr() -> Iterator[None]:
    """Within it stdout is stderr, also to code in C: what a plugin prints at its import is no part of a result."""
    try:
        result = os.dup(1)
    except OSError:  # the shell's >&-
        yield
        return
    try:
        _flush()
        beside = os.open(os.devnull, os.O_WRONLY) if sys.stderr is None else os.dup(2)
        os.dup2(beside, 1)
        os.close(beside)
        try:
            yield
        finally:
            _flush()
            os.dup2(result, 1)
    finally:
        os.close(result)


def _flush() -> None:
    with suppress(OSError, ValueError, AttributeError):  # full, closed, or none at all
        sys.stdout.flush()


def read_input() -> bytes:
    """Return all of stdin. Raises `UsageError` where it is closed."""
    if sys.stdin is None:  # the shell's <&-
        raise UsageError("standard input is closed: give a file, or a pipe on standard input")
    return sys.stdin.buffer.read()


def print_json(value: Any) -> None:
    """One JSON document on one line of stdout."""
    click.echo(json_text(value, getattr(sys.stdout, "encoding", None) or "utf-8"))
