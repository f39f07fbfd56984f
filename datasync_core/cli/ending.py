"""The end of a process that a hook keeps from ending well."""

from __future__ import annotations

import faulthandler
import logging
import os
import stat
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, Self, TextIO

from datasync_core.cli.exits import Exit
from datasync_core.cli.logs import drain_log
from datasync_core.model.keys import shown

if TYPE_CHECKING:
    from datasync_core.host import Host

log = logging.getLogger("datasync.cli")

LAST_WORDS = 1.0
"""Seconds to say why it ends: a hook may hang just because nobody reads what it prints."""


def end_at_once(sentence: str, code: int) -> NoReturn:
    """Log it, hand on what was printed, and end the process, whatever its threads do. Any thread."""

    end = time.monotonic() + LAST_WORDS
    tasks = [lambda: _speak(sentence), lambda: _flush(sys.stdout), lambda: _flush(sys.stderr)]
    # A thread for each: one that waits hinders no other.
    threads = [threading.Thread(target=task, daemon=True) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    os._exit(code)


def _speak(sentence: str) -> None:
    log.error("%s", sentence)
    drain_log(LAST_WORDS)


def _flush(stream: TextIO | None) -> None:
    with suppress(OSError, ValueError, AttributeError):  # closed, or none at all
        if stream is not None:
            stream.flush()


def bound_the_end(leave_by: float | None, code: int) -> None:
    """Let the process end although threads of plugins are no daemons, for which the interpreter waits for ever.

    Those that end by ``leave_by`` (on the monotonic clock; None: within `LAST_WORDS`), as the idle ones of a thread
    pool do, are waited for. Else they are named, and a host that ended with 0 ends with 1.
    """
    patience = LAST_WORDS if leave_by is None else max(leave_by - time.monotonic(), LAST_WORDS)
    final = code if leave_by is None else code or Exit.FAILED

    def name() -> None:
        time.sleep(patience)
        main = threading.main_thread()
        left = sorted(one.name for one in threading.enumerate() if one is not main and not one.daemon)
        whose = f"the thread{'s' * (len(left) > 1)} {', '.join(left)}, begun by a plugin,"
        have = "have" if len(left) > 1 else "has"
        when = "" if leave_by is None else " within stop_timeout"
        _speak(f"{shown(whose)} {have} not ended{when}: ended without, as a daemon thread would be")
        for stream in (sys.stdout, sys.stderr):
            _flush(stream)
        os._exit(final)

    def end() -> None:  # nobody may read what is said
        time.sleep(patience + LAST_WORDS)
        os._exit(final)

    for target in (name, end):  # now: at its end the interpreter begins no thread
        threading.Thread(target=target, daemon=True).start()


def _report_descriptor() -> int:
    """Where a timer writes why it ended the process: stderr, so that a pipe that is not read does not hold it up.

    It is of its own: a descriptor that is closed meanwhile may come to mean another file. A pipe or a terminal is
    opened anew, because others that have it would find it not to wait, too.
    """
    if sys.stderr is None:
        return os.open(os.devnull, os.O_WRONLY)
    mode = os.fstat(2).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        with suppress(OSError):
            return os.open("/proc/self/fd/2", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    return os.dup(2)


class HangWatch:
    """Within it a hook that hangs ends the process, where ``[host] on_hang`` is ``restart``; else it does nothing.

    The watchdog sees a hook that waits, and the process ends with 75. A C call that keeps the interpreter's lock
    keeps the watchdog from looking, too: then faulthandler's own timer, wound up by each look, ends it with 1.
    The main thread enters it before the host starts; ``is_stopping`` says when ``stop_timeout`` decides instead.
    """

    def __init__(self, host: Host, is_stopping: Callable[[], bool]) -> None:
        self._host = host
        self._is_stopping = is_stopping
        self._report: int | None = None

    def __enter__(self) -> Self:
        if self._host.settings.host.on_hang == "restart":
            self._report = _report_descriptor()
            self._host.watchdog.on_hang = self._restart
            self._host.watchdog.on_sample = self._wind_up
            self._wind_up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._report is not None:
            faulthandler.cancel_dump_traceback_later()
            os.close(self._report)

    def _wind_up(self) -> None:
        assert self._report is not None
        timeout = 3 * self._host.settings.host.hook_timeout
        faulthandler.dump_traceback_later(timeout, exit=True, file=self._report)

    def _restart(self, sentence: str) -> None:
        if not self._is_stopping():
            end_at_once(f'{sentence}; ended, to be started anew (on_hang = "restart")', Exit.RESTART)
