"""The feature flags under `flags/NAME`, as the rest of the process asks for them."""

from __future__ import annotations

from attrs import frozen

from datasync_core import Event, Watch, hookimpl


@frozen
class Flag:
    """The value of a key."""

    on: bool
    note: str = ""


FLAGS = Watch("flags/", Flag)


class Flags:
    """Which flags are on. Any thread may read it; the host's replaces it whole, so nobody sees half of a change."""

    watches = [FLAGS]

    def __init__(self) -> None:
        self.on: frozenset[str] = frozenset()

    @hookimpl
    def on_resync(self, event: Event) -> None:
        """Take all of them; without an `on_change` every change comes as this."""
        self.on = frozenset(name for name, flag in event[FLAGS].items() if flag.on)
