"""What `on_start` is given: the plugin's own way to speak to its host."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from attrs import frozen

from datasync_core.model.entries import Delete, Put


class Publisher(Protocol):
    """Writes to one store, from any thread. Keys are relative to the store's prefix.

    Every method returns the revision of the write (0 where the store numbers none) once the store has it, and
    raises a `StoreError` otherwise: nothing is queued and nothing is dropped in silence. ``expect`` maps keys to
    the revision they must have (0: must not exist); where one has another, `Conflict` is raised and nothing written.
    """

    def put(
        self, key: str, value: bytes | str, *, ttl: float | None = None, expect: int | None = None
    ) -> int:
        """Write one key; ``ttl`` in seconds."""

    def delete(self, key: str, *, expect: int | None = None) -> int:
        """Remove one key; what is not there is no error."""

    def commit(self, ops: Sequence[Put | Delete], *, expect: Mapping[str, int] | None = None) -> int:
        """Do all of it or nothing."""


@frozen
class Context:
    """A plugin's own way to speak to its host. Everything in it may be used from any thread, and never waits."""

    name: str
    """The plugin's name in this host."""
    log: logging.Logger
    """A logger of the plugin's name below ``datasync.plugins``."""
    publisher: Callable[..., Publisher]
    """``publisher(store="main")``: what writes to one of the plugin's stores."""
    report_fault: Callable[[BaseException | str], None]
    """Say that the driven system is not in the state it was brought to; a resync follows."""
    request_resync: Callable[[str], None]
    """Ask for a resync of this plugin and of those that require it, with the reason."""
