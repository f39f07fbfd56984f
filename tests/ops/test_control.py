"""A running host answers on its socket, also while a hook hangs."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import socket
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from datasync_core import Event, Host, Put, Watch, hookimpl
from datasync_core.model.errors import ConfigError, HostError, UsageError
from datasync_core.model.runtime import RealRuntime
from datasync_core.ops import control
from datasync_core.ops.control import ask
from datasync_core.ops.conversation import LONGEST
from datasync_core.testing import VirtualRuntime

SOON = 60.0


class Applies:
    def __init__(self) -> None:
        self.watch = Watch("a/", str)
        self.watches = [self.watch]
        self.inside, self.go = threading.Event(), threading.Event()
        self.go.set()
        self.resyncs = 0

    @hookimpl
    def on_resync(self, event: Event) -> None:
        self.resyncs += 1

    @hookimpl
    def on_change(self, event: Event) -> None:
        self.inside.set()
        assert self.go.wait(SOON)


@pytest.fixture
def plugin() -> Applies:
    return Applies()


@pytest.fixture
def host(tmp_path: Path, plugin: Applies) -> Iterator[Host]:
    with Host("memory:", {"p": plugin}, name="edge", state_dir=tmp_path) as running:
        assert running.wait(SOON)
        yield running
        plugin.go.set()


def test_status_explain_resync_and_release_are_answered(host: Host, plugin: Applies, tmp_path: Path) -> None:
    host.publisher().put("a/1", "x")
    assert host.wait(SOON)
    status = ask(tmp_path, {"command": "status"})
    assert (status["host"], status["plugins"][0]["state"]) == ("edge", "in_sync")
    assert ask(tmp_path, {"command": "explain", "key": "a/1"})["plugins"][0]["what"] == "applied"
    assert ask(tmp_path, {"command": "resync", "plugins": []}) == ["p"]
    assert host.wait(SOON)
    assert plugin.resyncs == 2
    assert ask(tmp_path, {"command": "release", "plugin": "p"}) == 0


def test_it_answers_while_a_hook_hangs(host: Host, plugin: Applies, tmp_path: Path) -> None:
    plugin.go.clear()
    host.publisher().put("a/1", "x")
    assert plugin.inside.wait(SOON)
    assert ask(tmp_path, {"command": "status"})["plugins"][0]["name"] == "p"
    assert ask(tmp_path, {"command": "resync", "plugins": ["p"]}) == ["p"]


def test_who_asks_through_the_socket_is_logged(
    host: Host, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "datasync")
    ask(tmp_path, {"command": "resync", "plugins": ["p"]})
    ask(tmp_path, {"command": "release", "plugin": "p"})
    who = f"uid {os.getuid()}, pid {os.getpid()}"
    texts = [record.getMessage() for record in caplog.records]
    assert f"resync of p, asked for by {who}" in texts
    assert f"p: release of 0 removals that the brake held, asked for by {who}" in texts


def test_a_release_says_how_many_removals_it_covers(tmp_path: Path) -> None:
    plugin = Applies()
    from datasync_transports.memory import MemoryTransport

    store = MemoryTransport()
    with Host(store, {"p": plugin}, state_dir=tmp_path) as host:
        host.publisher().commit([Put(f"a/{number}", b"x") for number in range(20)])
        assert host.wait(SOON)
        store.clear()
        while ask(tmp_path, {"command": "status"})["plugins"][0]["state"] != "held":
            host.wait_changed(0.1)
        assert ask(tmp_path, {"command": "release", "plugin": "p"}) == 20
        assert host.wait(SOON)
        assert ask(tmp_path, {"command": "status"})["plugins"][0]["state"] == "in_sync"


def test_a_release_at_the_start_returns_how_many_keys_are_missing(
    tmp_path: Path,
) -> None:
    """The number is how many keys fewer there are than in the earlier run of the host."""
    with Host("memory:", {"p": Applies()}, state_dir=tmp_path) as host:
        host.publisher().commit([Put(f"a/{number}", b"x") for number in range(20)])
        assert host.wait(SOON)
    plugin = Applies()
    with Host("memory:", {"p": plugin}, state_dir=tmp_path) as host:
        while ask(tmp_path, {"command": "status"})["plugins"][0]["state"] != "held":
            host.wait_changed(0.1)
        assert plugin.resyncs == 0
        assert ask(tmp_path, {"command": "release", "plugin": "p"}) == 20
        assert host.wait(SOON)
        assert plugin.resyncs == 1


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ({"command": "resync", "plugins": ["q"]}, "no plugin q runs here; running are p"),
        ({"command": "release", "plugin": "q"}, "no plugin q runs here; running are p"),
        ({"command": "reboot"}, "the commands are status, explain"),
        ([], "a request is a JSON object"),
    ],
)
def test_what_it_cannot_do_it_says(
    host: Host, tmp_path: Path, request_: Mapping[str, object], sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence.replace("(", r"\(")):
        ask(tmp_path, request_)


def test_nonsense_gets_a_sentence_and_the_next_client_an_answer(host: Host, tmp_path: Path) -> None:
    for nonsense in (b"{\n", b"\xff\n", b"x" * (LONGEST + 2) + b"\n", b""):
        with closing(socket.socket(socket.AF_UNIX)) as client:
            client.settimeout(SOON)
            client.connect(str(tmp_path / "control"))
            client.sendall(nonsense)
            client.shutdown(socket.SHUT_WR)
            assert "error" in json.loads(client.makefile().readline())
    assert ask(tmp_path, {"command": "status"})["host"] == "edge"


def connect(folder: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(SOON)
    client.connect(str(folder / "control"))
    return client


def test_a_silent_client_delays_neither_other_clients_nor_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that connects and sends nothing does not delay other requests or the stop of the host."""
    monkeypatch.setattr(control, "PATIENCE", 4 * SOON)
    with Host("memory:", {"p": Applies()}, state_dir=tmp_path) as host:
        with closing(connect(tmp_path)) as silent:
            began = time.monotonic()
            assert ask(tmp_path, {"command": "status"})["plugins"]
            assert host.stop(SOON)
            assert time.monotonic() - began < control.PATIENCE / 2
            assert silent.recv(1) == b""


