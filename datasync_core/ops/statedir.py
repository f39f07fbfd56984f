"""The folder where one host keeps what survives it, and the lock that makes the host the only one of its name.

The lock is the kernel's (flock): a killed host leaves none. The file beside it names who holds it.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from datasync_core.model.errors import ConfigError, HostError
from datasync_core.ops.forks import forget_in_children


class StateDir:
    """One host's folder, held from `acquire` to `release`. Owned by whoever starts and stops the host."""

    def __init__(self, folder: Path, host: str) -> None:
        self.folder = folder
        self._host = host
        self._file: int | None = None

    def acquire(self) -> None:
        """Make the folder and take the lock.

        Raises `HostError` where another host of this name holds it, `ConfigError` where the folder cannot be used.
        """
        forget_in_children(self)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            self._lock(self._file)
        except OSError as error:
            self.release()
            raise unusable(self.folder, error) from error
        except HostError:
            self.release()
            raise

    def release(self) -> None:
        """Let another host of this name begin. Any number of times."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    forget = release
    """Closing is not unlocking: the parent's own descriptor keeps what a child lets go of."""

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


def unusable(folder: Path, error: OSError) -> ConfigError:
    """What is said where something in the state directory cannot be made or written."""
    return ConfigError(
        f"the state directory {folder} cannot be used ({error.strerror or error}): "
        "name a writable one by [host] state_dir"
    )


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
