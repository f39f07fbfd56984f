"""Documents under a test: their fenced blocks, their tables, and a place where their commands run as they stand."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import distributions
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.packages import OFFLINE, PIP, SAMPLES, Packages

ROOT = Path(__file__).parents[1]

PATIENCE = 60.0
"""Seconds until a process must have said what it is to say; a sound one uses none of them."""

_BLOCK = re.compile(r"^( *)```([^\n`]*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """One fenced block: what follows its fence (``python routes.py``), and its text without indentation."""

    info: str
    text: str


def blocks(document: str) -> list[Block]:
    """All fenced blocks of a Markdown text, in order."""
    return [
        Block(info.strip(), re.sub(f"^{indent}", "", text, flags=re.MULTILINE))
        for indent, info, text in _BLOCK.findall(document)
    ]


def texts(document: str, info: str) -> list[str]:
    """The texts of the blocks with this info string."""
    return [block.text for block in blocks(document) if block.info == info]


def rows(document: str, heading: str) -> list[list[str]]:
    """The cells of the one table whose first heading this is; a cell that is all code without its marks."""
    table = re.search(rf"^\| {re.escape(heading)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", document, re.MULTILINE)
    assert table is not None, f"there is no table that begins with {heading}"
    return [
        [_plain(cell.strip().replace(r"\|", "|")) for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
        for row in table[1].splitlines()
    ]


def _plain(cell: str) -> str:
    return cell[1:-1] if re.fullmatch("`[^`]+`", cell) else cell


class Running:
    """A process whose output is read as it comes."""

    def __init__(self, command: str, cwd: Path) -> None:
        self.process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.said = ""

    def until(self, line: str) -> None:
        """Read on until the process has said this line."""
        deadline = time.monotonic() + PATIENCE
        assert self.process.stdout is not None
        while line not in self.said.splitlines():
            ready, _, _ = select.select([self.process.stdout], [], [], max(deadline - time.monotonic(), 0))
            assert ready, f"{line!r} is not among {self.said!r} after {PATIENCE} s"
            more = os.read(self.process.stdout.fileno(), 65536)
            assert more, f"the process ended before it said {line!r}: {self.said!r}"
            self.said += more.decode()

    def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        out, _ = self.process.communicate(timeout=PATIENCE)
        self.said += out.decode()
        return self.process.returncode

    def kill(self) -> None:
        """End it at once, if it still runs."""
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def furnish(place: Path, monkeypatch: pytest.MonkeyPatch, packages: Packages) -> None:
    """Make ``place`` a folder where a document's commands run: with `.venv/bin`, and no plugin installed.

    `datasync-host` and `pip` there stand for this environment; what pip installs goes to ``site``, and samples come
    from wheels that are built once.
    """
    scripts = place / ".venv" / "bin"
    scripts.mkdir(parents=True)
    site = place / "site"
    options = f"{' '.join(OFFLINE)} --no-build-isolation --upgrade --target {site}"
    wheels = "".join(
        f"./sample_plugins/{sample.name}) argument={packages.wheel(sample.name)} ;;\n"
        for sample in SAMPLES.iterdir()
        if (sample / "pyproject.toml").exists()
    )
    scripts_of = {
        "datasync-host": f'exec {sys.executable} -m datasync_core "$@"\n',
        "pip": f"""\
for argument; do
shift
case $argument in
{wheels}esac
set -- "$@" "$argument"
done
exec {" ".join(PIP)} "$@" {options}
""",
    }
    for name, script in scripts_of.items():
        (scripts / name).write_text(f"#!/bin/sh\n{script}")
        (scripts / name).chmod(0o755)
    shutil.copytree(SAMPLES, place / "sample_plugins")
    for name in os.environ:
        if name.startswith(("DATASYNC_", "STATE_DIRECTORY")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", f"{site}{os.pathsep}{_hidden(place / 'hidden')}")


def _hidden(folder: Path) -> Path:
    """A folder that hides plugins installed here: of a distribution listed twice the first counts."""
    for one in distributions():
        if any(entry.group == "datasync.plugins" for entry in one.entry_points):
            metadata = folder / f"{one.name.replace('-', '_')}-0.dist-info"
            metadata.mkdir(parents=True, exist_ok=True)
            (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {one.name}\nVersion: 0\n")
    return folder


def sh(command: str, place: Path) -> subprocess.CompletedProcess[str]:
    """Run a command line to its end."""
    return subprocess.run(
        ["bash", "-c", command],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def do(command: str, place: Path) -> None:
    """Run a command line that ends with 0."""
    answer = sh(command, place)
    assert answer.returncode == 0, f"{command}\n{answer.stdout}{answer.stderr}"