def test_a_client_that_dawdles_is_sent_away_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "PATIENCE", 0.2)
    with Host("memory:", {"p": Applies()}, state_dir=tmp_path), closing(connect(tmp_path)) as slow:
        slow.settimeout(0.02)
        deadline = time.monotonic() + SOON
        while time.monotonic() < deadline:
            try:
                slow.sendall(b" ")
                if slow.recv(1) == b"":
                    return
            except TimeoutError:
                continue
            except OSError:
                return
        pytest.fail("it was never sent away")


def test_an_answer_that_is_read_slowly_arrives_whole(
    tmp_path: Path,
) -> None:
    """The next client is served while the first one still reads."""
    with Host("memory:", {"p": Applies()}, name="n" * 3_000_000, state_dir=tmp_path):
        with closing(connect(tmp_path)) as slow:
            slow.sendall(b'{"command": "status"}\n')
            assert slow.recv(1) == b"{"
            with pytest.raises(UsageError):
                ask(tmp_path, {"command": "reboot"})
            assert len(json.loads("{" + slow.makefile().readline())["result"]["host"]) == 3_000_000


def test_of_too_many_clients_the_oldest_makes_room(host: Host, tmp_path: Path) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(connect(tmp_path))) for _ in range(control.MOST)]
        assert ask(tmp_path, {"command": "status"})["host"] == "edge"
        assert clients[0].recv(1) == b""


def test_a_socket_that_cannot_be_opened_is_a_config_error(
    tmp_path: Path,
) -> None:
    """The failed start leaves nothing behind, so the next start succeeds."""
    (tmp_path / "control").mkdir()
    plugin = Applies()
    with pytest.raises(ConfigError, match=f"the state directory {tmp_path} cannot be used"):
        Host("memory:", {"p": plugin}, state_dir=tmp_path).start()
    assert plugin.resyncs == 0
    (tmp_path / "control").rmdir()
    with Host("memory:", {"p": plugin}, state_dir=tmp_path) as host:
        assert host.wait(SOON)


def test_a_host_that_ends_in_the_middle_of_its_answer_is_told(tmp_path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(tmp_path / "control"))
        listener.listen()

        def answer_half() -> None:
            client, _ = listener.accept()
            with closing(client):
                client.recv(1000)
                client.sendall(b'{"result": ')

        thread = threading.Thread(target=answer_half)
        thread.start()
        with pytest.raises(HostError, match="ended while it was asked"):
            ask(tmp_path, {"command": "status"})
        thread.join()


def test_only_the_owner_may_connect(host: Host, tmp_path: Path) -> None:
    assert stat.S_IMODE(os.stat(tmp_path / "control").st_mode) == 0o600


def test_paths_too_long_for_a_socket_are_served(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 50)
    with Host("memory:", {"p": Applies()}, name="deep", state_dir=folder) as host:
        assert host.wait(SOON)
        assert ask(folder, {"command": "status"})["host"] == "deep"


def test_the_socket_goes_with_the_host_and_a_stale_one_is_in_nobodys_way(tmp_path: Path) -> None:
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(tmp_path / "control"))
    stale.close()
    with pytest.raises(HostError, match="no host answers in"):
        ask(tmp_path, {"command": "status"})
    with Host("memory:", {"p": Applies()}, name="edge", state_dir=tmp_path):
        assert ask(tmp_path, {"command": "status"})["host"] == "edge"
    assert not (tmp_path / "control").exists()
    with pytest.raises(HostError, match="no host answers in"):
        ask(tmp_path, {"command": "status"})
    with pytest.raises(HostError, match="no host answers in"):
        ask(tmp_path / "nowhere", {"command": "status"})


def test_a_host_that_nobody_asked_for_long_answers(tmp_path: Path) -> None:
    """A client's time begins when it comes, not when the wait for it began."""
    with VirtualRuntime(1) as runtime:
        clock = runtime.monotonic

        class Late(RealRuntime):
            def monotonic(self) -> float:
                return super().monotonic() + clock()

        with Host("memory:", {"p": Applies()}, name="idle", state_dir=tmp_path, runtime=Late()) as host:
            assert host.wait(SOON)
            assert ask(tmp_path, {"command": "status"})["host"] == "idle"
            runtime.run(100)
            assert ask(tmp_path, {"command": "status"})["host"] == "idle"


