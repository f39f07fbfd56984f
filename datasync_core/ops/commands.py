"""What a running host can be asked: the one protocol by which looking in may also act."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Commands(Protocol):
    """Implemented by the host; every method may be called by any thread and never waits for a hook."""

    def status(self) -> dict[str, Any]:
        """Stores, plugins and faults."""

    def explain(self, key: str) -> dict[str, Any]:
        """Why a key is where it is."""

    def resync(self, *plugins: str, by: str) -> Sequence[str]:
        """Plan a resync of these plugins (none: all) and of those that require them; whose are planned.

        Raises `UsageError` for a plugin that does not run here.
        """

    def release(self, plugin: str, *, by: str) -> int:
        """Let go what the brake holds of a plugin and of those that require it; how many removals that is."""
