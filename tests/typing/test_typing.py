"""What plugin authors are told by their type checker: each mistake, in the line where it is.

(That a right plugin, `right.py`, is told nothing is what ``tox -e types`` says, which runs these tests, too.)
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WRONG = HERE / "wrong.py"

pytestmark = pytest.mark.slow


def expected(mark: str) -> dict[int, str]:
    """Line → a part of what mypy says there."""
    found = {}
    for number, line in enumerate(WRONG.read_text().splitlines(), 1):
        if match := re.search(rf"\S.*  # {mark}: (.+)$", line):
            found[number] = match[1]
    return found


def test_mypy_names_each_mistake_of_a_wrong_plugin(tmp_path: Path) -> None:
    # A process of its own: mypy changes the recursion limit and the collector of the one it runs in.
    options = [f"--config-file={ROOT / 'pyproject.toml'}", f"--cache-dir={tmp_path}", "--no-pretty"]
    answer = subprocess.run(
        [sys.executable, "-m", "mypy", *options, str(WRONG)], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 1, answer.stdout + answer.stderr
    said: dict[int, list[str]] = defaultdict(list)
    for line, text in re.findall(r"wrong\.py:(\d+)(?::\d+)?: error: (.+)$", answer.stdout, re.MULTILINE):
        said[int(line)].append(text)
    mistakes = expected(r"E(?: \(mypy\))?")
    assert set(said) == set(mistakes), {line: said.get(line) for line in set(said) ^ set(mistakes)}
    for line, part in mistakes.items():
        assert len(said[line]) == 1, f"line {line}: {said[line]}"
        assert part in said[line][0], f"line {line}: {said[line][0]}"


def test_pyright_names_each_mistake_of_a_wrong_plugin() -> None:
    options = ["--outputjson", "--pythonpath", sys.executable]
    answer = subprocess.run(
        [sys.executable, "-m", "pyright", *options, str(WRONG)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1, answer.stdout + answer.stderr
    said: dict[int, list[str]] = defaultdict(list)
    for one in json.loads(answer.stdout)["generalDiagnostics"]:
        said[one["range"]["start"]["line"] + 1].append(one["message"])
    mistakes = expected("E")
    assert set(said) == set(mistakes), {line: said.get(line) for line in set(said) ^ set(mistakes)}
