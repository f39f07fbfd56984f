"""Each host has a folder of its own for its state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from datasync_core.config import Settings, state_folder
from datasync_core.config.folder import folder_name

Load = Callable[..., Settings]
Shown = Callable[[Settings], Mapping[str, tuple[str, str]]]


def test_the_state_directory_is_configured_or_systemds_or_beside_the_file(tmp_path: Path, load: Load) -> None:
    settings = load('[host]\nname = "agent-1"\n')
    assert state_folder(settings, {}) == tmp_path / ".datasync" / "agent-1"
    assert state_folder(settings, {"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}) == Path("/var/lib/a/agent-1")
    assert state_folder(settings, {"STATE_DIRECTORY": ""}) == tmp_path / ".datasync" / "agent-1"
    settings = load('[host]\nname = "agent-1"\nstate_dir = "here"\n')
    assert state_folder(settings, {"STATE_DIRECTORY": "/var/lib/a"}) == tmp_path / "here" / "agent-1"


def test_the_effective_state_directory_is_shown_with_its_origin(
    tmp_path: Path, load: Load, shown: Shown
) -> None:
    assert shown(load())["host.state_dir"] == (f'"{tmp_path}/.datasync"', "default")
    row = shown(load(STATE_DIRECTORY="/s"))["host.state_dir"]
    assert row == ('"/s"', "STATE_DIRECTORY")


def test_a_name_is_one_folder_that_people_recognise() -> None:
    assert folder_name("agent-1.example.org") == "agent-1.example.org"
    assert folder_name(".") == "%2E"
    assert folder_name("..") == "%2E%2E"


@given(st.text(min_size=1, max_size=300), st.text(min_size=1, max_size=300))
def test_any_two_names_have_two_folders_right_below(one: str, two: str) -> None:
    folders = folder_name(one), folder_name(two)
    assert (folders[0] == folders[1]) == (one == two)
    for name in folders:
        assert name.strip(".")
        assert "/" not in name
        assert "\0" not in name
        assert len(name.encode()) <= 255
