"""The lock of a state directory: whose it is, and that nobody else keeps it."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from datasync_core.model.errors import ConfigError, HostError
from datasync_core.ops.statedir import StateDir

CHILD = multiprocessing.get_context("fork")


def test_a_folder_that_cannot_be_written_is_a_config_error(
    tmp_path: Path,
) -> None:
    """No file descriptor stays open after the error."""
    (tmp_path / "lock").symlink_to("/dev/full")
    before = os.listdir("/proc/self/fd")
    with pytest.raises(ConfigError, match=f"the state directory {tmp_path} cannot be used"):
        StateDir(tmp_path, "vm").acquire()
    assert os.listdir("/proc/self/fd") == before


def test_who_holds_the_lock_is_named(tmp_path: Path) -> None:
    state = StateDir(tmp_path, "vm")
    state.acquire()
    with pytest.raises(HostError, match=rf"a host named vm runs already \(pid {os.getpid()}, state in "):
        StateDir(tmp_path, "vm").acquire()
    state.release()


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{gone}\n", "its process {gone} is gone, but one that it forked still holds the lock, state in"),
        ("", "pid unknown, state in"),
        ("1" * 30, "is gone"),
    ],
)
def test_a_holder_that_is_gone_is_told(tmp_path: Path, written: str, said: str) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / "lock").write_text(written.format(gone=gone.pid))
    with (tmp_path / "lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(HostError) as caught:
            StateDir(tmp_path, "vm").acquire()
    assert said.format(gone=gone.pid) in str(caught.value)


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_neither_keeps_nor_releases_the_lock(
    tmp_path: Path,
) -> None:
    """A release in the child does not release the parent's lock, and a living child does not hold it."""
    state = StateDir(tmp_path, "vm")
    state.acquire()
    theirs, ours = CHILD.Pipe()

    def child() -> None:
        ours.close()
        state.release()
        theirs.send("forked")
        theirs.recv()

    process = CHILD.Process(target=child)
    process.start()
    theirs.close()
    try:
        assert ours.recv() == "forked"
        with pytest.raises(HostError, match="runs already"):
            StateDir(tmp_path, "vm").acquire()
        state.release()
        again = StateDir(tmp_path, "vm")
        again.acquire()
        again.release()
    finally:
        ours.close()
        process.join()
