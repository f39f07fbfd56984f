"""The lock of a state directory: whose it is, and that nobody else keeps it."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from datasync_core.model.errors import ConfigError, HostError
from datasync_core.ops.ownership import make_base
from datasync_core.ops.statedir import StateDir

CHILD = multiprocessing.get_context("fork")


def test_a_folder_that_cannot_be_written_is_a_config_error(
    tmp_path: Path,
) -> None:
    """No file descriptor stays open after the error."""
    (tmp_path / "lock").mkdir()
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


@pytest.fixture
def give_away(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Make a file another user's; where the test may not, make this process seem another user's."""

    def give(path: Path) -> None:
        if os.geteuid() == 0:
            os.lchown(path, 65534, 65534)
        else:
            monkeypatch.setattr(os, "geteuid", lambda: 65533)

    return give


@pytest.mark.parametrize(
    ("mode", "wrong"),
    [
        (0o777, "every user may write in it, mode 0777"),
        (0o1777, "every user may write in it, mode 1777"),
        (0o702, "every user may write in it, mode 0702"),
    ],
)
def test_a_folder_that_others_may_write_is_refused(tmp_path: Path, mode: int, wrong: str) -> None:
    folder = tmp_path / "vm"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(ConfigError) as caught:
        StateDir(folder, "vm").acquire()
    assert str(caught.value) == (
        f"the state directory {folder} cannot be used ({wrong}): "
        f"chmod go-w {folder}, or name another one by [host] state_dir"
    )
    assert list(folder.iterdir()) == []


def test_a_folder_that_its_group_may_write_is_refused(tmp_path: Path) -> None:
    """The private group of a user has the user's number, and is not refused."""
    folder = tmp_path / "vm"
    folder.mkdir()
    if folder.stat().st_gid == folder.stat().st_uid:
        folder.chmod(0o770)
    state = StateDir(folder, "vm")
    state.acquire()
    state.release()
    if os.geteuid() == 0:  # who else may give it to another group
        os.chown(folder, -1, 65534)
        with pytest.raises(ConfigError, match="its group may write in it, mode 0770"):
            StateDir(folder, "vm").acquire()


def test_a_folder_of_another_user_is_refused(tmp_path: Path, give_away: Callable[[Path], None]) -> None:
    folder = tmp_path / "vm"
    folder.mkdir()
    give_away(folder)
    with pytest.raises(ConfigError, match=r"\(it belongs to user .*, while this host runs as user "):
        StateDir(folder, "vm").acquire()
    assert list(folder.iterdir()) == []


def test_a_link_of_another_user_is_refused(tmp_path: Path, give_away: Callable[[Path], None]) -> None:
    """One's own link is followed: systemd makes one for a dynamic user."""
    target, folder = tmp_path / "target", tmp_path / "vm"
    target.mkdir()
    folder.symlink_to(target)
    state = StateDir(folder, "vm")
    state.acquire()
    state.release()
    assert (target / "lock").exists()
    give_away(folder)
    with pytest.raises(ConfigError, match="it is a symbolic link that belongs to user"):
        StateDir(folder, "vm").acquire()


@pytest.mark.parametrize("hard", [False, True])
def test_a_lock_that_leads_to_another_file_is_refused(tmp_path: Path, hard: bool) -> None:
    precious, folder = tmp_path / "precious", tmp_path / "vm"
    precious.write_text("precious")
    folder.mkdir()
    if hard:
        (folder / "lock").hardlink_to(precious)
    else:
        (folder / "lock").symlink_to(precious)
    with pytest.raises(ConfigError, match="lock in it is (a symbolic link|not a regular file of its own)"):
        StateDir(folder, "vm").acquire()
    assert precious.read_text() == "precious"


def test_the_state_directory_is_sticky_or_closed_to_others(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    base.chmod(0o1777)
    make_base(base)
    base.chmod(0o777)
    with pytest.raises(ConfigError, match="every user may write in it"):
        make_base(base)
    with pytest.raises(ConfigError, match="cannot be used"):
        make_base(tmp_path / ("x" * 300))


def test_folders_are_made_closed_to_others_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_base(tmp_path / "base")
        state = StateDir(tmp_path / "base" / "vm", "vm")
        state.acquire()
        state.release()
    finally:
        os.umask(before)
    for folder in (tmp_path / "base", tmp_path / "base" / "vm"):
        assert folder.stat().st_mode & 0o022 == 0


def test_a_folder_that_was_removed_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "vm"
    state = StateDir(folder, "vm")
    state.acquire()
    assert state.check() is None
    shutil.rmtree(folder)
    assert state.check() == (
        f"the state directory {folder} was removed or replaced while this host ran: it was made again"
    )
    assert state.check() is None
    with pytest.raises(HostError, match="runs already"):
        StateDir(folder, "vm").acquire()
    (folder / "lock").unlink()
    assert state.check() == (
        f"the lock {folder}/lock was removed or replaced while this host ran: it was made again"
    )
    with pytest.raises(HostError, match="runs already"):
        StateDir(folder, "vm").acquire()
    before = os.listdir("/proc/self/fd")
    state.release()
    assert len(os.listdir("/proc/self/fd")) == len(before) - 2


def test_a_lock_that_another_host_took_meanwhile_is_an_error(tmp_path: Path) -> None:
    state, other = StateDir(tmp_path / "vm", "vm"), StateDir(tmp_path / "vm", "vm")
    state.acquire()
    (tmp_path / "vm" / "lock").unlink()
    other.acquire()
    with pytest.raises(HostError, match="a host named vm runs already"):
        state.check()
    state.release()
    assert other.check() is None
    other.release()


def test_a_folder_that_cannot_be_made_again_is_told_once(tmp_path: Path) -> None:
    folder = tmp_path / "vm"
    state = StateDir(folder, "vm")
    state.acquire()
    shutil.rmtree(folder)
    folder.write_text("in the way")
    assert "removed or replaced while this host ran, and it cannot be made again: " in str(state.check())
    assert state.check() is None
    folder.unlink()
    assert "it was made again" in str(state.check())
    state.release()
