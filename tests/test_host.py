"""The host with its real threads: embedding, stopping, waiting, publishing, one of a name."""

from __future__ import annotations

import gc
import logging
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from datasync_core import Context, Event, Fault, Host, Put, Reject, Retry, Watch, hookimpl
from datasync_core.config import HostSettings, RetrySettings, Settings
from datasync_core.model.errors import ConfigError, HostError, StoreError, UsageError
from datasync_core.model.runtime import RealRuntime
from datasync_transports.memory import MemoryTransport
from tests.sync.reading import Clock

SOON = 60.0  # seconds; reached only where something is wrong


class Notes:
    """Applies `a/` to a dictionary and writes down each hook."""

    def __init__(
        self, notes: list[str] | None = None, name: str = "", requires: tuple[str, ...] = ()
    ) -> None:
        self.watch = Watch("a/", str)
        self.watches = [self.watch]
        self.requires = list(requires)
        self.name = name
        self.notes = [] if notes is None else notes
        self.values: dict[str, str] = {}

    @hookimpl
    def on_start(self, context: Context) -> None:
        self.context = context
        self.notes.append(f"start {self.name}")

    @hookimpl
    def on_resync(self, event: Event) -> None:
        self.notes.append(f"resync {self.name}")
        self.values = dict(event[self.watch])

    @hookimpl
    def on_change(self, event: Event) -> None:
        self.values = dict(event[self.watch])

    @hookimpl
    def on_stop(self) -> None:
        self.notes.append(f"stop {self.name}")


