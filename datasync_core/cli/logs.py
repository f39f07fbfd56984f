"""What a running host says: on stderr, a line for each event, for people or (``json``) for programs."""

from __future__ import annotations

import json
import logging
import os
import stat
import sys
from datetime import UTC, datetime
from typing import Any

from datasync_core.model.errors import cut
from datasync_core.model.keys import shown

_OF_PLUGINS = "datasync.plugins."
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


TRACE = 32_768
"""Characters of a traceback that are shown: the exception's text, at its end, may be long, and so may a chain be."""


class _CutTraces(logging.Formatter):
    """Shows head and tail of a long traceback."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - its name in logging
        return cut(super().formatException(ei), TRACE)


class PeopleFormatter(_CutTraces):
    """``12:00:01 hello: in sync, 1 key (startup)``.

    Into a pipe it goes without the time: who reads it (journald, a container's runtime) stamps lines itself.
    """

    def __init__(self, verbose: bool, timed: bool) -> None:
        super().__init__(datefmt="%H:%M:%S")
        self._verbose = verbose
        self._timed = timed

    def format(self, record: logging.LogRecord) -> str:
        time = f"{self.formatTime(record, self.datefmt)} " if self._timed else ""
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        line = f"{time}{level}{_message(record)}"
        if self._verbose and record.exc_info:
            line += f"\n{self.formatException(record.exc_info)}"
        return line


class JsonFormatter(_CutTraces):
    """One JSON object a line: time, level, logger, message, and what the event brings (``plugin``, ``state`` ...)."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def log_to_stderr(form: str, level: int, verbose: bool) -> None:
    """Send the log of this process there: ours and the plugins' from ``level`` on, of others what is a warning."""
    logging.raiseExceptions = False  # a closed stderr must not stop a host
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else PeopleFormatter(verbose, not _is_piped()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))
    logging.getLogger("datasync").setLevel(level)


def _message(record: logging.LogRecord) -> str:
    message = record.getMessage()
    if record.name.startswith(_OF_PLUGINS):
        return f"{record.name.removeprefix(_OF_PLUGINS)}: {message}"
    return shown(message) if record.name.partition(".")[0] == "datasync" else f"{record.name}: {message}"


def _is_piped() -> bool:
    try:
        mode = os.fstat(sys.stderr.fileno()).st_mode
    except (OSError, ValueError, AttributeError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
