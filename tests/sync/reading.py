"""A store that is read by a real reflector on a real thread, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Self

from datasync_core.model.faults import Fault, FaultKind
from datasync_core.model.runtime import RealRuntime
from datasync_core.spec.transport import Transport
from datasync_core.sync.backoff import Backoff
from datasync_core.sync.inbox import Inbox
from datasync_core.sync.reflector import Reflector
from datasync_core.sync.replica import Replica
from datasync_core.sync.store import Store

SOON = 60.0
"""Seconds within which what must happen has happened, on a machine that is busy."""


class Clock(RealRuntime):
    """The machine's runtime, whose clock can be put forward."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


class Reading:
    """A context manager: the reflector of a store runs inside. Its methods are for the thread of the test."""

    def __init__(self, transport: Transport, paths: Sequence[str] = ("",), first: float = 0.001) -> None:
        self.runtime = Clock()
        self.bell = self.runtime.doorbell()
        self.inbox = Inbox(self.runtime, self.bell)
        self.replica = Replica(paths)
        self.faults: list[Fault] = []
        self.backoff = Backoff(first, max(first, 0.01), lambda: 0.0)
        store = Store("main", transport)
        self.reflector = Reflector(store, paths, self.inbox, self.runtime, self._report, self.backoff)
        self.health = self.reflector.health

    def __enter__(self) -> Self:
        self.reflector.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.reflector.stop()
        assert self.reflector.join(SOON), "the reflector does not stop"

    def _report(self, fault: Fault) -> None:
        self.faults.append(fault)
        self.bell.ring()

    @property
    def kinds(self) -> list[FaultKind]:
        return [fault.kind for fault in self.faults]

    def take(self) -> None:
        """One round: what the inbox has goes into the replica."""
        self.replica.apply(self.inbox.take())
        self.replica.settle()

    def held(self) -> dict[str, bytes]:
        """What the replica holds after a round; empty before the first snapshot was whole."""
        self.take()
        if not self.replica.synced:
            return {}
        shelves = self.replica.shelves.all.values()
        return {key: entry.value for shelf in shelves for key, entry in shelf.entries.items()}

    def until(self, condition: Callable[..., bool]) -> None:
        """Wait for something; health is told by no bell, so it is looked at every few milliseconds.

        It is called without arguments; a lambda in a loop keeps what it needs as its defaults.
        """
        deadline = time.monotonic() + SOON
        while not condition():
            assert time.monotonic() < deadline, "what was waited for did not happen"
            self.bell.wait(0.005)