class Slow(Notes):
    """Stays in `on_change` until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.go = threading.Event(), threading.Event()

    @hookimpl
    def on_change(self, event: Event) -> None:
        self.inside.set()
        assert self.go.wait(SOON)
        self.notes.append("changed")


def test_a_change_reaches_the_plugin_and_wait_waits_for_it(tmp_path: Path) -> None:
    plugin = Notes()
    with Host(f"sqlite:{tmp_path}/data.db", {"notes": plugin}) as host:
        assert host.wait(SOON)
        for number in range(20):
            host.publisher().put(f"a/{number}", "x")
        host.publisher().delete("a/0")
        host.publisher().delete("a/never-there")
        host.publisher().put("elsewhere", "x")
        assert host.wait(SOON)
        assert plugin.values == {str(number): "x" for number in range(1, 20)}


def test_G5_start_goes_in_order_of_requirements_and_stop_in_reverse() -> None:
    notes: list[str] = []
    plugins = {
        "c": Notes(notes, "c", ("b",)),
        "a": Notes(notes, "a"),
        "b": Notes(notes, "b", ("a",)),
    }
    with Host("memory:", plugins) as host:
        assert host.wait(SOON)
    starts = [note for note in notes if note.startswith("start")]
    assert starts == ["start a", "start b", "start c"]
    assert notes[-3:] == ["stop c", "stop b", "stop a"]


def test_G5_all_hooks_run_on_one_thread() -> None:
    threads = set()

    class Where(Notes):
        @hookimpl
        def on_change(self, event: Event) -> None:
            threads.add(threading.current_thread().name)

    with Host("memory:", {"one": Where(), "two": Where()}) as host:
        writers = [
            threading.Thread(target=lambda n=n: [host.publisher().put(f"a/{n}", str(i)) for i in range(50)])
            for n in range(4)
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert host.wait(SOON)
    assert threads == {"datasync-dispatcher"}


def test_G12_stop_lets_the_running_hook_finish() -> None:
    slow = Slow()
    host = Host("memory:", {"slow": slow})
    host.start()
    assert host.wait(SOON)
    host.publisher().put("a/1", "x")
    assert slow.inside.wait(SOON)
    assert host.running() == ("slow", "on_change")
    assert host.stop(timeout=0.01) is False, "the hook still runs"
    assert slow.notes[-1] == "resync "
    slow.go.set()
    assert host.stop(SOON)
    assert slow.notes[-2:] == ["changed", "stop "]
    assert host.running() is None


def test_G12_no_hook_runs_after_the_one_that_ran_when_stop_was_asked() -> None:
    slow, other = Slow(), Notes()
    other.requires = ["slow"]
    with Host("memory:", {"slow": slow, "other": other}) as host:
        assert host.wait(SOON)
        host.publisher().put("a/1", "x")
        assert slow.inside.wait(SOON)
        host.stop(timeout=0)
        slow.go.set()
    assert other.values == {}


def test_stop_inside_a_hook_only_asks() -> None:
    class Ends(Notes):
        @hookimpl
        def on_change(self, event: Event) -> None:
            self.answer = host.stop()

    ends = Ends()
    host = Host("memory:", {"ends": ends})
    with host:
        assert host.wait(SOON)
        host.publisher().put("a/1", "x")
        host.wait(SOON)
    assert ends.answer is False
    assert ends.notes[-1] == "stop "


def test_waiting_inside_a_hook_is_refused() -> None:
    class Waits(Notes):
        @hookimpl
        def on_change(self, event: Event) -> None:
            with pytest.raises(HostError, match="a hook cannot wait"):
                host.wait(1)
            self.notes.append("refused")

    waits = Waits()
    with Host("memory:", {"waits": waits}) as host:
        host.publisher().put("a/1", "x")
        assert host.wait(SOON)
        host.publisher().put("a/1", "y")
        assert host.wait(SOON)
    assert "refused" in waits.notes


def test_two_hosts_live_in_one_process(tmp_path: Path) -> None:
    one, two = Notes(), Notes()
    url = f"sqlite:{tmp_path}/data.db"
    with Host(url, {"p": one}, name="one") as first, Host(url, {"p": two}, name="two") as second:
        assert first.wait(SOON)
        assert second.wait(SOON)
        first.publisher().put("a/1", "x")
        second.publisher().put("a/2", "y")
        assert first.wait(SOON)
        assert second.wait(SOON)
        deadline = threading.Event()
        while one.values != two.values and not deadline.wait(0.01):
            first.wait_changed(0.1)
        assert one.values == {"1": "x", "2": "y"}


def test_embedding_changes_nothing_process_wide() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    handlers, frozen = list(logging.root.handlers), gc.get_freeze_count()
    with Host("memory:", {"p": Notes()}) as host:
        assert host.wait(SOON)
        assert gc.isenabled()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before
    assert (list(logging.root.handlers), gc.get_freeze_count()) == (handlers, frozen)


def test_a_second_host_of_one_name_is_refused_and_names_the_first(tmp_path: Path) -> None:
    with Host("memory:", {"p": Notes()}, name="edge", state_dir=tmp_path / "state"):
        second = Host("memory:", {"p": Notes()}, name="edge", state_dir=tmp_path / "state")
        with pytest.raises(HostError, match=rf"a host named edge runs already \(pid {os.getpid()}"):
            second.start()
        assert second.stop(SOON)
    with Host("memory:", {"p": Notes()}, name="edge", state_dir=tmp_path / "state") as again:
        assert again.wait(SOON)


def test_an_unusable_state_directory_is_a_setting_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    host = Host("memory:", {"p": Notes()}, state_dir=tmp_path / "file" / "state")
    with pytest.raises(ConfigError, match=r"state directory .* cannot be used"):
        host.start()
    assert host.stop(SOON)


def test_a_host_is_started_once() -> None:
    host = Host("memory:", {"p": Notes()})
    with host, pytest.raises(HostError, match="started already"):
        host.start()
    with pytest.raises(HostError, match="started already"):
        host.start()


def test_without_discover_nothing_installed_runs() -> None:
    host = Host("memory:", {"p": Notes()})
    host.load()
    assert [plugin.name for plugin in host.plugins] == ["p"]


def test_publishing_to_a_store_that_is_away_raises_and_drops_nothing() -> None:
    store, plugin = MemoryTransport(), Notes()
    with Host(store, {"p": plugin}) as host:
        assert host.wait(SOON)
        store.lose()
        with pytest.raises(StoreError):
            host.publisher().put("a/1", "lost?")
        store.back()
        host.publisher().put("a/2", "x")
        assert host.wait(SOON)
        assert plugin.values == {"2": "x"}


def test_publishing_after_the_stop_raises() -> None:
    host = Host("memory:", {"p": Notes()})
    with host:
        publisher = host.publisher()
    with pytest.raises(StoreError, match="the host has stopped"):
        publisher.put("a/1", "x")


def test_a_plugin_publishes_from_its_hook_and_from_its_own_thread() -> None:
    class Answers(Notes):
        @hookimpl
        def on_resync(self, event: Event) -> None:
            self.context.publisher().put("a/from-hook", "x")
            thread = threading.Thread(target=lambda: self.context.publisher("main").put("a/from-thread", "x"))
            thread.start()
            thread.join(SOON)

    plugin = Answers()
    with Host("memory:", {"p": plugin}) as host:
        assert host.wait(SOON)
    assert plugin.values == {"from-hook": "x", "from-thread": "x"}


def test_a_plugin_that_names_an_unknown_store_fails_alone() -> None:
    class Elsewhere(Notes):
        def __init__(self) -> None:
            super().__init__()
            self.watches = [Watch("a/", str, store="aux")]

    good, needs = Notes(), Notes(requires=("elsewhere",))
    with Host("memory:", {"elsewhere": Elsewhere(), "good": good, "needs": needs}) as host:
        assert host.wait(SOON)
        states = {name: (str(state.state), state.reason) for name, state in host.states().items()}
    assert states["elsewhere"] == ("failed", "there is no store aux; configured are main")
    assert states["needs"] == ("waiting", "requires elsewhere: failed")
    assert "resync " in good.notes


def test_a_single_store_is_main_whatever_its_name() -> None:
    plugin = Notes()
    with Host({"elsewhere": "memory:"}, {"p": plugin}) as host:
        host.publisher().put("a/1", "x")
        assert host.wait(SOON)
    assert plugin.values == {"1": "x"}


@pytest.mark.slow
def test_on_start_is_retried_and_comes_before_the_first_resync() -> None:
    class Stumbles(Notes):
        @hookimpl
        def on_start(self, context: Context) -> None:
            self.notes.append("start")
            if len(self.notes) < 3:
                raise ConnectionError("the device does not answer yet")

    plugin = Stumbles()
    with Host("memory:", {"p": plugin}) as host:
        assert host.wait(SOON)
    assert plugin.notes == ["start", "start", "start", "resync ", "stop "]


def test_a_reject_in_on_start_fails_the_plugin() -> None:
    """The plugins that require it wait, and none of their hooks is called."""

    class Refuses(Notes):
        @hookimpl
        def on_start(self, context: Context) -> None:
            raise Reject("no such device")

    refuses, needs = Refuses(), Notes(requires=("refuses",))
    with Host("memory:", {"refuses": refuses, "needs": needs}) as host:
        assert host.wait(SOON)
        states = {name: (str(state.state), state.reason) for name, state in host.states().items()}
    assert states == {
        "refuses": ("failed", "on_start: no such device"),
        "needs": ("waiting", "requires refuses: on_start: no such device"),
    }
    assert refuses.notes == []
    assert needs.notes == []


def test_observers_are_told_of_faults_and_may_fail_themselves() -> None:
    told: list[Fault] = []

    class Observer:
        @hookimpl
        def on_fault(self, fault: Fault) -> None:
            told.append(fault)
            raise ValueError("an observer's own mistake")

    class Fails(Notes):
        failed = False

        @hookimpl
        def on_change(self, event: Event) -> None:
            if not self.failed:
                self.failed = True
                raise ValueError("no")

    store = MemoryTransport()
    with Host(store, {"observer": Observer(), "fails": Fails()}) as host:
        assert host.wait(SOON)
        host.publisher().put("a/1", "x")
        assert host.wait(SOON)
        store.lose()
        store.back()
        host.publisher().put("a/2", "x")
        assert host.wait(SOON)
    kinds = [str(fault.kind) for fault in told]
    assert kinds[0] == "hook failed"
    assert sorted(kinds[1:]) == ["store back", "store lost"]
    assert all(fault.time > 1_000_000_000 for fault in told)


def test_what_a_plugin_reports_leads_to_a_resync() -> None:
    plugin = Notes()
    with Host("memory:", {"p": plugin}) as host:
        assert host.wait(SOON)
        plugin.context.report_fault("the table was flushed")
        assert host.wait(SOON)
        plugin.context.request_resync("to be sure")
        assert host.wait(SOON)
    assert plugin.notes.count("resync ") == 3


def test_status_is_plain_data() -> None:
    class Bad(Notes):
        @hookimpl
        def on_resync(self, event: Event) -> None:
            raise Reject("never")

    with Host("memory:", {"good": Notes(), "bad": Bad()}, name="edge") as host:
        host.publisher().put("a/1", "x")
        assert host.wait(SOON)
        status: dict[str, Any] = host.status()
    assert status["host"] == "edge"
    assert [(store["name"], store["connected"], store["keys"]) for store in status["stores"]] == [
        ("main", True, 1)
    ]
    assert [(plugin["name"], plugin["state"]) for plugin in status["plugins"]] == [
        ("bad", "retrying"),
        ("good", "in_sync"),
    ]
    assert status["faults"][0]["kind"] == "hook failed"


def test_a_mistake_of_ours_ends_the_host_loudly(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(RealRuntime):
        def time(self) -> float:
            if threading.current_thread().name == "datasync-dispatcher":
                raise ZeroDivisionError("a mistake")
            return super().time()

    class Fails(Notes):
        @hookimpl
        def on_resync(self, event: Event) -> None:
            raise ValueError("reported, which reads the clock")

    host = Host("memory:", {"p": Fails()}, runtime=Broken())
    host.start()
    assert host.wait(SOON) is False
    assert isinstance(host.crashed(), ZeroDivisionError)
    assert host.stop(SOON)
    assert "a mistake of datasync" in caplog.text


def test_unusable_keys_and_urls_are_refused_in_a_sentence() -> None:
    with Host("memory:", {"p": Notes()}) as host:
        with pytest.raises(UsageError, match="slash"):
            host.publisher().put("/a/1", "x")
        with pytest.raises(ConfigError, match="there is no store aux"):
            host.publisher("aux")
    with pytest.raises(ConfigError, match="begins with its scheme"):
        Host("data.db", {})


def test_relative_urls_are_relative_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Host("sqlite:data.db", {"p": Notes()}) as host:
        host.publisher().put("a/1", "x")
        assert host.wait(SOON)
    assert Path("data.db").exists()


def test_an_observer_that_reports_what_it_is_told_does_not_run_in_a_circle(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Circles(Notes):
        @hookimpl
        def on_fault(self, fault: Fault) -> None:
            self.notes.append("told")
            self.context.report_fault(fault.text)

    plugin = Circles()
    with Host("memory:", {"p": plugin}) as host:
        assert host.wait(SOON)
        plugin.context.report_fault("once")
        assert host.wait(SOON)
    assert plugin.notes.count("told") == 1
    assert "on_fault cannot report a fault" in caplog.text


def test_G10_the_counts_of_an_earlier_life_hold_the_first_resync(tmp_path: Path) -> None:
    url, state = f"sqlite:{tmp_path}/data.db", tmp_path / "state"
    plugin = Notes()
    with Host(url, {"p": plugin}, name="edge", state_dir=state) as host:
        host.publisher().commit([Put(f"a/{number}", b"x") for number in range(20)])
        assert host.wait(SOON)
    assert len(plugin.values) == 20
    emptied = Notes()
    with Host(f"sqlite:{tmp_path}/mistaken.db", {"p": emptied}, name="edge", state_dir=state) as host:
        assert host.wait(SOON)
        [said] = host.status()["plugins"]
        assert (said["state"], emptied.values) == ("held", {})
        assert said["reason"].startswith("the store has 0 of 20 keys")
        assert "resync " not in emptied.notes
    right = Notes()
    with Host(url, {"p": right}, name="edge", state_dir=state) as host:
        assert host.wait(SOON)
        assert len(right.values) == 20


def test_damaged_counts_are_said_and_hold_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "counts.json").write_text("{")
    with Host("memory:", {"p": Notes()}, state_dir=state) as host:
        assert host.wait(SOON)
    assert "counts.json cannot be read" in caplog.text


def with_settings(**host: Any) -> Settings:
    return Settings(HostSettings("edge", **host), {}, {}, Path.cwd())


def hang(host: Host, clock: Clock) -> None:
    """Let a minute pass for what runs, once the watchdog has seen it."""
    while (seen := host.watchdog.seen) is None or seen[0] != host.running():
        host.wait_changed(0.01)
    clock.ahead += 60


def test_G12_a_hook_that_hangs_is_named_while_it_hangs() -> None:
    slow, clock = Slow(), Clock()
    hung = threading.Event()
    host = Host("memory:", {"slow": slow}, settings=with_settings(hook_timeout=60.0), runtime=clock)
    host.watchdog.on_hang = lambda text: hung.set()
    with host:
        assert host.wait(SOON)
        host.publisher().put("a/1", "x")
        assert slow.inside.wait(SOON)
        hang(host, clock)
        assert hung.wait(SOON)
        status = host.status()
        assert status["faults"][-1]["text"] == (
            "slow: on_change hangs: it has not returned for 60 s (hook_timeout)"
        )
        assert (status["hanging"]["plugin"], status["hanging"]["hook"]) == ("slow", "on_change")
        slow.go.set()
        assert host.wait(SOON)
        assert [fault["kind"] for fault in host.status()["faults"]] == ["hook hangs"]


@pytest.mark.parametrize("hook", ["on_resync", "on_change"])
def test_G12_a_codec_that_hangs_is_named_as_a_hook_is(hook: str) -> None:
    inside, hung, go, clock = threading.Event(), threading.Event(), threading.Event(), Clock()

    def decode(value: bytes) -> str:
        if value == b"slow":
            inside.set()
            assert go.wait(SOON)
        return value.decode()

    class Decoding:
        watches = [Watch("a/", codec=decode)]

        @hookimpl
        def on_resync(self, event: Event) -> None:
            pass

        if hook == "on_change":
            on_change = on_resync

    host = Host("memory:", {"p": Decoding()}, settings=with_settings(hook_timeout=60.0), runtime=clock)
    host.watchdog.on_hang = lambda text: hung.set()
    with host:
        assert host.wait(SOON)
        host.publisher().put("a/1", "slow")
        assert inside.wait(SOON)
        hang(host, clock)
        assert hung.wait(SOON)
        said = host.status()["faults"][-1]["text"]
        go.set()
        assert host.wait(SOON)
    assert said == "p: a codec hangs: it has not returned for 60 s (hook_timeout)"


def test_what_a_plugin_reports_is_only_told_where_the_policy_is_to_ignore() -> None:
    plugin = Notes()
    with Host("memory:", {"p": plugin}, settings=with_settings(fault_policy="ignore")) as host:
        assert host.wait(SOON)
        plugin.context.report_fault("lost")
        assert host.wait(SOON)
        assert [fault["text"] for fault in host.status()["faults"]] == ["p: reported: lost"]
    assert plugin.notes.count("resync ") == 1


def test_a_reported_fault_stops_the_plugins_with_policy_restart() -> None:
    """The host asks for a restart, calls `on_stop`, and does no resync."""
    plugin = Notes()
    with Host("memory:", {"p": plugin}, settings=with_settings(fault_policy="restart")) as host:
        assert host.wait(SOON)
        wanted_before = host.restart_wanted
        plugin.context.report_fault(ValueError("lost"))
        assert (wanted_before, host.restart_wanted) == (False, True)
    assert plugin.notes[-1] == "stop "
    assert plugin.notes.count("resync ") == 1


def test_endless_resync_requests_from_threads_starve_no_plugin() -> None:
    """Other plugins are still told of changes, the queue of commands stays short, and the host can stop."""
    storm, sibling = Notes(), Notes()
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            storm.context.request_resync("again")

    with Host("memory:", {"storm": storm, "sibling": sibling}) as host:
        assert host.wait(SOON)
        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + SOON
        host.publisher().put("a/1", "x")
        while sibling.values != {"1": "x"}:
            assert time.monotonic() < deadline
            host.wait_changed(0.1)
        assert host.inspect().orders <= 2
        stopped = host.stop(SOON)
        over.set()
        for thread in threads:
            thread.join()
    assert stopped


def test_a_start_that_fails_leaves_nothing_running_and_the_name_free(tmp_path: Path) -> None:
    (tmp_path / "control").mkdir()
    (tmp_path / "control" / "in the way").touch()
    plugin = Notes()
    host = Host("memory:", {"p": plugin}, state_dir=tmp_path)
    with pytest.raises(ConfigError), host:
        pass
    assert plugin.notes == []
    (tmp_path / "control" / "in the way").unlink()
    (tmp_path / "control").rmdir()
    with Host("memory:", {"p": plugin}, state_dir=tmp_path) as again:
        assert again.wait(SOON)


def test_G12_no_resync_follows_an_on_start_in_which_stop_was_asked() -> None:
    class Ends(Notes):
        @hookimpl
        def on_start(self, context: Context) -> None:
            self.notes.append("start")
            if len(self.notes) == 1:
                raise Retry("until the store was read")
            host.stop()

    ends = Ends()
    host = Host("memory:", {"ends": ends}, settings=with_settings(retry=RetrySettings(0.2, 0.2, 3)))
    with host:
        host.wait(SOON)
    assert ends.notes == ["start", "start", "stop "]


def test_G12_no_observer_is_told_after_the_one_in_which_stop_was_asked() -> None:
    told: list[str] = []

    class Observer(Notes):
        @hookimpl
        def on_fault(self, fault: Fault) -> None:
            told.append(self.name)
            host.stop()

    first, second = Observer(name="first"), Observer(name="second", requires=("first",))
    with Host("memory:", {"first": first, "second": second}) as host:
        assert host.wait(SOON)
        first.context.report_fault("lost")
        host.wait(SOON)
    assert told == ["first"]


@pytest.mark.parametrize("how", ["stop", "restart"])
def test_G11_a_wait_ends_with_its_host(how: str) -> None:
    class Fails(Notes):
        @hookimpl
        def on_change(self, event: Event) -> None:
            changing.set()
            raise ValueError("no")

    plugin, changing, answers = Fails(), threading.Event(), []
    settings = with_settings(fault_policy="restart", retry=RetrySettings(1000, 1000, 3))
    host = Host("memory:", {"p": plugin}, settings=settings)
    host.start()
    assert host.wait(SOON)
    host.publisher().put("a/1", "x")
    waiter = threading.Thread(target=lambda: answers.append(host.wait()))
    waiter.start()
    assert changing.wait(SOON)
    if how == "stop":
        assert host.stop(SOON)
    else:
        plugin.context.report_fault("lost")
    waiter.join(SOON)
    assert answers == [False]
    assert host.stop(SOON)
