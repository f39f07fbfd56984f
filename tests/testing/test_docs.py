"""docs/testing.md is true: its snippets run, and its tables name what there is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from datasync_core.testing import Harness, OutsideStore, TransportConformance

TEXT = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()


@pytest.mark.slow
def test_the_snippets_run(tmp_path: Path) -> None:
    snippets = re.findall(r"^```python (\S+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert [name for name, _ in snippets] == ["routes.py", "test_routes.py", "test_mine.py"]
    assert TEXT.count("```python") == len(snippets)
    for name, text in snippets:
        (tmp_path / name).write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_tables_name_every_member_of_both_kits() -> None:
    first_column = re.findall(r"^\| (`[^|]*) \|", TEXT, re.MULTILINE)
    named = [name for cell in first_column for name in re.findall(r"`(\w+)`", cell)]
    harness = {name for name in dir(Harness()) if not name.startswith("_")}
    outside = {field.name for field in attrs.fields(OutsideStore)}
    assert sorted(named) == sorted([*harness, *outside]), "each once"


def test_the_attributes_have_the_defaults_that_are_told() -> None:
    suite = TransportConformance
    assert (suite.patience, suite.liveness, suite.many, suite.largest) == (20, 2, 100_000, 2**20)
    for told in (
        "`patience` (20 seconds",
        "`liveness` (2 seconds",
        "`many` (100,000 keys",
        "`largest` (a value of 1 MiB",
    ):
        assert told in TEXT.replace("\n", " ")
