"""The watchdog sees a dispatcher that stands still outside hooks, too; one that waits for work does not hang."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datasync_core import Host
from datasync_core.config import HostSettings, Settings
from tests.dispatch.recording import Recording
from tests.sync.reading import Clock

SOON = 60.0  # seconds; reached only where something is wrong
TIMEOUT = 60.0
TEXT = "the dispatcher hangs outside hooks: no step for 60 s (hook_timeout), nothing is delivered"


class Stuck(logging.Handler):
    """An application's handler that does not return once it is told to hang."""

    def __init__(self) -> None:
        super().__init__()
        self.hangs = False
        self.inside, self.go, self.placed = threading.Event(), threading.Event(), threading.Event()
        self.place = ""

    def emit(self, record: logging.LogRecord) -> None:
        if " is at " in record.getMessage():
            self.place = record.getMessage()
            self.placed.set()
        if self.hangs and threading.current_thread().name == "datasync-dispatcher":
            self.inside.set()
            assert self.go.wait(SOON)


@contextmanager
def stuck() -> Iterator[Stuck]:
    handler, log = Stuck(), logging.getLogger("datasync")
    log.addHandler(handler)
    try:
        yield handler
    finally:
        handler.go.set()
        log.removeHandler(handler)


def host_of(plugin: object, clock: Clock) -> Host:
    settings = Settings(HostSettings("edge", hook_timeout=TIMEOUT), {}, {}, Path.cwd())
    return Host("memory:", {"p": plugin}, settings=settings, runtime=clock)


def look(host: Host, looks: int = 2) -> None:
    """Wait until the watchdog has looked so often."""
    seen = threading.Semaphore(0)
    host.watchdog.on_sample = seen.release
    for _ in range(looks):
        assert seen.acquire(timeout=SOON)


def test_a_dispatcher_that_a_log_handler_blocks_is_named() -> None:
    clock, hung, sentences = Clock(), threading.Event(), []

    def on_hang(sentence: str) -> None:
        sentences.append(sentence)
        hung.set()

    plugin = Recording()
    with stuck() as handler, host_of(plugin, clock) as host:
        host.watchdog.on_hang = on_hang
        assert host.wait(SOON)
        handler.hangs = True
        plugin.fail = [ValueError("in use")]
        host.publisher().put("a/1", "x")
        assert handler.inside.wait(SOON)
        look(host)
        clock.ahead += TIMEOUT
        assert hung.wait(SOON)
        status = host.status()
        handler.hangs = False
        handler.go.set()
        assert handler.placed.wait(SOON), "the log goes on once the handler does"
        look(host)
        after = host.status()
    assert sentences == [TEXT]
    assert (status["hanging"]["plugin"], status["hanging"]["hook"]) == (None, "the dispatcher")
    assert TEXT in [fault["text"] for fault in status["faults"]]
    assert after["hanging"] is None
    assert handler.place.startswith("the dispatcher is at ")
    assert "(Stuck.emit), called by " in handler.place


def test_a_host_that_waits_for_work_does_not_hang() -> None:
    clock = Clock()
    with host_of(Recording(), clock) as host:
        assert host.wait(SOON)
        look(host)
        clock.ahead += 10 * TIMEOUT
        look(host)
        assert host.watchdog.hanging is None
        assert host.status()["faults"] == []
