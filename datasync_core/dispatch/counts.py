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

from datasync_core.model.runtime import Runtime, Thread

log = logging.getLogger("datasync")

PAUSE = 5.0
"""Seconds between two writes."""

PATIENCE = 5.0
"""Seconds that a stop waits for the last write, at most."""


class Counts:
    """The counts in their file. `load` and `finish` are the host's owner's, the rest is the dispatcher's.

    A thread of their own writes them: a write to a dead file system does not return, and delivery goes on.
    """

    def __init__(self, file: Path, runtime: Runtime, folder: Callable[[], int] | None = None) -> None:
        """``folder`` returns a descriptor of the file's folder, open until `finish` returns; else its path is used."""
        self._file = file
        self._runtime = runtime
        self._descriptor = folder
        self._next = 0.0  # when the next write may be
        self._stale = False
        self._failed = False  # the thread's
        self._where: tuple[int, int] | None = (
            None  # the thread's: device and inode of the folder of what was saved
        )
        self._ready = runtime.doorbell()
        self._thread: Thread | None = None
        self._lock = runtime.lock()  # guards what follows
        self._saved: dict[str, int] = {}
        self._newest: dict[str, int] | None = None  # to be written, or being written
        self._finishing = False
        self._given_up = False

    def load(self) -> Mapping[str, int]:
        """Return the counts of the previous run, empty where there was none, and begin to write those that are saved.

        To be called once, before the first round.
        """
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
        self._thread = self._runtime.start(self._run, "datasync-counts")
        return dict(self._saved)

    def finish(self, timeout: float | None) -> None:
        """Write what is left and end the thread, within ``timeout`` and `PATIENCE` seconds; else log what is lost."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        with self._lock:
            self._finishing = True
        self._ready.ring()
        patience = PATIENCE if timeout is None else min(timeout, PATIENCE)
        thread.join(patience)
        with self._lock:
            self._given_up = thread.is_alive()
            is_lost = self._given_up and self._newest is not None
        if is_lost:
            log.warning(
                "%s was not written within %g s: after a restart the brake knows older counts",
                self._file,
                patience,
            )

    def touch(self) -> None:
        """The counts may have changed."""
        self._stale = True

    def deadline(self) -> float | None:
        """When to save, on the monotonic clock; None where nothing changed."""
        return self._next if self._stale else None

    def save(self, counts: Mapping[str, int], now: float) -> None:
        """Have the counts written, where they changed; those of plugins that are not among them stay. Never waits.

        The thread sees whether they did: it asks the file system whether the folder is still that of what was saved.
        """
        self._stale = False
        self._next = now + PAUSE
        with self._lock:
            merged = {**self._saved, **counts}
            if merged == self._newest:
                return
            self._newest = merged
        self._ready.ring()

    def _run(self) -> None:
        while True:
            with self._lock:
                newest, finishing = self._newest, self._finishing
                if self._given_up:
                    return
            if newest is not None:
                self._write(newest)
            elif finishing:
                return
            else:
                self._ready.wait()

    def _write(self, counts: dict[str, int]) -> None:
        error = None
        try:
            with self._folder() as folder:
                where = _identity(folder)
                if counts != self._saved or where != self._where:
                    _replace(folder, self._file.name, msgspec.json.encode(counts), self._check)
                self._where = where
        except OSError as raised:
            error = raised
        with self._lock:
            if self._newest is counts:
                self._newest = None
            if error is None:
                self._saved = counts
            given_up = self._given_up
        if error is not None and not self._failed and not given_up:  # once is enough: it is tried again
            log.warning(
                "%s cannot be written (%s): after a restart the brake knows older counts", self._file, error
            )
        self._failed = error is not None

    @contextmanager
    def _folder(self) -> Iterator[int]:
        """A descriptor of the folder, of its own: a write that hangs may outlive the one that the host holds."""
        if self._descriptor is None:
            folder = os.open(self._file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        else:
            with self._lock:
                self._raise_given_up()
                folder = os.dup(self._descriptor())
        try:
            yield folder
        finally:
            os.close(folder)

    def _check(self) -> None:
        """Raise `OSError` once `finish` has given up: another host may have the folder, and have written newer ones."""
        with self._lock:
            self._raise_given_up()

    def _raise_given_up(self) -> None:
        if self._given_up:
            raise TimeoutError(f"{self._file} was not written in time")


def _identity(folder: int) -> tuple[int, int]:
    found = os.fstat(folder)
    return found.st_dev, found.st_ino


def _read(folder: int, name: str) -> bytes:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe must not wait for a writer
    with open(os.open(name, flags, dir_fd=folder), "rb") as file:
        return file.read()


def _replace(folder: int, name: str, content: bytes, check: Callable[[], None]) -> None:
    """Replace a file as a whole, unless ``check``, called just before, raises."""
    fresh = f"{name}.{secrets.token_hex(8)}.new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    out = open(os.open(fresh, flags, 0o644, dir_fd=folder), "wb")  # noqa: SIM115  # closed before it is renamed
    try:
        with out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        check()
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
