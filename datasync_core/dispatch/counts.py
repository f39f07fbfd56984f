"""What survives the host: how many keys each plugin had applied, for the brake of its next life.

A file of JSON, replaced as a whole. It is written after a round that called a hook, at most every few seconds, and at
the stop; a host that is killed leaves counts that are a few seconds old, which is near enough for a brake.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

log = logging.getLogger("datasync")

PAUSE = 5.0
"""Seconds between two writes."""


class Counts:
    """The counts in their file. Owned by the dispatcher thread, but for `load`."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._saved: dict[str, int] = {}
        self._next = 0.0  # when the next write may be
        self._stale = False
        self._failed = False

    def load(self) -> Mapping[str, int]:
        """The counts of the earlier life; empty where there was none. To be called once, before the first round."""
        try:
            self._saved = msgspec.json.decode(self._file.read_bytes(), type=dict[str, int])
        except FileNotFoundError:
            self._saved = {}
        except (OSError, msgspec.MsgspecError) as error:
            log.warning(
                "%s cannot be read (%s): the brake does not know what was applied before", self._file, error
            )
            self._saved = {}
        return dict(self._saved)

    def touch(self) -> None:
        """The counts may have changed."""
        self._stale = True

    def deadline(self) -> float | None:
        """When to save, on the monotonic clock; None where nothing changed."""
        return self._next if self._stale else None

    def save(self, counts: Mapping[str, int], now: float) -> None:
        """Write the counts, where they changed; those of plugins that are not among them stay."""
        self._stale = False
        self._next = now + PAUSE
        merged = {**self._saved, **counts}
        if merged == self._saved:
            return
        try:
            _replace(self._file, msgspec.json.encode(merged))
        except OSError as error:
            if not self._failed:  # once is enough: it is tried again with each change
                log.warning(
                    "%s cannot be written (%s): after a restart the brake knows older counts",
                    self._file,
                    error,
                )
            self._failed = True
            return
        self._failed = False
        self._saved = merged


def _replace(file: Path, content: bytes) -> None:
    fresh = file.with_name(file.name + ".new")
    with fresh.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(file)
