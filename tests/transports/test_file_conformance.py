"""A directory of files keeps the rules for transports: with events and without, and written to by itself."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

import pytest

from datasync_core.testing import OutsideStore, TransportConformance


class Folder:
    """A directory as an editor or a script changes it: whole files, put in place."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.away = root.with_name("away")
        root.mkdir()

    def put(self, key: str, value: bytes) -> None:
        file = self.root / f"{key}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        hidden = file.with_name(f".{uuid.uuid4().hex}")
        hidden.write_bytes(value)
        hidden.replace(file)

    def delete(self, key: str) -> None:
        (self.root / f"{key}.json").unlink()

    def clear(self) -> None:
        for found in self.root.iterdir():
            shutil.rmtree(found)

    def lose(self) -> None:
        self.root.rename(self.away)

    def back(self) -> None:
        shutil.copytree(self.away, self.root)
        shutil.rmtree(self.away)

    def outside(self, options: str) -> OutsideStore:
        return OutsideStore(
            f"file:{self.root}?{options}",
            self.put,
            self.delete,
            clear=self.clear,
            vanish=self.lose,
            lose=self.lose,
            back=self.back,
        )


@pytest.mark.slow
class TestFileWithEvents(TransportConformance):
    patience = 60.0
    many = 10_000

    @pytest.fixture
    def outside(self, tmp_path: Path) -> OutsideStore:
        return Folder(tmp_path / "conf.d").outside("write=1")


@pytest.mark.slow
class TestFileWithoutEvents(TransportConformance):
    patience = 60.0
    many = 2_000

    @pytest.fixture
    def outside(self, tmp_path: Path) -> OutsideStore:
        return Folder(tmp_path / "conf.d").outside("watch=0&interval=0.02")