def test_status_counts_the_keys_that_failed_alone(tmp_path: Path) -> None:
    class Fails(Applies):
        @hookimpl
        def on_change(self, event: Event) -> None:
            for change in event.changes(self.watch):
                with change:
                    raise ValueError("boom")

    with Host("memory:", {"p": Fails()}, state_dir=tmp_path) as host:
        assert host.wait(SOON)
        host.publisher().put("a/1", "x")
        while not (plugin := ask(tmp_path, {"command": "status"})["plugins"][0])["set_aside"]:
            host.wait_changed(0.1)
        assert (plugin["state"], plugin["set_aside"]) == ("in_sync", 1)


def faults(folder: Path) -> list[str]:
    """The texts of the faults that concern the state directory."""
    status = ask(folder, {"command": "status"})
    return [one["text"] for one in status["faults"] if one["kind"] == "state directory"]


def answered(host: Host, folder: Path) -> bool:
    """Ask until the host answers, which it does within a few looks; whether it did."""
    deadline = time.monotonic() + SOON
    while time.monotonic() < deadline:
        try:
            ask(folder, {"command": "status"})
        except HostError:
            host.wait_changed(0.05)
        else:
            return True
    return False


def test_a_state_directory_that_is_removed_is_named_and_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The counts are written into the new folder, too, and no second host can begin."""
    monkeypatch.setattr(control, "LOOK", 0.05)
    folder = tmp_path / "state"
    with Host("memory:", {"p": Applies()}, name="edge", state_dir=folder) as host:
        host.publisher().put("a/1", "x")
        assert host.wait(SOON)
        shutil.rmtree(folder)
        assert answered(host, folder)
        assert faults(folder) == [
            f"the state directory {folder} was removed or replaced while this host ran: it was made again"
        ]
        with pytest.raises(HostError, match="a host named edge runs already"):
            Host("memory:", {"p": Applies()}, name="edge", state_dir=folder).start()
    assert json.loads((folder / "counts.json").read_text()) == {"p": 1}


def test_a_socket_that_is_removed_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(control, "LOOK", 0.05)
    with Host("memory:", {"p": Applies()}, state_dir=tmp_path) as host:
        (tmp_path / "control").unlink()
        assert answered(host, tmp_path)
    assert caplog.text.count("was removed or replaced while this host ran: it was made again") == 1


def test_a_host_whose_lock_another_one_took_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The socket of the other host stays where it is."""
    monkeypatch.setattr(control, "LOOK", 0.05)
    plugin = Applies()
    with Host("memory:", {"p": plugin}, name="edge", state_dir=tmp_path) as host, ExitStack() as others:
        assert host.wait(SOON)
        lock = others.enter_context((tmp_path / "lock.theirs").open("w"))
        fcntl.flock(lock, fcntl.LOCK_EX)
        (tmp_path / "lock.theirs").replace(tmp_path / "lock")
        listener = others.enter_context(closing(socket.socket(socket.AF_UNIX)))
        listener.bind(str(tmp_path / "control.theirs"))
        (tmp_path / "control.theirs").replace(tmp_path / "control")
        deadline = time.monotonic() + SOON
        while host.crashed() is None and time.monotonic() < deadline:
            host.wait_changed(0.05)
        assert "this host lost its state directory, and is stopped" in str(host.crashed())
        assert "a host named edge runs already" in str(host.crashed())
        assert host.stop(SOON)
        assert (tmp_path / "control").is_socket()


@pytest.mark.slow
def test_a_host_without_descriptors_waits_instead_of_spinning(tmp_path: Path) -> None:
    """It says so once, and answers as soon as there is one again."""
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(
            """
            import logging, os, resource, socket, time
            from datasync_core import Host

            logging.basicConfig(format="%(message)s")
            with Host("memory:", {}, name="edge", state_dir="state"):
                client = socket.socket(socket.AF_UNIX)
                before = resource.getrlimit(resource.RLIMIT_NOFILE)
                resource.setrlimit(resource.RLIMIT_NOFILE, (64, before[1]))
                taken = []
                try:
                    while True:
                        taken.append(os.dup(0))
                except OSError:
                    pass
                client.settimeout(3.5)
                client.connect("state/control")
                began = time.process_time()
                try:
                    client.recv(1)
                except TimeoutError:
                    print("used", time.process_time() - began < 1, flush=True)
                os.close(taken.pop())
                client.settimeout(60)
                client.sendall(b'{"command": "status"}\\n')
                print("answered", client.recv(8), flush=True)
            """
        )
    )
    done = subprocess.run(
        [sys.executable, str(program)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SOON,
        check=False,
    )
    assert done.stdout.splitlines() == ["used True", "answered b'{\"result'"], done
    assert done.stderr.count("are not answered for now: Too many open files") == 1
