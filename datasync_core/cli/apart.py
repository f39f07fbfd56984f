"""Doing what imports plugins in a process of its own, so that one that ends the process does not end the verdict."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress

from datasync_core.model.errors import PluginError

LIMIT = 30.0
"""Seconds that one import may take."""
_LOOK = 0.1
"""Seconds between looks at whether the process has ended: a child of its own may hold the pipe open."""

Report = Callable[[str | None], None]
"""Told what is imported now, and None when that has ended."""


def apart(work: Callable[[Report], int]) -> int:
    """Call ``work`` in a forked process, which goes on as this command; return its exit code.

    Only in a process without other threads. Raises `PluginError` where the process ends without a verdict, or where an
    import takes longer than `LIMIT`.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            return work(lambda what: _write(writing, " ".join((what or "").splitlines()) + "\n"))
        finally:
            _write(writing, "\0")  # also where it raises: what is said of that is a verdict
            os.close(writing)
    os.close(writing)
    ended = False
    before = {
        number: signal.signal(number, _ending(child, number)) for number in (signal.SIGTERM, signal.SIGHUP)
    }
    try:
        importing = _followed(reading, child)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        ended = True
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reading)
        if not ended:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    if importing is None:
        return code if code >= 0 else 128 - code
    how = f"with exit code {code}" if code >= 0 else f"by signal {-code}"
    what = f"{importing} ended it while it was imported" if importing else "a plugin ended it"
    raise PluginError(f"the process of this check ended {how} and without a verdict: {what}")


def _followed(reading: int, child: int) -> str | None:
    """Read what is reported until the process ends: what it was importing then, or None where it has a verdict."""
    importing, since = "", time.monotonic()
    text = ""
    while True:
        if select.select([reading], [], [], _LOOK)[0]:
            part = os.read(reading, 1 << 16).decode(errors="replace")
            *lines, text = (text + part).split("\n")
            for line in lines:
                importing, since = line, time.monotonic()
            if "\0" in text:
                return None
            if not part:
                return importing
        elif os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return importing
        if importing and time.monotonic() - since > LIMIT:
            raise PluginError(
                f"{importing} cannot be checked: its import has not ended within {LIMIT:g} s; "
                "do what takes long in on_start"
            )


def _write(pipe: int, text: str) -> None:
    with suppress(OSError):  # the other side was killed
        os.write(pipe, text.encode())


def _ending(child: int, number: int) -> Callable[..., None]:
    """A handler that ends the process with its child, as without a handler."""

    def end(*_: object) -> None:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os._exit(128 + number)

    return end
