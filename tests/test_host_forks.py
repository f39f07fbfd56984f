"""A host in a process that forks: the child is told that nothing of it is its own."""

from __future__ import annotations

from collections.abc import Callable

from datasync_core import Context, Event, Host, Watch, hookimpl
from datasync_transports.memory import MemoryTransport
from tests.forked import in_child

SOON = 60.0  # seconds; reached only where something is wrong
ALL = Watch("", str)


class Notes:
    watches = [ALL]

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.stopped = False

    @hookimpl
    def on_start(self, context: Context) -> None:
        self.context = context

    @hookimpl
    def on_resync(self, event: Event) -> None:
        self.values = dict(event[ALL])

    @hookimpl
    def on_stop(self) -> None:
        self.stopped = True


def test_a_forked_child_is_told_that_the_host_is_its_parents() -> None:
    transport, plugin = MemoryTransport(), Notes()
    with Host(transport, {"notes": plugin}, name="vm") as host:
        assert host.wait(SOON)
        publisher, context = host.publisher(), plugin.context
        calls: dict[str, Callable[[], object]] = {
            "put": lambda: publisher.put("1", "x"),
            "delete": lambda: context.publisher().delete("1"),
            "start": host.start,
            "wait": lambda: host.wait(0.0),
            "wait_changed": lambda: host.wait_changed(0.0),
            "states": host.states,
            "status": host.status,
            "explain": lambda: host.explain("1"),
            "inspect": host.inspect,
            "resync": host.resync,
            "release": lambda: host.release("notes"),
            "report_fault": lambda: context.report_fault("broken"),
            "request_resync": lambda: context.request_resync("broken"),
        }
        for name, call in calls.items():
            answer = in_child(call)
            assert answer.startswith("HostError: "), (name, answer)
            assert answer.endswith(": make a new Host after the fork"), (name, answer)
        assert in_child(host.stop) == "True"
        assert not plugin.stopped
        publisher.put("1", "1")
        assert host.wait(SOON)
        assert plugin.values == {"1": "1"}
    assert plugin.stopped


def test_a_host_that_was_made_before_a_fork_cannot_be_started_in_a_child() -> None:
    host = Host("memory:", {"notes": Notes()})
    assert in_child(host.start).startswith("HostError: this host was made before this process was forked")
    host.stop()
