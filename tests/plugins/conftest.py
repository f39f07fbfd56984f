"""Real distributions and plugin files for these tests: folders of metadata on sys.path, modules beside them."""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest

from datasync_core import Event, Watch, hookimpl  # noqa: F401 - a site hides what their modules need

HEAD = """\
from __future__ import annotations
import functools
from attrs import define, frozen
from datasync_core import Event, Watch, hookimpl
"""


class Site:
    """A folder like site-packages, with what is installed in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def install(
        self,
        name: str,
        points: str | bytes,
        modules: Mapping[str, str] = {},
        *,
        version: str = "1.0",
        metadata: str | None = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
    ) -> Path:
        """Write what pip would: the metadata of a distribution, and its modules. Returns the metadata's folder."""
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        if metadata is not None:
            (info / "METADATA").write_text(metadata.format(name=name, version=version), encoding="utf-8")
        (info / "entry_points.txt").write_bytes(points if isinstance(points, bytes) else points.encode())
        for module, source in modules.items():
            (self.folder / f"{module}.py").write_text(HEAD + dedent(source))
        importlib.invalidate_caches()
        return info

    def plugin(self, name: str, source: str = "", distribution: str | None = None) -> None:
        """Install one plugin, a module of its own."""
        module = f"sited_{name.replace('-', '_')}"
        self.install(
            distribution or f"acme-{name}", f"[datasync.plugins]\n{name} = {module}\n", {module: source}
        )


@pytest.fixture(autouse=True)
def _clean_imports() -> Iterator[None]:
    modules, path = set(sys.modules), list(sys.path)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """An empty folder on sys.path in place of the real ones, where plugins may be installed."""
    made = Site(tmp_path / "site")
    others = [folder for folder in sys.path if "site-packages" not in folder]
    monkeypatch.setattr(sys, "path", [str(made.folder), *others])
    return made


class Writer:
    """Writes modules and imports them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers = itertools.count()

    def __call__(self, source: str, name: str | None = None) -> ModuleType:
        name = name or f"written_{next(self._numbers)}"
        (self.folder / f"{name}.py").write_text(HEAD + dedent(source))
        importlib.invalidate_caches()
        return importlib.import_module(name)


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Writer:
    """``write(source)`` is a module with that source, after the usual imports."""
    folder = tmp_path / "written"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    return Writer(folder)
