"""Runs the shells that a document shows: what follows a ``$`` is done, what is below it must be said.

A command that does not end (``datasync-host run``) is the first shell's; its output is read as it comes. Blocks:
``console``, a second shell; ``console eventually``, the same until its answer is the one that is shown;
``console host``, what the first shell says meanwhile, where ``^C`` interrupts it. ``...`` stands for any text.
"""

from __future__ import annotations

import os
import re
import select
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.documents import PATIENCE, Running, sh

_RUNS = re.compile(r"datasync-host (run|watch)\b")


class Shown(NamedTuple):
    """A command as a document shows it, and what is shown of its output."""

    command: str
    output: list[str]


def shown(text: str) -> Iterator[Shown]:
    """The commands of a console block."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *output = part.splitlines()
        yield Shown(command, output)


def matches(lines: list[str], said: list[str]) -> bool:
    """Whether what was said is what is shown; a line ``...`` stands for any lines, spaces for one or more."""
    pattern = "".join("(?:.*\n)*" if line == "..." else f"{_pattern(line)}\n" for line in lines)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in said)) is not None


def _pattern(line: str) -> str:
    parts = [re.escape(part) for part in re.split(r"(\.\.\.| +)", line)]
    return "".join(
        ".*" if part == re.escape("...") else " +" if part.startswith("\\ ") else part for part in parts
    )


class Shells:
    """Two shells in one folder: commands that end, and a host that does not."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._host: Running | None = None
        self._heard = 0

    def show(self, info: str, text: str) -> None:
        """Do what a block says, and hold what happens to what it shows."""
        if info == "console host":
            self._listen(text.splitlines())
            return
        for command, output in shown(text):
            if _RUNS.search(command):
                self.close()
                self._host, self._heard = Running(command, self._place), 0
                self._listen(output)
            else:
                self._answer(command, output, eventually=info == "console eventually")

    def close(self) -> None:
        """End what still runs."""
        if self._host is not None:
            self._host.kill()

    def _answer(self, command: str, output: list[str], *, eventually: bool) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = sh(f"{command} 2>&1", self._place)
            said = answer.stdout.splitlines()
            if matches(output, said):
                return
            assert eventually, f"$ {command}\nis shown to say\n{output}\nand says\n{said}"
            assert time.monotonic() < deadline, f"$ {command}\nsays {said} and not {output}"

    def _listen(self, lines: list[str]) -> None:
        host = self._host
        assert host is not None, "no host runs here"
        before = lines[: lines.index("^C")] if "^C" in lines else lines
        skipped = before[-1:] == ["..."]
        for line in before[:-1] if skipped else before:
            self._hear(host, line)
        if "^C" in lines:
            assert host.interrupt() == 0
            rest, self._heard = host.said[self._heard :].splitlines(), len(host.said)
            expected = [*before[-1:], *lines[len(before) + 1 :]] if skipped else lines[len(before) + 1 :]
            assert matches(expected, rest), f"{expected} is shown, the host says {rest}"

    def _hear(self, host: Running, line: str) -> None:
        """Read the next line of the host; it must be this one."""
        deadline = time.monotonic() + PATIENCE
        assert host.process.stdout is not None
        while "\n" not in host.said[self._heard :]:
            ready, _, _ = select.select([host.process.stdout], [], [], max(deadline - time.monotonic(), 0))
            assert ready, f"{line!r} is shown, and the host said nothing more than {host.said!r}"
            more = os.read(host.process.stdout.fileno(), 65536)
            assert more, f"{line!r} is shown, and the host ended after {host.said!r}"
            host.said += more.decode()
        said, _, _ = host.said[self._heard :].partition("\n")
        self._heard += len(said) + 1
        assert matches([line], [said]), f"{line!r} is shown, the host says {said!r}"
