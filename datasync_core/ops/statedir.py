"""The folder where one host keeps what survives it, and the lock that makes the host the only one of its name.

The lock is the kernel's (flock): a killed host leaves none. The file beside it names who holds it. Folder and lock are
known by device and inode: where the path leads to others meanwhile, the host is no longer the only one of its name.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from datasync_core.dispatch.counts import Counts
from datasync_core.model.errors import ConfigError, HostError
from datasync_core.model.runtime import Runtime
from datasync_core.ops.forks import forget_in_children
from datasync_core.ops.ownership import open_file, open_folder, unusable

LOCK = "lock"


class StateDir:
    """One host's folder, held from `acquire` to `release`. Owned by the starter of the host, but for `check`."""

    def __init__(self, folder: Path, host: str) -> None:
        self.folder = folder.absolute()  # a plugin may change the working directory
        self._host = host
        self._descriptor: int | None = None
        self._file: int | None = None
        self._named = ""

    def acquire(self) -> None:
        """Make the folder and take the lock.

        Raises `HostError` where another host of this name holds it, `ConfigError` where the folder cannot be used.
        """
        forget_in_children(self)
        self._descriptor, self._file = self._taken()

    def release(self) -> None:
        """Let another host of this name begin. Any number of times."""
        held, self._descriptor, self._file = (self._file, self._descriptor), None, None
        for one in held:
            if one is not None:
                os.close(one)

    forget = release
    """Closing is not unlocking: the parent's own descriptor keeps what a child lets go of."""

    @property
    def descriptor(self) -> int:
        """The folder, for calls that take a `dir_fd`. Raises `OSError` where the host does not hold it."""
        if self._descriptor is None:
            raise FileNotFoundError(f"{self.folder} is not held by this host")
        return self._descriptor

    def counts(self, runtime: Runtime) -> Counts:
        """Return the file in which the brake's counts are kept."""
        return Counts(self.folder / "counts.json", runtime, lambda: self.descriptor)

    def check(self) -> str | None:
        """Look whether folder and lock are still this host's; where not, make them again and return what happened.

        Returns None where all is well, and where what happened was returned before. Raises `HostError` where another
        host holds the lock meanwhile. One thread calls this, and none between its last call and `release`.
        """
        if self._descriptor is None or self._file is None:
            return None
        wrong = self._lost(self._descriptor, self._file)
        if wrong is None:
            self._named = ""
            return None
        try:
            descriptor, file = self._taken()
        except ConfigError as error:
            sentence = f"{wrong}, and it cannot be made again: {error}"
            said, self._named = self._named, sentence
            return None if said == sentence else sentence
        os.dup2(descriptor, self._descriptor, inheritable=False)  # at once, for threads that use it meanwhile
        os.close(descriptor)
        os.close(self._file)
        self._file = file
        self._named = ""
        return f"{wrong}: it was made again"

    def _lost(self, descriptor: int, file: int) -> str | None:
        try:
            there = os.path.samestat(os.stat(self.folder), os.fstat(descriptor))
        except OSError:
            there = False
        if not there:
            return f"the state directory {self.folder} was removed or replaced while this host ran"
        try:
            lock = os.stat(LOCK, dir_fd=descriptor, follow_symlinks=False)
        except OSError:
            lock = None
        if lock is None or not os.path.samestat(lock, os.fstat(file)):
            return f"the lock {self.folder / LOCK} was removed or replaced while this host ran"
        return None

    def _taken(self) -> tuple[int, int]:
        held = []
        try:
            held.append(open_folder(self.folder))
            held.append(open_file(held[0], LOCK, os.O_RDWR | os.O_CREAT))
            self._lock(held[1])
        except BaseException as error:
            for one in held:
                os.close(one)
            if isinstance(error, OSError):
                raise unusable(self.folder, error) from error
            raise
        return held[0], held[1]

    def _lock(self, file: int) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HostError(
                f"a host named {self._host} runs already ({_holder(file)}, state in {self.folder}): "
                "stop it, or give this one another --name"
            ) from None
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)


def _holder(file: int) -> str:
    pid = os.read(file, 32).decode(errors="replace").strip()
    if not pid.isdecimal():
        return "pid unknown"
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return f"its process {pid} is gone, but one that it forked still holds the lock"
    except OSError:  # another user's: it is there
        pass
    return f"pid {pid}"
