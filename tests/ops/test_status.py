"""What a host says of stores and plugins, in data and in words, while something is in the way."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datasync_core import Event, Host, Put, Reject, Watch, hookimpl
from datasync_core.cli.status import lines
from datasync_core.config import HostSettings, RetrySettings, Settings
from datasync_core.model.runtime import RealRuntime
from datasync_core.ops.explain import in_words
from datasync_core.testing import Harness
from datasync_transports.memory import MemoryTransport
from tests.dispatch.recording import Recording, Whole
from tests.sync.reading import SOON


def patient(**host: Any) -> Settings:
    """A host that waits ten minutes before it tries anything again."""
    return Settings(HostSettings("edge", retry=RetrySettings(600.0, 600.0), **host), {}, {}, Path.cwd())


def until(condition: Callable[[], bool]) -> None:
    """Wait for what no bell tells."""
    runtime = RealRuntime()
    bell, deadline = runtime.doorbell(), runtime.monotonic() + SOON
    while not condition():
        assert runtime.monotonic() < deadline, "what was waited for did not happen"
        bell.wait(0.005)


def store_of(host: Host, name: str = "main") -> dict[str, Any]:
    [store] = [one for one in host.status()["stores"] if one["name"] == name]
    return dict(store)


def is_waiting(host: Host, name: str = "main") -> bool:
    return store_of(host, name)["retry_in"] is not None


def test_a_lost_store_says_when_it_is_tried_again() -> None:
    """A resync tries it again at once."""
    transport = MemoryTransport()
    with Host(transport, {"p": Recording()}, settings=patient()) as host:
        assert host.wait(SOON)
        assert (store_of(host)["connected"], store_of(host)["retry_in"]) == (True, None)
        transport.lose()
        until(lambda: is_waiting(host))
        status = host.status()
        [store] = status["stores"]
        assert 240 < store["retry_in"] <= 600
        [line] = [line for line in lines(status) if line.startswith("store main")]
        assert ": lost since " in line
        assert f"tried again in {store['retry_in']:.0f} s, 0 keys from before" in line
        text = next(iter(in_words(host.explain("a/1"))))
        assert text.startswith("store main: a/1 is not there, as of the last connection: memory:")
        assert "; tried again in " in text
        transport.back()
        host.resync("p")
        until(lambda: store_of(host)["connected"])


def of(store: str) -> Recording:
    plugin = Recording()
    plugin.watch = Watch("a/", str, store=store)
    plugin.watches = [plugin.watch]
    return plugin


def test_a_resync_hurries_the_stores_of_those_that_it_concerns() -> None:
    one, two = MemoryTransport(), MemoryTransport()
    one.lose()
    two.lose()
    plugins = {"p": of("one"), "q": of("two")}
    with Host({"one": one, "two": two}, plugins, settings=patient()) as host:
        until(lambda: is_waiting(host, "one") and is_waiting(host, "two"))
        one.back()
        two.back()
        host.resync("q")
        until(lambda: store_of(host, "two")["connected"])
        assert is_waiting(host, "one")
        host.resync()
        until(lambda: store_of(host, "one")["connected"])


def test_a_store_that_was_never_reached_has_no_last_connection() -> None:
    transport = MemoryTransport()
    transport.lose()
    with Host(transport, {"p": Recording()}, settings=patient()) as host:
        until(lambda: is_waiting(host))
        [line] = [line for line in lines(host.status()) if line.startswith("store main")]
        assert "never reached since " in line
        assert "keys" not in line
        text, *others = in_words(host.explain("a/1"))
        assert others[0] == "p watches it by 'a/': not known, as the store was not read yet"
        assert text.startswith("store main: never reached, so nothing is known of a/1: memory:")
        assert "; tried again in " in text


class Slow(Recording):
    """Stays in `on_resync` until it is let go."""

    def __init__(self) -> None:
        super().__init__("s/")
        self.inside, self.go = threading.Event(), threading.Event()

    @hookimpl
    def on_resync(self, event: Event) -> None:
        self.inside.set()
        assert self.go.wait(SOON)


def test_what_was_true_before_a_hook_that_runs_is_told_as_such() -> None:
    slow, other = Slow(), MemoryTransport()
    other.lose()
    plugins = {"slow": slow, "p": of("other")}
    with Host(
        {"main": MemoryTransport(), "other": other}, plugins, settings=patient(hook_timeout=60.0)
    ) as host:
        assert slow.inside.wait(SOON)
        until(lambda: host.status()["running"] is not None)
        running = host.status()["running"]
        assert (running["plugin"], running["hook"]) == ("slow", "on_resync")
        said = list(lines(host.status()))
        assert re.fullmatch(
            r"plugins and keys as before [-0-9]+ [:0-9]+: since then on_resync of plugin slow runs", said[1]
        )
        other.back()
        host.resync()
        until(lambda: store_of(host, "other")["connected"])  # told live, as another thread knows it
        slow.go.set()
        assert host.wait(SOON)
        until(lambda: host.status()["running"] is None)
        assert host.states()["p"].state == "in_sync"


def test_each_reconnect_and_each_resync_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The line is logged when the plugin is in sync again."""
    caplog.set_level(logging.INFO, "datasync")
    plugin = Recording()
    harness = Harness(p=plugin)
    harness.put("a/1", "x")

    def said() -> list[str]:
        texts = [record.getMessage() for record in caplog.records]
        caplog.clear()
        return [text for text in texts if text.startswith("p: in sync")]

    assert said() == ["p: in sync, 0 keys (startup)"]
    for _ in range(2):
        harness.lose()
        harness.back()
        assert said() == ["p: in sync, 1 key (reconnect)"]
        harness.put("a/1", "x")
        harness.put("a/1", "y")
        assert said() == []
    for _ in range(2):
        harness.resync()
        assert said() == ["p: in sync, 1 key (request)"]
    plugin.fail = [ValueError("no"), ValueError("no")]
    harness.lose()
    harness.back()
    assert said() == []
    harness.advance(60)
    assert said() == ["p: in sync, 1 key (retry)"]


