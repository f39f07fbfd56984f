"""Somebody who writes through the host and waits until every plugin has it."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import define

from datasync_core import Host
from datasync_core.testing import VirtualRuntime
from datasync_core.transport import Delete, Put, StoreError
from tests.simulation.oracle import Oracle
from tests.simulation.store import SimulatedStore


@define(eq=False)
class Writer:
    """One commit and its wait of ``seconds`` (None: for ever), on a thread of its own."""

    host: Host
    oracle: Oracle
    runtime: VirtualRuntime
    store: SimulatedStore
    values: Mapping[str, str | None]
    seconds: float | None
    thread: object = None

    def run(self) -> None:
        """What the thread does."""
        ops = [Delete(key) if text is None else Put(key, text.encode()) for key, text in self.values.items()]
        try:
            self.host.publisher(self.store.name).commit(ops)
        except StoreError as error:
            self.oracle.trace("publish fails", error)
            return
        publications, me = self.oracle.publications, self.runtime._current
        publications.wrote(
            me, self.store, self.values, told=self.oracle.is_reliable(self.store.name, self.values)
        )
        begun = self.runtime.monotonic()
        answer = self.host.wait(self.seconds)
        took = self.runtime.monotonic() - begun
        self.oracle.trace("all is settled" if answer else "not settled", sorted(self.values))
        self.oracle.waits += answer
        publications.answered(me, answer, seconds=self.seconds, took=took)
