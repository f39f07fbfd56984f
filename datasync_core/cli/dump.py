"""``dump``: many keys as JSON lines, which ``load`` takes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from datasync_core.cli.exits import Exit
from datasync_core.cli.opening import opened
from datasync_core.cli.options import config_options, store_option
from datasync_core.cli.reading import name_unreadable, read
from datasync_core.cli.session import output, say, shows_progress
from datasync_core.cli.values import as_fields
from datasync_core.model.keys import check_path


@click.command("dump")
@click.argument("path", default="")
@click.option(
    "-o",
    "--output",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write there: the whole dump or nothing.",
)
@store_option
@config_options
def dump_command(path: str, file: Path | None, store: str | None, config: Path | None) -> int:
    """Print the keys under a path as JSON lines, which load takes, sorted.

    PATH is a subtree when it ends in a slash (routes/), else one key; without it, everything. Exits with 1 where a
    key could not be read; the others are there.
    """
    check_path(path)
    with opened(config, store) as source:
        entries = read(source, path, progress=True)
    bar = click.progressbar(
        length=len(entries),
        label="writing",
        show_pos=True,
        hidden=file is None or not shows_progress(),
        file=sys.stderr,
    )
    with output() if file is None else _atomic(file) as target, bar:
        for number, entry in enumerate(entries, 1):
            if entry.error is None:
                line = json.dumps({"key": entry.key, **as_fields(entry.value)}, ensure_ascii=False)
                target.write(line.encode() + b"\n")
            if number % 1000 == 0:
                bar.update(1000)
    if unreadable := name_unreadable(entries):
        say(f"the dump lacks {unreadable} of {len(entries)} keys, named above: they cannot be read")
        return Exit.FAILED
    return Exit.FINE


@contextmanager
def _atomic(file: Path) -> Iterator[BinaryIO]:
    """The file appears under its name when it is whole and on the disk; a pipe or a device is written as it is."""
    target = file.resolve()
    if target.exists() and not target.is_file():
        with target.open("wb") as device:
            yield device
        return
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as whole:
            if target.exists():
                os.chmod(part, target.stat().st_mode & 0o7777)
            yield whole
            whole.flush()
            os.fsync(whole.fileno())
        part.replace(target)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = file  # instead of none, or of one that nobody asked for
        raise
