"""The brake of each plugin as the rules have it, compared with what the core says.

It trips where too much of what a plugin applied is gone without having been deleted, and lets go when the store's
content is back. While it holds a plugin, it holds what that requires, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from datasync_core.ops.inspection import PluginView
from tests.simulation.shadow import Shadow

SHARE = 0.5


class Brakes:
    """Those of one life of the host. ``fail`` takes a guarantee and what breaks it."""

    def __init__(
        self,
        plugins: Mapping[str, PluginView],
        shadows: Mapping[str, Shadow],
        fail: Callable[[str, str], None],
        trace: Callable[[str, object], None],
    ) -> None:
        self._plugins = plugins
        self._shadows = shadows
        self._fail = fail
        self._trace = trace

    def look(self) -> None:
        """The core has looked at its brakes, before a round."""
        for shadow in self._shadows.values():
            if shadow.unread:
                continue
            keys, present = shadow.character.brake, len(shadow.content)
            if shadow.braked is not None:
                if shadow.braked - present < keys:
                    shadow.recover()
            elif not shadow.succeeded and shadow.expected:
                if _too_much(shadow.expected - present, shadow.expected, keys):
                    shadow.braked, shadow.at_start = shadow.expected, True
            elif _too_much(len(shadow.inferred), shadow.stock(), keys):
                shadow.braked, shadow.at_start = shadow.stock(), False
                self._trace("brake", f"{shadow.name} {len(shadow.inferred)} of {shadow.stock()}")
        for name, shadow in self._shadows.items():
            tripped = self._plugins[name].braked
            if tripped != shadow.braked:
                text = f"{sorted(shadow.inferred)} of {shadow.stock()} are gone without having been deleted"
                self._fail("G10", f"the brake of {name} says {tripped}, should be {shadow.braked}: {text}")
        for shadow in self._shadows.values():
            holding = shadow.braked is not None or any(
                other.braked is not None for other in shadow.dependents
            )
            if not holding and shadow.held & shadow.inferred:
                shadow.inferred.clear()
            shadow.holding = holding
            shadow.held = set(shadow.inferred) if holding else set()
            if (
                shadow.failed is not None
                and self._plugins[shadow.name].resync_due is None
                and not shadow.puts()
                and not shadow.deletes()
            ):
                shadow.failed = None  # there is nothing left to try again


def _too_much(gone: int, stock: int, keys: int) -> bool:
    return gone >= keys and gone > SHARE * stock
