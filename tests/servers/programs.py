"""Programs that tests drive: on PATH, else from Debian's packages where this is root, else the test is skipped."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

POLICY = Path("/usr/sbin/policy-rc.d")
"""What Debian's packages ask whether their services may start: 101 says no."""


def find_program(name: str, package: str) -> str:
    """The path of a program, which Debian's ``package`` has."""
    return find(lambda: shutil.which(name), name, package)


def find_file(path: str, package: str) -> str:
    """A file that Debian's ``package`` has."""
    return find(lambda: path if Path(path).exists() else None, path, package)


def find(there: Callable[[], str | None], what: str, package: str) -> str:
    """What ``there`` gives, if need be after ``package`` was installed."""
    if (found := there()) is not None:
        return found
    apt = shutil.which("apt-get")
    if os.geteuid() == 0 and apt is not None:
        with alone(), _no_service():
            for command in (
                ["install"],
                ["update"],
                ["install"],
            ):  # the index may be there already, or too old
                if (found := there()) is not None:
                    return found
                _run(apt, command[0], package)
        if (found := there()) is not None:
            return found
    pytest.skip(
        f"{what} is not {'there' if '/' in what else 'on PATH'}; install the Debian package {package}"
    )


def _run(apt: str, verb: str, package: str) -> None:
    arguments = (
        ["update", "-q"] if verb == "update" else ["install", "-qy", "--no-install-recommends", package]
    )
    subprocess.run(
        [apt, *arguments],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )


@contextmanager
def alone() -> Iterator[None]:
    """One process of this machine's tests installs at a time."""
    with (Path(tempfile.gettempdir()) / f"datasync-tests-{os.geteuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _no_service() -> Iterator[None]:
    """What is installed starts no service: tests start their own, elsewhere."""
    try:
        with POLICY.open("x") as policy:
            policy.write("#!/bin/sh\nexit 101\n")
    except OSError:  # it is there, or this is no Debian
        yield
        return
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)
