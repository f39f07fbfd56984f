"""What plugin authors are told by their type checker: nothing where a plugin is right, each mistake where it is not."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.fixture(scope="module")
def verdict(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[int, list[str]]]:
    """What mypy --strict says, by file name and line; both files in one run."""
    files = [str(HERE / name) for name in ("right.py", "wrong.py")]
    cache = str(tmp_path_factory.mktemp("mypy"))
    # A process of its own: mypy changes the recursion limit and the collector of the one it runs in.
    options = [f"--config-file={ROOT / 'pyproject.toml'}", f"--cache-dir={cache}", "--no-pretty"]
    answer = subprocess.run(
        [sys.executable, "-m", "mypy", *options, *files], capture_output=True, text=True, check=False
    )
    assert answer.returncode in {0, 1}, answer.stdout + answer.stderr
    said: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for file, line, text in re.findall(r"^(.+?):(\d+)(?::\d+)?: error: (.+)$", answer.stdout, re.MULTILINE):
        said[Path(file).name][int(line)].append(text)
    return said


def test_a_right_plugin_is_told_nothing(verdict: dict[str, dict[int, list[str]]]) -> None:
    assert verdict["right.py"] == {}


def test_a_wrong_plugin_is_told_each_mistake_in_its_line(verdict: dict[str, dict[int, list[str]]]) -> None:
    expected = _expected(HERE / "wrong.py")
    said = verdict["wrong.py"]
    assert set(said) == set(expected), {line: said.get(line) for line in set(said) ^ set(expected)}
    for line, part in expected.items():
        assert len(said[line]) == 1, f"line {line}: {said[line]}"
        assert part in said[line][0], f"line {line}: {said[line][0]}"


def _expected(file: Path) -> dict[int, str]:
    found = {}
    for number, line in enumerate(file.read_text().splitlines(), 1):
        if match := re.search(r"\S.*  # E: (.+)$", line):
            found[number] = match[1]
    return found
