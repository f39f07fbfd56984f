"""The snippets of a document as modules."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.documents import ROOT, blocks

Snippets = Callable[[str, str], ModuleType]


def snippet_names(page: str) -> list[str]:
    """The names of a page's Python snippets."""
    return [
        info.partition(" ")[2]
        for info, _ in blocks((ROOT / "docs" / page).read_text())
        if info.startswith("python")
    ]


@pytest.fixture
def snippet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Snippets]:
    """``snippet("plugins.md", "routes.py")``: that snippet, imported; the page's others lie beside it."""
    folder = tmp_path / "snippets"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    stems: list[str] = []

    def load(page: str, name: str) -> ModuleType:
        for info, text in blocks((ROOT / "docs" / page).read_text()):
            if info.startswith("python "):
                file = folder / info.partition(" ")[2]
                file.write_text(text)
                stems.append(file.stem)
        importlib.invalidate_caches()
        return importlib.import_module(Path(name).stem)

    yield load
    for stem in stems:
        sys.modules.pop(stem, None)
