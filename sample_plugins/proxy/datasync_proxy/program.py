"""The haproxy program, asked what it thinks of a configuration; nothing is loaded by asking."""

from __future__ import annotations

import re
import shutil
import subprocess

from attrs import frozen

from datasync_core import Context

FINE = (0, 2)  # 2: no error, and no listener
REFUSED = 1
ALERT = re.compile(r"^\[ALERT\] .*? : (?:config : )?(?:(?:parsing )?\[\S+:\d+\] : )?(.*)$", re.MULTILINE)
WORD = re.compile(r"[\w*@:.,/\[\]%-]+", re.ASCII)


class Refused(Exception):
    """HAProxy does not take this; the message says why, in HAProxy's own words where it was asked."""


@frozen
class Program:
    """``path``: where the program is; None: it is not here, and everything is taken as it comes."""

    path: str | None = None

    @classmethod
    def find(cls, name: str, context: Context) -> Program:
        """The program of this name or path; a plugin that has to do without says so."""
        path = shutil.which(name)
        if path is None:
            context.log.warning("there is no program %s here: the file is written without a check", name)
        return cls(path)

    def check(self, text: str) -> None:
        """Raise `Refused` for a configuration that HAProxy does not take."""
        if self.path is None:
            return
        command = [self.path, "-c", "-f", "/dev/stdin"]
        # A process group of its own: Ctrl-C ends the host after this hook, not the check in the middle of it.
        answer = subprocess.run(
            command, input=text, capture_output=True, text=True, check=False, process_group=0
        )
        if answer.returncode == REFUSED:
            alert = ALERT.search(answer.stderr)
            raise Refused(alert[1] if alert else answer.stderr.strip())
        if answer.returncode not in FINE:
            raise OSError(f"{' '.join(command)} ended with {answer.returncode}: {answer.stderr.strip()}")


def word(text: str) -> str:
    """The text, where HAProxy reads it as one word; else `Refused`: a line break in a key adds no directive."""
    if not WORD.fullmatch(text):
        raise Refused(f"{text!r} is not one word of letters, digits and _*@:.,/[]%-")
    return text
