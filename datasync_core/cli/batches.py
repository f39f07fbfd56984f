"""Writing many keys: some hundreds a transaction, and never half of them in silence."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from datasync_core.cli.session import say, shows_progress
from datasync_core.model.errors import ConnectionLost, StoreError
from datasync_core.model.keys import shown

if TYPE_CHECKING:
    from datasync_core.sync.publisher import StorePublisher
    from datasync_core.transport import Delete, Put

AT_ONCE = 500
"""Operations in one transaction, where the store has them."""


def write(publisher: StorePublisher, ops: Sequence[Put | Delete], at_once: int) -> int:
    """Do all operations in order, ``at_once`` of them a transaction; the newest revision.

    Where it breaks off, what was done until then is said before the error goes on; nothing where nothing was.
    """
    revision = done = asked = 0
    bar = click.progressbar(
        length=len(ops),
        label="writing",
        show_pos=True,
        hidden=len(ops) <= AT_ONCE or not shows_progress(),
        file=sys.stderr,
    )
    try:
        with bar:
            while done < len(ops):
                asked = min(at_once, len(ops) - done)
                revision = max(revision, publisher.commit(ops[done : done + asked]))
                done += asked
                bar.update(asked)
    except (StoreError, KeyboardInterrupt) as error:
        unknown = isinstance(error, KeyboardInterrupt) or (
            isinstance(error, ConnectionLost) and not error.unwritten
        )
        if done or unknown:
            _confess(ops, done, asked, unknown)
        raise
    return revision


def _confess(ops: Sequence[Put | Delete], done: int, asked: int, unknown: bool) -> None:
    """Say which keys were written; ``unknown``: whether the last ``asked`` were, nobody can say."""
    if done == len(ops):
        say(f"all {done} keys were written")
        return
    first = shown(ops[done].key)
    last = shown(ops[min(done + asked, len(ops)) - 1].key)
    rest = f"whether {first} to {last} were written is not known, " if unknown else ""
    until = "no key before them was written"
    if done:
        until = f"{done} of {len(ops)} keys were written, the last is {shown(ops[done - 1].key)}"
    say(f"{rest}{until}" if rest else f"{until}, from {first} on none")
