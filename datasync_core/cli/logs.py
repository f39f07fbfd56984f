"""The log of a running host: a line for each event on standard error, for people or (``json``) for programs."""

from __future__ import annotations

import logging
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any

from datasync_core.cli.backlog import Backlog
from datasync_core.cli.values import json_text
from datasync_core.model.errors import cut
from datasync_core.model.keys import shown, shown_lines
from datasync_core.model.runtime import RealRuntime
from datasync_core.ops.forks import forget_in_children

_OURS = "datasync"
_OF_PLUGINS = "datasync.plugins."
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


TRACE = 32_768
"""Characters of a traceback that are shown: the exception's text, at its end, may be long, and so may a chain be."""


class Stamp(Enum):
    """The time with which a line for people begins."""

    NONE = auto()
    """In a pipe or socket: the reader (journald, a container's runtime) stamps lines itself."""
    CLOCK = auto()
    """On a terminal: ``12:00:01``."""
    DATE = auto()
    """In a file, which is read on other days and in other zones: RFC 3339, with milliseconds."""


class _CutTraces(logging.Formatter):
    """Shows head and tail of a long traceback."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - its name in logging
        return cut(super().formatException(ei), TRACE)


class PeopleFormatter(_CutTraces):
    """``12:00:01 hello: in sync, 1 key (startup)``."""

    def __init__(self, verbose: bool, stamp: Stamp) -> None:
        super().__init__(datefmt="%H:%M:%S")
        self._verbose = verbose
        self._stamp = stamp

    def format(self, record: logging.LogRecord) -> str:
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        line = f"{self._time(record)}{level}{_message(record)}"
        if self._verbose and record.exc_info:
            line += f"\n{shown_lines(self.formatException(record.exc_info))}"
        return line

    def _time(self, record: logging.LogRecord) -> str:
        if self._stamp is Stamp.DATE:
            moment = datetime.fromtimestamp(record.created).astimezone()
            return f"{moment.isoformat(timespec='milliseconds')} "
        return f"{self.formatTime(record, self.datefmt)} " if self._stamp is Stamp.CLOCK else ""


class JsonFormatter(_CutTraces):
    """One JSON object a line: time, level, logger, message, and what the event brings (``plugin``, ``state`` ...)."""

    def __init__(self, encoding: str) -> None:
        super().__init__()
        self._encoding = encoding

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.name.startswith(_OF_PLUGINS):
            line["plugin"] = record.name.removeprefix(_OF_PLUGINS)
        line |= {
            name: value for name, value in vars(record).items() if name not in _STANDARD and value is not None
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json_text(line, self._encoding, default=str)


class BacklogHandler(logging.Handler):
    """Formats in the thread that logs and leaves the line to the backlog: no call of it waits for a reader."""

    def __init__(self, formatter: logging.Formatter, descriptor: int | None, encoding: str) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._encoding = encoding
        self._backlog = Backlog(descriptor, RealRuntime(), self._notice)
        forget_in_children(self._backlog)

    def handle(self, record: logging.LogRecord) -> bool:
        """Format outside the lock: what a record holds may be a plugin's object, whose text hangs."""
        if not self.filter(record):
            return False
        try:
            line = self._line(record)
        except Exception:
            self.handleError(record)
        else:
            with self._locked():
                self._backlog.put(line)
        return True

    def drain(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds until what was logged is written; whether it was."""
        with self._locked():
            self._backlog.announce()
        return self._backlog.drain(timeout)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.acquire()
        try:
            yield
        finally:
            self.release()

    def _line(self, record: logging.LogRecord) -> bytes:
        return f"{self.format(record)}\n".encode(self._encoding, "backslashreplace")

    def _notice(self, dropped: int) -> bytes:
        text = f"log: {dropped:,} lines dropped: standard error was not read"
        known = {"name": _OURS, "levelno": logging.WARNING, "levelname": "WARNING", "dropped": dropped}
        return self._line(logging.makeLogRecord({**known, "msg": text}))


class _HostLogger(logging.Logger):
    """A logger of the host that nothing else in the process silences.

    `logging.config.dictConfig` in a plugin disables each logger that it does not name, and `logging.disable` all.
    """

    disabled = property(lambda _: False, lambda _, __: None)

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  # of the standard library
        return level >= self.getEffectiveLevel()


class HostLog:
    """The log of this process's host, as the command line set it up. Any thread."""

    def __init__(self, handler: BacklogHandler, level: int) -> None:
        self._handler = handler
        self._level = level

    def keep(self) -> None:
        """Put back what a plugin changed of the host's loggers. Those of plugins keep handlers of their own."""
        for name, logger in list(logging.root.manager.loggerDict.items()):
            if not isinstance(logger, logging.Logger) or name.partition(".")[0] != _OURS:
                continue
            if type(logger) is logging.Logger:
                logger.__class__ = _HostLogger
            elif logger.disabled:
                logger.disabled = False
            if name == _OURS:
                _set_up(logger, self._handler, self._level)
            elif not logger.propagate:
                logger.propagate = True
            if name != _OURS and logger.level and not name.startswith(_OF_PLUGINS):
                logger.setLevel(logging.NOTSET)

    def drain(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds until what was logged is written; whether it was."""
        return self._handler.drain(timeout)


def log_to_stderr(form: str, level: int, verbose: bool) -> HostLog:
    """Send the log of this process there: ours and the plugins' from ``level`` on, of others what is a warning."""
    logging.raiseExceptions = False  # a closed stderr must not stop a host
    descriptor = _descriptor()
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    formatter = JsonFormatter(encoding) if form == "json" else PeopleFormatter(verbose, _stamp(descriptor))
    handler = BacklogHandler(formatter, descriptor, encoding)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))
    logging.getLogger(_OURS)
    log = HostLog(handler, level)
    log.keep()
    return log


def drain_log(timeout: float) -> None:
    """Wait up to ``timeout`` seconds until what the host logged is written. Any thread."""
    for handler in logging.getLogger(_OURS).handlers:
        if isinstance(handler, BacklogHandler):
            handler.drain(timeout)


def _set_up(logger: logging.Logger, handler: BacklogHandler, level: int) -> None:
    """Let the host's records go to its own handler alone: those of the root logger are the plugins' to choose."""
    if logger.handlers != [handler]:
        logger.handlers[:] = [handler]
    logger.propagate = False
    if logger.level != level:
        logger.setLevel(level)


def _message(record: logging.LogRecord) -> str:
    message = record.getMessage()
    if record.name.startswith(_OF_PLUGINS):
        return f"{record.name.removeprefix(_OF_PLUGINS)}: {shown_lines(message)}"
    is_ours = record.name.partition(".")[0] == _OURS
    return shown(message) if is_ours else f"{shown(record.name)}: {shown_lines(message)}"


def _descriptor() -> int | None:
    """The descriptor of standard error; None where it is closed."""
    try:
        return sys.stderr.fileno()
    except (OSError, ValueError, AttributeError):
        return None


def _stamp(descriptor: int | None) -> Stamp:
    try:
        mode = 0 if descriptor is None else os.fstat(descriptor).st_mode
    except OSError:
        return Stamp.NONE
    if stat.S_ISREG(mode):
        return Stamp.DATE
    return Stamp.NONE if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else Stamp.CLOCK
