"""Settings of a folder made for one test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from datasync_core.config import Overrides, Settings, load_settings


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Settings]:
    """``load(text, file=…, NAME=…, only=…)``: a datasync.toml, variables (in capitals), options of a command."""

    def load_folder(text: str | None = None, *, file: Path | None = None, **parts: object) -> Settings:
        if text is not None:
            (tmp_path / "datasync.toml").write_text(dedent(text).lstrip("\n") if text[0] == "\n" else text)
        environ = {name: str(value) for name, value in parts.items() if name.isupper()}
        overrides = {name: value for name, value in parts.items() if not name.isupper()}
        return load_settings(cwd=tmp_path, environ=environ, file=file, overrides=Overrides(**overrides))  # type: ignore[arg-type]

    return load_folder


@pytest.fixture
def shown() -> Callable[[Settings], Mapping[str, tuple[str, str]]]:
    """``shown(settings)``: setting → what ``datasync-host config`` shows of it, and from where."""
    return lambda settings: {row.name: (row.shown, str(row.origin)) for row in settings.rows}
