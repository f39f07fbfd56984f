"""The folder where one host keeps what survives it, and the lock that makes the host the only one of its name.

The lock is the kernel's (flock): a killed host leaves none. The file beside it names who holds it.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from datasync_core.model.errors import ConfigError, HostError


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
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ConfigError(
                f"the state directory {self.folder} cannot be used ({error.strerror}): "
                "name a writable one by [host] state_dir"
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(file, 32).decode(errors="replace").strip() or "unknown"
            os.close(file)
            raise HostError(
                f"a host named {self._host} runs already (pid {pid}, state in {self.folder}): "
                "stop it, or give this one another --name"
            ) from None
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        self._file = file

    def release(self) -> None:
        """Let another host of this name begin. Any number of times."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)
