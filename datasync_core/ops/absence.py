"""How a store is told of that is not connected: since when, why, and when it is tried again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from datasync_core.model.errors import cut

if TYPE_CHECKING:
    from datasync_core.sync.reflector import Health


def connection(health: Health, now: float) -> dict[str, Any]:
    """``{connected, reached, since, error, retry_in}``; any thread may ask.

    ``reached``: whether it was ever read; ``retry_in``: seconds until the next attempt, None where there is none to
    wait for, as it is connected or being tried; ``now`` is monotonic.
    """
    error, retry_at = health.error, health.retry_at
    return {
        "connected": health.connected,
        "reached": health.snapshots > 0,
        "since": health.since,
        "error": None if error is None else cut(str(error)),
        "retry_in": None if health.connected or retry_at is None else max(retry_at - now, 0.0),
    }


def next_try(said: Mapping[str, Any]) -> str:
    """``tried again in 12 s``, of what `connection` said."""
    left = said["retry_in"]
    return "being tried now" if left is None else f"tried again in {left:.{0 if left >= 10 else 1}f} s"
