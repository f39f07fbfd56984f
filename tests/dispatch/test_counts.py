"""What the brake knows of an earlier life of the host: how many keys each plugin had applied (G10)."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from attrs import frozen

from datasync_core import Delete, Host, Put
from datasync_core.dispatch.counts import PAUSE, Counts
from datasync_core.testing import VirtualRuntime
from datasync_transports.memory import MemoryTransport
from tests.dispatch.recording import Recording

SOON = 60.0  # seconds; reached only where something is wrong
TWENTY = [f"a/{number}" for number in range(20)]


@frozen
class Life:
    """One life of a host with the plugin ``p``. One that is left without `stop` was killed."""

    host: Host
    runtime: VirtualRuntime
    store: MemoryTransport

    def state(self) -> str:
        return self.host.states()["p"].state

    def write(self, keys: Iterable[str]) -> None:
        self.host.publisher().commit([Put(key, b"x") for key in keys])
        self.settle()

    def delete(self, keys: Iterable[str]) -> None:
        self.host.publisher().commit([Delete(key) for key in keys])
        self.settle()

    def settle(self) -> None:
        """Deliver what is to be delivered, and give the counts the time to be written."""
        self.runtime.run(2 * PAUSE)

    def stop(self) -> None:
        assert self.host.stop(60)


@contextmanager
def life(file: Path, keys: Iterable[str], plugin: Recording | None = None) -> Iterator[Life]:
    with VirtualRuntime() as runtime:
        store = MemoryTransport()
        store.clock, store.doorbell = runtime.monotonic, runtime.doorbell
        host = Host(store, {"p": plugin or Recording()}, runtime=runtime)
        host._counts = Counts(file, runtime)  # noqa: SLF001  # a host without a state directory keeps none
        if keys:
            host.publisher().commit([Put(key, b"x") for key in keys])
        host.start()
        one = Life(host, runtime, store)
        one.settle()
        yield one


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "counts.json"


def test_G10_the_counts_of_a_host_that_was_killed_are_there(file: Path) -> None:
    with life(file, TWENTY) as first:
        first.write(["a/20", "a/21"])
    assert json.loads(file.read_text()) == {"p": 22}
    with life(file, []) as second:
        assert second.state() == "held"


def test_G10_a_run_in_which_the_brake_held_keeps_the_counts(file: Path) -> None:
    """The counts in the file stay those of the run before."""
    with life(file, TWENTY):
        pass
    for _ in range(2):
        with life(file, ["a/1"]) as mistaken:
            assert mistaken.state() == "held"
            mistaken.stop()
    assert json.loads(file.read_text()) == {"p": 20}
    with life(file, TWENTY) as right:
        assert right.state() == "in_sync"


def test_G10_deletes_that_a_plugin_was_told_lower_its_count(file: Path) -> None:
    with life(file, TWENTY) as first:
        first.delete(TWENTY[5:])
    assert json.loads(file.read_text()) == {"p": 5}
    with life(file, TWENTY[:5]) as second:
        assert second.state() == "in_sync"


def test_G10_deletes_that_a_plugin_failed_on_do_not_lower_its_count(file: Path) -> None:
    plugin = Recording()
    with life(file, TWENTY, plugin) as first:
        plugin.fail = [ValueError("in use")] * 1000
        first.delete(TWENTY)
    assert json.loads(file.read_text()) == {"p": 20}
    with life(file, []) as second:
        assert second.state() == "held"


def test_G10_held_removals_do_not_lower_the_count(file: Path) -> None:
    with life(file, TWENTY) as first:
        first.store.clear()
        first.settle()
        assert first.state() == "held"
        first.stop()
    assert json.loads(file.read_text()) == {"p": 20}
    with life(file, []) as second:
        assert second.state() == "held"


def test_G10_keys_that_were_all_deleted_leave_no_count_behind(file: Path) -> None:
    with life(file, TWENTY) as first:
        first.delete(TWENTY)
    assert json.loads(file.read_text()) == {"p": 0}
    with life(file, []) as second:
        assert second.state() == "in_sync"


def test_G10_a_release_at_the_start_ends_the_count_of_the_earlier_life(file: Path) -> None:
    with life(file, TWENTY):
        pass
    with life(file, []) as emptied:
        emptied.host.release("p")
        emptied.settle()
        assert emptied.state() == "in_sync"
    assert json.loads(file.read_text()) == {"p": 0}
    with life(file, []) as again:
        assert again.state() == "in_sync"


def test_counts_of_plugins_that_do_not_run_now_stay(file: Path) -> None:
    file.write_text('{"other": 7}')
    with life(file, TWENTY):
        pass
    assert json.loads(file.read_text()) == {"other": 7, "p": 20}


def test_counts_that_cannot_be_written_are_said_once_and_written_later(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with life(file, TWENTY) as first:
        file.unlink()
        file.mkdir()  # a folder in the place of the file
        for number in range(20, 25):
            first.write([f"a/{number}"])
        assert list(file.parent.iterdir()) == [file]
        [said] = [text for record in caplog.records if "counts.json" in (text := record.getMessage())]
        assert said.startswith(f"{file} cannot be written (")
        assert said.endswith("after a restart the brake knows older counts")
        file.rmdir()
        first.write(["a/25"])
    assert json.loads(file.read_text()) == {"p": 26}


def test_counts_are_not_written_where_nothing_changed(file: Path) -> None:
    with life(file, TWENTY) as first:
        file.unlink()
        first.write(TWENTY)  # the same bytes
        first.host.resync("p")
        first.settle()
        assert first.state() == "in_sync"
        assert not file.exists()


@pytest.mark.parametrize("name", ["counts.json", "counts.json.new"])
def test_counts_are_not_written_through_a_link(file: Path, tmp_path: Path, name: str) -> None:
    """A link under a name that is known before leads to a file of the same user, which stays as it is."""
    precious = tmp_path / "precious"
    precious.write_text('{"other": 3}')
    file.with_name(name).symlink_to(precious)
    with life(file, TWENTY):
        pass
    assert precious.read_text() == '{"other": 3}'
    assert json.loads(file.read_text()) == {"p": 20}
    assert not file.is_symlink()


def test_what_a_killed_host_left_half_written_is_removed(file: Path) -> None:
    half = file.with_name(f"counts.json.{'0' * 16}.new")
    half.write_text("{")
    kept = file.with_name("counts.json.old")
    kept.write_text("{}")
    with life(file, TWENTY):
        assert not half.exists()
        assert kept.exists()


def test_a_pipe_in_the_place_of_the_counts_does_not_stop_the_start(file: Path) -> None:
    os.mkfifo(file)
    with life(file, TWENTY) as one:
        assert one.state() == "in_sync"
    assert json.loads(file.read_text()) == {"p": 20}


def test_counts_follow_a_folder_that_is_made_again(tmp_path: Path) -> None:
    """The same numbers are written into the new folder, too."""
    first, second = tmp_path / "first", tmp_path / "second"
    folders = []
    for one in (first, second):
        one.mkdir()
        folders.append(os.open(one, os.O_RDONLY | os.O_DIRECTORY))
    with VirtualRuntime() as runtime:
        counts = Counts(tmp_path / "any" / "counts.json", runtime, lambda: folders[0])
        assert counts.load() == {}
        counts.save({"p": 3}, 0.0)
        runtime.run(PAUSE)
        folders.reverse()
        counts.save({"p": 3}, PAUSE)
        counts.finish(SOON)
    for each in folders:
        os.close(each)
    assert [(one / "counts.json").read_text() for one in (first, second)] == ['{"p":3}'] * 2


@pytest.mark.slow
def test_a_write_that_does_not_return_delays_no_delivery_and_no_stop(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that does not answer. Once it does, nothing is written: the folder may be another host's by then."""
    answers, asked, sync = threading.Event(), threading.Event(), os.fsync

    def dead(descriptor: int) -> None:
        asked.set()
        assert answers.wait(2 * SOON)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", dead)
    host = Host("memory:", {"p": Recording()}, state_dir=tmp_path / "state")
    host.publisher().commit([Put(key, b"x") for key in TWENTY])
    host.start()
    try:
        assert host.wait(SOON)
        assert asked.wait(SOON)
        [thread] = [one for one in threading.enumerate() if one.name == "datasync-counts"]
        host.publisher().put("a/20", "x")
        assert host.wait(SOON)
        assert host.status()["plugins"][0]["keys"] == 21
        assert host.stop(SOON)
    finally:
        answers.set()
    [said] = [text for record in caplog.records if "counts.json" in (text := record.getMessage())]
    assert said.endswith(
        "counts.json was not written within 5 s: after a restart the brake knows older counts"
    )
    thread.join(SOON)
    assert not thread.is_alive()
    assert not list(tmp_path.rglob("counts.json*")), "by now another host may have written newer ones"
