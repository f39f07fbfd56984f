"""The house: small modules, public names that are there, and imports that wait until they are needed."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

import datasync_core
import datasync_core.transport

ROOT = Path(__file__).parents[1]


def lines(folder: str) -> dict[str, int]:
    return {
        str(file.relative_to(ROOT)): len(file.read_text().splitlines())
        for file in (ROOT / folder).rglob("*.py")
    }


def test_modules_are_small() -> None:
    modules = lines("datasync_core") | lines("datasync_transports") | lines("sample_plugins")
    assert statistics.median(modules.values()) <= 150
    assert {name: count for name, count in modules.items() if count > 400} == {}
    assert {name: count for name, count in lines("tests").items() if count > 700} == {}


def test_names_of_tests_are_short() -> None:
    """At most 70 characters; what a name leaves out is in the docstring."""
    files = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "sample_plugins").rglob("test_*.py")]
    names = {name for file in files for name in re.findall(r"def (test_\w+)", file.read_text())}
    assert len(names) > 1000
    assert [name for name in sorted(names) if len(name) > 70] == []


def test_every_public_name_is_there() -> None:
    for module in (datasync_core, datasync_core.transport):
        assert list(module.__all__) == sorted(module.__all__)
        for name in module.__all__:
            assert getattr(module, name) is not None
    assert set(datasync_core.__all__) <= set(dir(datasync_core))


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'datasync_core' has no attribute 'Wath'"):
        _ = datasync_core.Wath  # type: ignore[attr-defined]  # misspelt on purpose


@pytest.mark.slow
@pytest.mark.parametrize(
    ("statement", "not_imported"),
    [
        ("import datasync_core", {"attrs", "click", "importlib_metadata", "msgspec", "pluggy"}),
        (
            "from datasync_core import hookimpl, Watch",
            {"click", "importlib_metadata", "kazoo", "redis", "sqlite3"},
        ),
        ("from datasync_core import Host", {"click", "kazoo", "redis", "sqlite3"}),
        ("import datasync_transports.memory", {"click", "kazoo", "redis", "sqlite3"}),
    ],
)
def test_what_is_not_used_is_not_imported(statement: str, not_imported: set[str]) -> None:
    # A process whose coverage is measured has modules that measuring needs, sqlite3 among them.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    answer = subprocess.run(
        [sys.executable, "-c", f"{statement}; import sys; print(*sys.modules)"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not not_imported & set(answer.stdout.split())
