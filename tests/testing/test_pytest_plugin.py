"""The pytest plugin, as installed, in a project of somebody else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = """
from datasync_core import Event, Watch, hookimpl

class Names:
    watch = Watch("names/", str)
    watches = [watch]

    def __init__(self, greeting="hello"):
        self.greeting = greeting

    @hookimpl
    def on_resync(self, event: Event) -> None:
        print(self.greeting, sorted(event[self.watch].values()))

    @hookimpl
    def on_stop(self) -> None:
        print("stopped")
"""


def run(folder: Path, test: str) -> str:
    """What pytest says of a test in a project that has no configuration of its own."""
    (folder / "names.py").write_text(PLUGIN)
    (folder / "test_names.py").write_text(test)
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-p",
        "datasync_core.testing.pytest_plugin",
    ]
    answer = subprocess.run(
        [*command, "-rA"],
        cwd=folder,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout + answer.stderr


@pytest.mark.slow
def test_the_fixture_makes_harnesses_and_stops_them(tmp_path: Path) -> None:
    said = run(
        tmp_path,
        """
import names

def test_names(harness):
    one = harness(names=names.Names, config={"names": {"greeting": "hi"}})
    two = harness(names=names.Names(), stores=("main", "aux"))
    one.put("names/a", "ada")
    assert one.in_sync() and two.in_sync()
    assert two.values("names") == {}
""",
    )
    assert "1 passed" in said, said
    assert "hi ['ada']" in said
    assert said.count("stopped") == 2
    assert "datasync harness" not in said


@pytest.mark.slow
def test_a_test_that_fails_shows_the_calls_so_far(tmp_path: Path) -> None:
    said = run(
        tmp_path,
        """
import names

def test_names(harness):
    h = harness(names=names.Names())
    h.put("names/a", "ada")
    assert h.values("names") == {}
""",
    )
    assert "1 failed" in said, said
    section = said.partition("datasync harness")[2]
    assert "names.on_resync (change): CREATE names/a 'ada'" in section, said
    assert "names: in_sync: " in section


def test_a_fixture_of_that_name_of_ones_own_comes_first(tmp_path: Path) -> None:
    said = run(
        tmp_path,
        """
import pytest

@pytest.fixture
def harness():
    return "mine"

def test_mine(harness):
    assert harness != "mine"
""",
    )
    assert "1 failed" in said, said
    assert "datasync harness" not in said


def test_it_imports_nothing_until_it_is_used() -> None:
    code = (
        "import sys, pytest; before = set(sys.modules); import datasync_core.testing.pytest_plugin;"
        " print(*sorted(set(sys.modules) - before))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = {name for name in answer.stdout.split() if name.startswith("datasync") or "." not in name}
    assert found == {"datasync_core", "datasync_core.testing", "datasync_core.testing.pytest_plugin"}


def test_the_harness_needs_no_pytest() -> None:
    code = "import sys; from datasync_core.testing import Harness; Harness(); print('pytest' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "False\n"
