"""What is kept of faults costs their sentences, not what the code that failed had in its hands."""

from __future__ import annotations

import gc
import logging
import weakref

import pytest

from datasync_core import Event, Fault, hookimpl
from datasync_core.testing import Harness
from tests.dispatch.recording import Recording


class Burden:
    """Something large that a hook has in its hands."""


class Fails(Recording):
    def __init__(self) -> None:
        super().__init__()
        self.burdens: weakref.WeakSet[Burden] = weakref.WeakSet()
        self.causes: list[str] = []

    @hookimpl
    def on_resync(self, event: Event) -> None:
        burden = Burden()
        self.burdens.add(burden)
        raise ValueError(f"number {event.round}")

    @hookimpl
    def on_fault(self, fault: Fault) -> None:
        self.causes.append(str(fault.cause))


def test_G9_a_fault_that_is_kept_does_not_keep_what_the_hook_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logging.getLogger("datasync"), "disabled", True)  # pytest keeps what was logged
    plugin = Fails()
    harness = Harness(p=plugin)
    for _ in range(5):
        harness.resync("p")
    harness.calls.clear()  # they keep what was raised
    gc.collect()
    assert len(harness.faults()) == 6
    assert len(plugin.burdens) == 0
    assert plugin.causes[0] == "number 1", "observers are told the cause"
