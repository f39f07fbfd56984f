"""Each arrow of the house can break: in a copy of the tree a wrong import is refused by the contract that forbids it.

(That the tree itself keeps them is what ``tox -e arrows`` says.)
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
CONTRACTS = {
    contract["id"]: contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
}
WRONG = {  # contract → in which module, which import
    "rooms": ("datasync_core/model/keys.py", "import datasync_core.spec.watch"),
    "transports-door": ("datasync_transports/memory.py", "import datasync_core.model.keys"),
    "transports-apart": ("datasync_transports/memory.py", "import datasync_transports.sqlite"),
    "core-blind": ("datasync_core/spec/transport.py", "import datasync_transports.memory"),
    "pluggy": ("datasync_core/sync/replica.py", "import pluggy"),
    "metadata": ("datasync_core/plugins/graph.py", "import importlib_metadata"),
    "click": ("datasync_core/spec/codec.py", "import click"),
    "clients": ("datasync_transports/memory.py", "import redis.client"),
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the packages and of their contracts."""
    for package in ("datasync_core", "datasync_transports"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_contract_is_tried_here() -> None:
    assert set(WRONG) == set(CONTRACTS)


def test_a_wrong_import_breaks_its_contract(tree: Path) -> None:
    for path, line in WRONG.values():
        module = tree / path
        module.write_text(f"{module.read_text()}\n{line}\n")
    verdict = lint(tree)
    kept = [name for name in CONTRACTS.values() if f"{name} BROKEN" not in verdict]
    assert not kept, verdict


def test_a_room_that_no_layer_names_breaks_the_order(tree: Path) -> None:
    (tree / "datasync_core" / "attic.py").write_text('"""Where things are put away."""\n')
    verdict = lint(tree)
    assert f"{CONTRACTS['rooms']} BROKEN" in verdict
    assert "attic" in verdict


def lint(tree: Path) -> str:
    """What import-linter says of a tree, one line a contract."""
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    answer = subprocess.run(
        [sys.executable, "-c", code, "--no-cache"],
        cwd=tree,
        env={"PYTHONPATH": str(tree), "COLUMNS": "200", "NO_COLOR": "1", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    return answer.stdout + answer.stderr
