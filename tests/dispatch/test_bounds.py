"""Memory grows with the keys that live, never with how long a backlog is (G9)."""

from __future__ import annotations

import threading
import time

import pytest

from datasync_core import Delete, Event, Host, Put, Reject, Watch, hookimpl
from datasync_core.dispatch.attempts import Patience
from datasync_core.dispatch.ledger import LEFTOVERS
from datasync_core.testing import Harness
from datasync_transports.memory import MemoryTransport
from tests.dispatch.recording import Recording

pytestmark = [pytest.mark.slow, pytest.mark.property]


def exceptions(harness: Harness, plugin: str) -> int:
    """How many keys a plugin's ledger remembers."""
    return sum(ledger.remembered for ledger in harness.inspect().plugins[plugin].stores.values())


def test_G9_a_plugin_that_waits_forever_keeps_no_deleted_keys() -> None:
    """Keys that were created and deleted while the plugin waits are not remembered."""
    low = Recording("low")
    harness = Harness(low=low, high=Recording("a/", requires=["low"]))
    harness.put("a/stays", "x")
    low.fail = [ValueError("for ever")] * 1000
    harness.put("low", "x")
    for number in range(2000):
        harness.commit({f"a/{number}": "x", f"a/{number - 1}": None, "a/stays": str(number)})
    assert exceptions(harness, "high") <= 3


def test_G9_a_failing_plugin_remembers_a_bounded_number_of_deleted_keys() -> None:
    """The bound holds while every call of the plugin fails."""
    plugin = Recording("a/")
    harness = Harness(patience=Patience(first=1, most=1), p=plugin)
    for start in range(0, 3 * LEFTOVERS, 2000):
        plugin.fail = [ValueError("no")]
        harness.commit({f"a/{start + number}": "x" for number in range(2000)})
        harness.advance(0.1)
        harness.commit({f"a/{start + number}": None for number in range(2000)})
        plugin.fail = [ValueError("no")]
        harness.advance(2)
    assert exceptions(harness, "p") <= 2 * (2 * LEFTOVERS + 2000)
    plugin.fail = []
    harness.advance(10)
    assert harness.in_sync()


def test_G9_leftovers_beyond_the_bound_are_said() -> None:
    plugin = Recording("a/")
    harness = Harness(patience=Patience(first=1000, most=1000), p=plugin)
    for start in range(0, 3 * LEFTOVERS, 5000):
        plugin.fail = [ValueError("no")]
        harness.resync("p")
        harness.commit({f"a/{start + number}": "x" for number in range(5000)})
        plugin.fail = [ValueError("no")]
        harness.resync("p")
        harness.commit({f"a/{start + number}": None for number in range(5000)})
    assert exceptions(harness, "p") <= 2 * (2 * LEFTOVERS + 5000)
    assert any("may be left over" in fault for fault in harness.faults())


def test_G9_rejected_deletes_are_remembered_up_to_a_bound() -> None:
    """The plugin rejects every delete; the oldest keys are forgotten first, and a fault says so."""
    plugin = Recording("a/")
    harness = Harness(p=plugin)
    names: list[str] = []
    for start in range(0, 4 * LEFTOVERS, 4000):
        names = [f"a/{start + number}" for number in range(4000)]
        harness.commit(dict.fromkeys(names, "x"))
        plugin.fail_on = {name: Reject("in use") for name in names}
        harness.commit(dict.fromkeys(names))
        plugin.fail_on = {}
        harness.calls.clear()
    blocked = harness.inspect().plugins["p"].blocked
    assert LEFTOVERS <= len(blocked) <= 2 * LEFTOVERS + 4000
    assert set(names) <= blocked.keys(), "the oldest are forgotten first"
    assert any("may be left over" in fault for fault in harness.faults())


def test_G9_keys_that_come_and_go_while_a_hook_hangs_do_not_fill_the_inbox() -> None:
    store = MemoryTransport()
    inside, go = threading.Event(), threading.Event()

    class Hangs(Recording):
        @hookimpl
        def on_change(self, event: Event) -> None:
            inside.set()
            assert go.wait(240)
            self.seen = dict(event[self.watch])

    plugin = Hangs()
    with Host(store, {"p": plugin}) as host:
        assert host.wait(60)
        writer = store.writer()
        writer.commit([Put("a/here", b"x"), Put("a/soon-gone", b"x")])
        assert inside.wait(60)
        for number in range(5000):
            writer.commit([Put(f"a/{number}", b"x")])
            writer.commit([Delete(f"a/{number}")])
        writer.commit([Delete("a/soon-gone")])
        writer.commit([Put("a/last", b"x")])
        main = host.inspect().stores["main"]
        waiter = threading.Event()
        deadline = time.monotonic() + 60
        while "a/last" not in main.staged_keys:
            assert time.monotonic() < deadline
            waiter.wait(0.01)
        assert main.staged_keys <= {"a/soon-gone", "a/last", "a/4999"}
        go.set()
        assert host.wait(60)
    assert plugin.seen == {"here": "x", "last": "x"}


class Signals:
    """Says when a change has arrived."""

    WATCH = Watch("a/", int)
    watches = [WATCH]

    def __init__(self) -> None:
        self.arrived = threading.Event()

    @hookimpl
    def on_resync(self, event: Event) -> None:
        pass

    @hookimpl
    def on_change(self, event: Event) -> None:
        self.arrived.set()


def test_a_change_costs_no_more_where_many_keys_of_its_plugin_are_frozen() -> None:
    few, many = (_seconds_a_change(frozen) for frozen in (20, 100_000))
    assert many < 10 * few  # a look at each of them takes thirty times as long


def _seconds_a_change(frozen: int) -> float:
    """The best of many: from the commit until the hook was called."""
    plugin, transport = Signals(), MemoryTransport()
    writer = transport.writer()
    writer.commit([Put(f"a/bad{number}", b"no number") for number in range(frozen)])
    writer.commit([Put("a/good", b"0")])
    best = 60.0
    with Host(stores=transport, plugins={"p": plugin}) as host:
        host.wait(60)
        for number in range(50):
            plugin.arrived.clear()
            began = time.perf_counter()
            writer.commit([Put("a/good", b"%d" % (number + 1))])
            assert plugin.arrived.wait(60)
            best = min(best, time.perf_counter() - began)
    return best
