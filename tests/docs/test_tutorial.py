"""docs/tutorial.md is true: its files are written, its commands run and their output compared, from top to bottom."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.docs.consoles import Shells, matches
from tests.documents import ROOT, blocks, furnish
from tests.packages import Packages

pytestmark = pytest.mark.slow

TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packages: Packages) -> Path:
    """An empty folder, and the commands that an active environment has."""
    furnish(tmp_path, monkeypatch, packages)
    scripts = tmp_path / ".venv" / "bin"
    (scripts / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (scripts / "python").chmod(0o755)
    monkeypatch.setenv("PATH", f"{scripts}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:randomly -p no:cacheprovider")
    folder = tmp_path / "names"
    folder.mkdir()
    return folder


def test_the_tutorial_does_what_it_says(folder: Path) -> None:
    shells = Shells(folder)
    try:
        for info, text in blocks(TUTORIAL):
            language, _, name = info.partition(" ")
            if language == "console":
                shells.show(info, text)
            elif name:
                (folder / name).write_text(text)
            else:
                assert language == "sh", info
    finally:
        shells.close()


def test_an_output_that_differs_from_what_is_shown_is_noticed() -> None:
    assert matches(["a", "b"], ["a", "b"])
    assert matches(["in .../x.py"], ["in /some/x.py"])
    assert matches(["...", "b"], ["a", "a", "b"])
    assert not matches(["a"], ["a", "b"])
    assert not matches(["a", "b"], ["a"])
    assert not matches(["...", "b"], ["a"])
