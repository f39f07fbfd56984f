"""What survives the host: how many keys each plugin had applied, for the brake of its next life.

A file of JSON, replaced as a whole. It is written after a round that called a hook, at most every few seconds, and at
the stop; a host that is killed leaves counts that are a few seconds old, which is near enough for a brake.

No symbolic link is followed, and the fresh file has a random name: another user may have prepared links under known
names, which would lead the host to overwrite a file of its user.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

log = logging.getLogger("datasync")

PAUSE = 5.0
"""Seconds between two writes."""


class Counts:
    """The counts in their file. Owned by the dispatcher thread, but for `load`."""

    def __init__(self, file: Path, folder: Callable[[], int] | None = None) -> None:
        """``folder`` returns a descriptor of the file's folder, open as long as this is used; else its path is."""
        self._file = file
        self._descriptor = folder
        self._saved: dict[str, int] = {}
        self._where: tuple[int, int] | None = None  # device and inode of the folder that has what was saved
        self._next = 0.0  # when the next write may be
        self._stale = False
        self._failed = False

    def load(self) -> Mapping[str, int]:
        """The counts of the earlier life; empty where there was none. To be called once, before the first round."""
        try:
            with self._folder() as folder:
                self._where = _identity(folder)
                _sweep(folder, self._file.name)
                self._saved = msgspec.json.decode(_read(folder, self._file.name), type=dict[str, int])
        except FileNotFoundError:
            self._saved = {}
        except (OSError, msgspec.MsgspecError) as error:
            log.warning(
                "%s cannot be read (%s): the brake does not know what was applied before", self._file, error
            )
            self._saved = {}
        return dict(self._saved)

    def touch(self) -> None:
        """The counts may have changed."""
        self._stale = True

    def deadline(self) -> float | None:
        """When to save, on the monotonic clock; None where nothing changed."""
        return self._next if self._stale else None

    def save(self, counts: Mapping[str, int], now: float) -> None:
        """Write the counts, where they changed; those of plugins that are not among them stay."""
        self._stale = False
        self._next = now + PAUSE
        merged = {**self._saved, **counts}
        try:
            with self._folder() as folder:
                where = _identity(folder)
                if merged == self._saved and where == self._where:
                    return
                _replace(folder, self._file.name, msgspec.json.encode(merged))
        except OSError as error:
            if not self._failed:  # once is enough: it is tried again with each change
                log.warning(
                    "%s cannot be written (%s): after a restart the brake knows older counts",
                    self._file,
                    error,
                )
            self._failed = True
            return
        self._failed = False
        self._saved, self._where = merged, where

    @contextmanager
    def _folder(self) -> Iterator[int]:
        if self._descriptor is not None:
            yield self._descriptor()
            return
        folder = os.open(self._file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield folder
        finally:
            os.close(folder)


def _identity(folder: int) -> tuple[int, int]:
    found = os.fstat(folder)
    return found.st_dev, found.st_ino


def _read(folder: int, name: str) -> bytes:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe must not wait for a writer
    with open(os.open(name, flags, dir_fd=folder), "rb") as file:
        return file.read()


def _replace(folder: int, name: str, content: bytes) -> None:
    fresh = f"{name}.{secrets.token_hex(8)}.new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    out = open(os.open(fresh, flags, 0o644, dir_fd=folder), "wb")  # noqa: SIM115  # closed before it is renamed
    try:
        with out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        os.replace(fresh, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(fresh, dir_fd=folder)
        raise


def _sweep(folder: int, name: str) -> None:
    """Remove what hosts left that were killed while they wrote: their number must not grow."""
    left = re.compile(re.escape(name) + r"\.[0-9a-f]{16}\.new")
    for one in os.listdir(folder):
        if left.fullmatch(one):
            with suppress(OSError):
                os.unlink(one, dir_fd=folder)
