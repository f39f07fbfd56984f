"""The rules that conftest.py holds every test to can be broken, and then a test fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import conftest
from tests.servers.programs import find_program

BROKEN = """
import subprocess, sys, threading
import pytest

@pytest.fixture
def freed(request):
    event = threading.Event()
    request.config.add_cleanup(event.set)
    return event

def test_thread(freed):
    threading.Thread(target=freed.wait, name="lingering", daemon=True).start()

def test_zombie():
    subprocess.Popen([sys.executable, "-c", ""])

def test_skipped():
    pytest.skip("no such program")

@pytest.mark.xfail(reason="known")
def test_expected():
    assert False

def test_clean():
    thread = threading.Thread(target=int)
    thread.start()
    subprocess.run([sys.executable, "-c", ""])
    thread.join()
"""


@pytest.mark.slow
@pytest.mark.parametrize("ci", [True, False])
def test_a_test_that_leaves_something_behind_or_is_skipped_in_CI_fails(tmp_path: Path, ci: bool) -> None:
    text = Path(conftest.__file__).read_text().replace("GRACE = 60.0", "GRACE = 0.2")
    (tmp_path / "conftest.py").write_text(text)
    (tmp_path / "test_broken.py").write_text(BROKEN)
    environment = {name: value for name, value in os.environ.items() if name != "CI" and "PYTEST" not in name}
    answer = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-rs",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
            str(tmp_path),
        ],
        cwd=tmp_path,
        env=environment | ({"CI": "true"} if ci else {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    outcome = "1 failed, 3 passed, 1 xfailed, 2 errors" if ci else "3 passed, 1 skipped, 1 xfailed, 2 errors"
    assert outcome in answer.stdout, answer.stdout + answer.stderr
    assert "this test leaves threads behind: lingering" in answer.stdout
    assert "this test leaves child processes behind: " in answer.stdout
    assert "no such program" in answer.stdout


def test_a_program_is_found_on_PATH(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _script(tmp_path / "drive", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_program("drive", "drive-server") == str(tmp_path / "drive")


def test_a_program_that_is_missing_is_installed_by_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    _script(tmp_path / "apt-get", f'[ "$4" != drive-server ] || cp "$0" {tmp_path}/drive-program')
    monkeypatch.setenv("PATH", path)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert find_program("drive-program", "drive-server") == str(tmp_path / "drive-program")


def test_a_program_that_cannot_be_had_skips_the_test_and_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _script(tmp_path / "apt-get", "exit 1")
    monkeypatch.setenv("PATH", str(tmp_path))
    for user in (0, 1000):
        monkeypatch.setattr(os, "geteuid", lambda user=user: user)
        with pytest.raises(pytest.skip.Exception, match="install the Debian package drive-server"):
            find_program("drive-program", "drive-server")


def _script(path: Path, body: str) -> None:
    path.write_text(f"#!{shutil.which('sh')}\n{body}\n")
    path.chmod(0o755)
