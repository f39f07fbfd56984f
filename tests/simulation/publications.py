"""What this host's writers wrote, and what the end of their wait says: each plugin concerned applied it, or is named.

Named are a value that it cannot read or has rejected, what the brake holds, and a plugin that waits for what will not
come by itself. A value that was overtaken in the store counts as applied. A wait ends, if only because its time is
over, or its host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from attrs import define, field

from datasync_core.model.keys import covers
from datasync_core.ops.inspection import Inspection
from tests.simulation.shadow import Shadow
from tests.simulation.store import SimulatedStore


@define(eq=False)
class Publication:
    """One commit through the host and the wait for what becomes of it."""

    store: SimulatedStore
    values: Mapping[str, str | None]
    place: int
    """Where it is in the store's log."""
    epoch: int
    open: set[tuple[str, str]] = field(factory=set)
    """Plugin and key of each that has not applied it yet."""

    def is_overtaken(self, key: str) -> bool:
        """Whether the store had another value since."""
        later = self.store.log[self.place :]
        return self.epoch != self.store.epoch or any(one.cleared or key in one.changes for one in later)


class Publications:
    """Those of one life of the host. ``fail`` takes a guarantee and what breaks it."""

    def __init__(
        self, inspection: Inspection, shadows: Mapping[str, Shadow], fail: Callable[[str, str], None]
    ) -> None:
        self._inspection = inspection
        self._shadows = shadows
        self._fail = fail
        self._waiting: dict[object, Publication] = {}

    def wrote(
        self, writer: object, store: SimulatedStore, values: Mapping[str, str | None], *, told: bool
    ) -> Publication:
        """A writer has committed, on its own thread; ``told``: and the store will tell of it."""
        made = Publication(store, values, store.place_of(values), store.epoch)
        for name, shadow in self._shadows.items() if told else ():
            for key in values:
                if any(one == store.name and covers(path, key) for one, path in shadow.character.watches):
                    made.open.add((name, key))
        self._waiting[writer] = made
        self.applied(self._shadows.values())
        return made

    def applied(self, shadows: Iterable[Shadow]) -> None:
        """These plugins may have applied more."""
        for made in self._waiting.values():
            for shadow in shadows:
                for key, text in made.values.items():
                    if shadow.applied.get((made.store.name, key)) == text:
                        made.open.discard((shadow.name, key))

    def settled(self, writer: object) -> None:
        """The host says to a writer that all is settled."""
        made = self._waiting.get(writer)
        for name, key in sorted(made.open) if made is not None else ():
            assert made is not None
            shadow = self._shadows[name]
            if (
                not made.is_overtaken(key)
                and not shadow.frozen((made.store.name, key))
                and not self._waits(shadow)
            ):
                self._fail("G11", f"a wait ends, and {name} has not applied {key} = {made.values[key]}")

    def answered(self, writer: object, answer: bool, *, seconds: float | None, took: float) -> None:
        """A wait ends."""
        del self._waiting[writer]
        if not answer and not self._inspection.stopping and (seconds is None or took < seconds - 1e-6):
            self._fail("G11", f"a wait gives up after {took:g} of {seconds} s")
        if seconds is not None and took > seconds + 1e-6:
            self._fail("G11", f"a wait takes {took:g} of {seconds} s")

    def ended(self) -> None:
        """The host has stopped, or all is settled: nobody waits any more."""
        for made in self._waiting.values():
            self._fail("G11", f"the wait for {sorted(made.values)} does not end")

    def _waits(self, shadow: Shadow) -> bool:
        """Whether a plugin, or one that it requires, waits for what will not come by itself, and is named so."""
        plugin = self._inspection.plugins[shadow.name]
        named = (
            plugin.failed is not None or plugin.is_held or (plugin.call_failed and plugin.next_call is None)
        )
        return named or any(self._waits(one) for one in shadow.requires)
