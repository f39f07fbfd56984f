"""The lock of a state directory: whose it is, and that nobody else keeps it."""

from __future__ import annotations

import os

import pytest

from datasync_core.model.errors import ConfigError, HostError
from datasync_core.ops.statedir import StateDir


def test_a_folder_that_cannot_be_written_is_a_matter_of_configuration_and_nothing_stays_open(tmp_path):
    (tmp_path / "lock").symlink_to("/dev/full")
    before = os.listdir("/proc/self/fd")
    with pytest.raises(ConfigError, match=f"the state directory {tmp_path} cannot be used"):
        StateDir(tmp_path, "vm").acquire()
    assert os.listdir("/proc/self/fd") == before


def test_who_holds_the_lock_is_named(tmp_path):
    state = StateDir(tmp_path, "vm")
    state.acquire()
    with pytest.raises(HostError, match=rf"a host named vm runs already \(pid {os.getpid()}, state in "):
        StateDir(tmp_path, "vm").acquire()
    state.release()
