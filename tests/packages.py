"""The wheels of the project and of its samples, and folders where samples are installed: each made once a run.

Workers of pytest-xdist share one folder; a lock of the operating system's lets the first who wants a thing make it.
"""

from __future__ import annotations

import fcntl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "sample_plugins"
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
OFFLINE = ("--quiet", "--no-deps", "--no-index")


class Packages:
    """What is built and installed for tests. Any worker; a call waits for one that makes the same."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)

    def wheel(self, name: str = "") -> Path:
        """Return the wheel of a sample (the name of its folder), without a name that of the project."""

        def build(target: Path) -> None:
            source = SAMPLES / name if name else ROOT
            _run(*PIP, "wheel", *OFFLINE, "--no-build-isolation", "--wheel-dir", target, source)

        return next(self._made(f"wheel-{name or 'project'}", build).glob("*.whl"))

    def site(self, name: str) -> Path:
        """Return a folder for PYTHONPATH in which pip installed that sample, and nothing else."""

        def install(target: Path) -> None:
            _run(*PIP, "install", *OFFLINE, "--target", target, self.wheel(name))

        return self._made(f"site-{name}", install)

    def _made(self, name: str, make: Callable[[Path], None]) -> Path:
        target = self._folder / name
        with (self._folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.exists():
                partial = target.with_suffix(".partial")
                make(partial)
                partial.rename(target)
        return target


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