def test_a_plugin_without_on_change_is_not_logged_at_each_change(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "datasync")
    harness = Harness(p=Whole())
    harness.put("a/1", "x")
    harness.put("a/1", "y")
    assert [record.getMessage() for record in caplog.records] == ["p: in sync, 0 keys (startup)"]


def failing(host: Host) -> dict[str, dict[str, Any]]:
    [plugin] = host.status()["plugins"]
    keys = plugin["failing"]["keys"]
    assert plugin["failing"]["number"] == len(keys)
    return {one["key"]: one for one in keys}


def test_the_keys_that_fail_now_are_listed_and_healed_ones_are_not() -> None:
    plugin = Recording(type=int)
    plugin.fail_on = {f"a/{number}": OSError("device busy") for number in range(20)}
    plugin.fail_on |= {f"a/{number}": Reject("not here") for number in range(20, 120)}
    with Host(MemoryTransport(), {"p": plugin}, settings=patient()) as host:
        publisher = host.publisher()
        publisher.commit([Put(f"a/{number}", b"1") for number in range(150)])
        publisher.put("a/bad", b"x")
        until(lambda: len(failing(host)) == 121)
        listed = failing(host)
        assert listed["a/3"]["what"] == "failing"
        assert listed["a/3"]["why"] == "OSError: device busy"
        assert 240 < listed["a/3"]["retry_in"] <= 600
        assert listed["a/30"] | {"since": 0, "last": 0} == {
            "key": "a/30",
            "store": "main",
            "what": "rejected",
            "why": "not here",
            "count": 1,
            "since": 0,
            "last": 0,
            "retry_in": None,
        }
        assert listed["a/bad"]["what"] == "invalid"
        said = list(lines(host.status()))
        assert "  and 111 more; --json has the first 1000" in said
        assert sum(line.startswith("  a/") for line in said) == 10
        plugin.fail_on = {"a/30": Reject("not here")}
        host.resync()
        publisher.put("a/bad", b"2")
        until(lambda: set(failing(host)) == {"a/30"})
        assert "  a/30 rejected: not here (2 times since " in "\n".join(lines(host.status()))


def test_what_is_asked_of_a_host_is_logged_with_who_asks(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "datasync")
    with Host(MemoryTransport(), {"p": Recording(), "q": Recording()}, settings=patient()) as host:
        assert host.wait(SOON)
        host.release("p")
        host.resync()
        host.resync("q", by="the night shift")
    texts = [record.getMessage() for record in caplog.records]
    assert "p: release of 0 removals that the brake held, asked for by this process" in texts
    assert "resync of p, q, asked for by this process" in texts
    assert "resync of q, asked for by the night shift" in texts


class Hangs(Recording):
    """Stays at a key of its own until it is let go."""

    def __init__(self) -> None:
        super().__init__("s/")
        self.go = threading.Event()

    @hookimpl
    def on_change(self, event: Event) -> None:
        for change in event.changes(self.watch):
            if change.key == "s/2":
                self.stay()

    def stay(self) -> None:
        assert self.go.wait(SOON)


def test_a_hang_is_told_with_its_key_and_where_it_is(caplog: pytest.LogCaptureFixture) -> None:
    plugin = Hangs()
    with Host(MemoryTransport(), {"p": plugin}, settings=patient(hook_timeout=0.2)) as host:
        assert host.wait(SOON)
        host.publisher().commit([Put(f"s/{number}", b"x") for number in range(4)])
        until(lambda: any(" is at " in record.getMessage() for record in caplog.records))
        [fault] = host.status()["faults"]
        assert (fault["plugin"], fault["key"]) == ("p", "s/2")
        assert fault["text"].startswith("p: on_change hangs at s/2: it has not returned for 0.2 s")
        [where] = [text for record in caplog.records if " is at " in (text := record.getMessage())]
        assert "(Hangs.stay), called by test_status.py:" in where
        assert "(Hangs.on_change)" in where
        plugin.go.set()
