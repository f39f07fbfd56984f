"""What holds for every page of docs/: links lead somewhere, Python is named and right for a type checker."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import ROOT, blocks

DOCS = ROOT / "docs"
PAGES = sorted(str(file.relative_to(DOCS)) for file in DOCS.rglob("*.md"))
OURS = ["embedding.md", "index.md", "operating.md", "plugins.md", "transports.md", "tutorial.md"]


def anchors(text: str) -> set[str]:
    """What headings can be linked by, as GitHub makes it of them."""
    headings = re.findall(
        r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    )
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    file = DOCS / page
    for target in re.findall(r"\]\(([^)\s]+)\)", file.read_text()):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        other = (file.parent / path).resolve() if path else file
        assert other.exists(), f"{page} links {target}"
        if anchor:
            assert anchor in anchors(other.read_text()), f"{page} links {target}"


def test_the_index_lists_every_page() -> None:
    linked = set(re.findall(r"\]\(([^)#\s]+)\)", (DOCS / "index.md").read_text()))
    assert set(PAGES) - {"index.md"} <= linked


@pytest.mark.parametrize("page", OURS)
def test_every_block_says_what_it_is(page: str) -> None:
    infos = [info for info, _ in blocks((DOCS / page).read_text())]
    assert all(infos), "a block without a language"
    assert "python" not in infos, "a Python block without a name is not run"


@pytest.mark.slow
def test_the_snippets_are_right_for_a_type_checker(tmp_path: Path) -> None:
    files = []
    for page in OURS:
        for info, text in blocks((DOCS / page).read_text()):
            if info.startswith("python ") and not info.startswith("python test_"):
                files.append(tmp_path / info.partition(" ")[2])
                files[-1].write_text(text)
    assert len({file.name for file in files}) == len(files), "two snippets have one name"
    command = [sys.executable, "-m", "mypy", f"--config-file={ROOT / 'pyproject.toml'}", "--no-pretty"]
    answer = subprocess.run(
        [*command, f"--cache-dir={tmp_path / 'cache'}", *map(str, files)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
