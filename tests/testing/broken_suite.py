"""The shipped suite on every broken transport. Not collected by itself: `test_conformance` runs it in a process."""

from __future__ import annotations

import pytest

from datasync_core.testing import OutsideStore, TransportConformance
from datasync_core.transport import Transport
from tests.testing.broken import transports
from tests.testing.sound import UNWRITABLE, Sound, World


def suite(name: str, transport: type[Sound]) -> type[TransportConformance]:
    class Suite(TransportConformance):
        patience, liveness, many, largest = 0.3, 0.1, 2500, 100_000
        unwritable = UNWRITABLE

        @pytest.fixture
        def world(self) -> World:
            return World()

        @pytest.fixture
        def outside(self, world: World) -> OutsideStore:
            self.store = world
            return world.outside()

        def connect(self, outside: OutsideStore) -> Transport:
            return transport(self.store)

    Suite.__name__ = Suite.__qualname__ = f"Test{name}"
    return Suite


globals().update({f"Test{name}": suite(name, transport) for name, transport in transports().items()})
