"""What the host owes a plugin: resyncs for reasons, and an answer to what it reported.

Who is resynced: for a fault and a request the plugin and those that require it; for a reconnect and an audit those
that watch that store. No other resync is made, but to try again what failed. One that succeeds serves all that was
owed when it began. Reports are taken up by their policy: any number of them before that are one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tests.simulation.shadow import Shadow


class Promises:
    """Those of one life of the host. ``fail`` takes a guarantee and what breaks it."""

    def __init__(self, shadows: Iterable[Shadow], fail: Callable[[str, str], None]) -> None:
        self._fail = fail
        self._owed: dict[str, set[str]] = {shadow.name: set() for shadow in shadows}
        self._wished: dict[str, set[str]] = {shadow.name: set() for shadow in shadows}
        """What plugins asked for and nobody took up."""
        self._failed: set[str] = set()
        """Plugins with something to try again."""
        self.restart: str | None = None
        """The plugin whose report asked for a restart."""

    def reported(self, shadow: Shadow) -> None:
        """A plugin reports a fault."""
        match shadow.character.policy:
            case "resync":
                self._wished[shadow.name].add("fault")
            case "restart":
                self.restart = self.restart or shadow.name

    def requested(self, shadow: Shadow) -> None:
        """A plugin asks for a resync."""
        self._wished[shadow.name].add("request")

    def begins(self, shadow: Shadow, reason: str) -> None:
        """The host takes up what a plugin reported or asked for."""
        wished = self._wished[shadow.name]
        if reason not in wished:
            self._fail(
                "report", f"a {reason} of {shadow.name} is taken up that nobody made, or that was already"
            )
        if reason == "request" and "fault" in wished:
            self._fail("report", f"a request of {shadow.name} is taken up instead of its fault")
        wished.clear()
        self.owe(shadow, reason)

    def owe(self, shadow: Shadow, reason: str) -> None:
        """A plugin and those that require it are to be resynced."""
        for one in (shadow, *shadow.dependents):
            self._owed[one.name].add(reason)

    def owe_watchers(self, shadows: Iterable[Shadow], store: str, reason: str) -> None:
        """Those that watch a store are to be resynced, but for who wants only the difference of a reconnect."""
        for shadow in shadows:
            character = shadow.character
            if shadow.succeeded and any(where == store for where, _ in character.watches):
                if reason == "audit" or not character.delta:
                    self._owed[shadow.name].add(reason)

    def told(self, shadow: Shadow, reason: str, *, resync: bool, raised: bool) -> None:
        """A hook is called; ``raised``: another of this plugin did so in this round."""
        owed = self._owed[shadow.name]
        if not resync:
            if owed and not raised:
                self._fail(
                    "resync", f"{shadow.name} is told of changes while a resync is due: {sorted(owed)}"
                )
            return
        again = reason == "retry" and shadow.name in self._failed
        change = reason == "change" and not shadow.character.optimised
        first = reason == "startup" and not shadow.succeeded
        if not (reason in owed or again or change or first):
            self._fail(
                "resync", f"{shadow.name} is resynced ({reason}), and nothing asks for it: {sorted(owed)}"
            )

    def failed(self, shadow: Shadow) -> None:
        """A call raised."""
        self._failed.add(shadow.name)

    def recovered(self, shadow: Shadow) -> None:
        """Nothing is left of what raised."""
        self._failed.discard(shadow.name)

    def served(self, shadow: Shadow) -> None:
        """A resync succeeded."""
        self._owed[shadow.name].clear()

    def owed(self, shadow: Shadow) -> str | None:
        """Why a plugin is to be resynced."""
        return min(self._owed[shadow.name], default=None)

    def quiet(self) -> None:
        """Nobody can go on: what was reported or asked for was taken up."""
        for name, wished in self._wished.items():
            if wished:
                self._fail("report", f"a {min(wished)} of {name} is not taken up")
