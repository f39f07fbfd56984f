"""The command as a user has it: in a process of its own, in a folder of its own, with packages installed there."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

from datasync_core.plugins.discovery import GROUP_PLUGINS, discover

PATIENCE = 60.0
COMMAND = (sys.executable, "-m", "datasync_core")


class Answer:
    """What a command said and how it ended."""

    def __init__(self, done: subprocess.CompletedProcess[bytes]) -> None:
        self.code = done.returncode
        self.bytes = done.stdout
        self.out = done.stdout.decode(errors="replace")
        self.err = done.stderr.decode(errors="replace")

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    def json(self) -> Any:
        return json.loads(self.out)

    def __repr__(self) -> str:
        return f"<{self.code}\n{self.out}\n{self.err}>"


def unmeasured(env: dict[str, str]) -> dict[str, str]:
    """An environment in which a process does not measure its own coverage: that imports and writes files."""
    return {name: value for name, value in env.items() if not name.startswith("COVERAGE_")}


class Running:
    """A command that goes on; both its outputs are read as they come."""

    def __init__(self, args: Sequence[str], cwd: Path, env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *args], cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.said = ""

    @property
    def lines(self) -> list[str]:
        return self.said.splitlines()

    def until(self, text: str) -> str:
        """Read on until a whole line holds the text; that line."""
        deadline = time.monotonic() + PATIENCE
        assert self.process.stdout is not None
        while True:
            whole = self.said.rpartition("\n")[0].splitlines()
            if found := next((line for line in whole if text in line), None):
                return found
            ready, _, _ = select.select([self.process.stdout], [], [], max(deadline - time.monotonic(), 0))
            assert ready, f"{text!r} is not in {self.said!r} after {PATIENCE} s"
            more = os.read(self.process.stdout.fileno(), 65536)
            assert more, f"the process ended before it said {text!r}: {self.said!r}"
            self.said += more.decode()

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait; the exit code."""
        self.process.send_signal(how)
        return self.ended()

    def ended(self) -> int:
        """Wait for the end; the exit code."""
        out, _ = self.process.communicate(timeout=PATIENCE)
        self.said += out.decode()
        return self.process.returncode


@cache
def installed_plugins() -> tuple[str, ...]:
    """The plugins that are installed in this environment: one walk for all tests."""
    return tuple(found.name for found in discover(GROUP_PLUGINS).found)


class Place:
    """A folder to run commands in; ``site`` in it is where packages are installed."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.site = folder / "site"
        self._stack = stack
        self.env = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DATASYNC_", "STATE_DIRECTORY", "_DATASYNC"))
        }
        self.env["PYTHONPATH"] = str(self.site)
        if others := installed_plugins():  # whatever else is here stays out
            self.env["DATASYNC_HOST__DISABLE"] = json.dumps(others)

    def do(self, *args: str | bytes, stdin: bytes = b"", before: Sequence[str] = ()) -> Answer:
        """Run a command to its end; ``before`` is what runs it, as in ``setpriv``."""
        command = [*before, *COMMAND, *args]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.env,
            input=stdin,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        return Answer(done)

    def start(self, *args: str) -> Running:
        """Start a command that goes on; it is killed if the test does not end it."""
        running = Running(args, self.folder, self.env)
        self._stack.callback(running.process.communicate)
        self._stack.callback(running.process.kill)
        return running

    def write(self, name: str, text: str) -> Path:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
        return file

    def install(self, name: str, code: str, *, entry: str | None = None, version: str = "1.0") -> None:
        """Install the package ``acme-NAME`` with a module and its entry point."""
        module = f"acme_{name.replace('-', '_')}"
        self.write(f"site/{module}.py", code)
        info = f"site/{module}-{version}.dist-info"
        self.write(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: acme-{name}\nVersion: {version}\n")
        self.write(f"{info}/entry_points.txt", entry or f"[datasync.plugins]\n{name} = {module}\n")

    def names(self) -> set[str]:
        """The files and folders here, without the packages."""
        return {path.name for path in self.folder.iterdir()} - {"site"}


GREET = """
    from datasync_core import Watch, hookimpl

    PEOPLE = Watch("hello/", str)
    watches = [PEOPLE]
    requires: list[str] = []

    @hookimpl
    def on_resync(event):
        for change in event.changes(PEOPLE):
            print("resync", change.kind, change.name, change.value, flush=True)

    @hookimpl
    def on_change(event):
        for change in event.changes(PEOPLE):
            print("change", change.kind, change.name, change.value, flush=True)

    @hookimpl
    def on_stop():
        print("on_stop", flush=True)
"""
"""A plugin that says what it is told."""

HANG = """
    from datasync_core import Watch, hookimpl
    import threading

    watches = [Watch("hello/", str)]

    @hookimpl
    def on_resync(event):
        print("inside", flush=True)
        threading.Event().wait()
"""
"""A plugin whose first hook never returns."""


def requiring(*names: str) -> str:
    """The same plugin, requiring others."""
    return GREET.replace("requires: list[str] = []", f"requires = {list(names)}")
