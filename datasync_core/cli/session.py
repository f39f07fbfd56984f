"""What one run of the command knows of itself, and how it speaks to people: on stderr, a sentence at a time."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

import click

from datasync_core.cli.exits import Exit

PROGRAM = "datasync-host"


class Session:
    """Set by options while the command line is read; owned by the main thread."""

    def __init__(self) -> None:
        self.verbose = False
        self.store_exit = Exit.FAILED
        """What the commands answer when a store fails them: 1, or 5 where stores are what they look at."""
        self.leave_by: float | None = None
        """When threads that plugins began must have ended, on the monotonic clock; None: a moment after the command."""


def session() -> Session:
    """The session of the command that is running."""
    return click.get_current_context().ensure_object(Session)


def say(sentence: str) -> None:
    """Tell the operator something, beside what the command prints."""
    click.echo(f"{PROGRAM}: {sentence}", err=True)


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


def print_json(value: Any) -> None:
    """One JSON document on one line of stdout."""
    click.echo(json.dumps(value, ensure_ascii=False))
