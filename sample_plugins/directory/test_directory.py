"""The transport keeps the rules, and does not take for deleted what it cannot read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from datasync_directory import DirectoryTransport

from datasync_core.testing import OutsideStore, TransportConformance
from datasync_core.transport import ConnectionLost, Transport, Url


class TestDirectory(TransportConformance):
    many = 1_000  # all of them are read each time

    @pytest.fixture
    def outside(self, tmp_path: Path) -> OutsideStore:
        root, new = tmp_path / "root", tmp_path / "new"
        root.mkdir()

        def put(key: str, value: bytes) -> None:
            file = root / f"{key}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            new.write_bytes(value)
            new.replace(file)

        def delete(key: str) -> None:
            (root / f"{key}.txt").unlink()

        return OutsideStore(
            f"directory:{root}?suffix=.txt", put, delete, vanish=lambda: root.rename(tmp_path / "away")
        )

    def connect(self, outside: OutsideStore) -> Transport:  # not needed where the transport is installed
        return DirectoryTransport(Url.parse(outside.url), suffix=".txt", interval=0.02)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_bytes(b"one")
    (root / "sub" / "b.pem").write_bytes(b"two")
    return root


def read(url: str, suffix: str = "") -> dict[str, bytes]:
    return dict(DirectoryTransport(Url.parse(url), suffix=suffix).read())


def test_a_key_is_the_path_of_a_file_and_its_value_the_bytes(root: Path) -> None:
    assert read(f"directory:{root}") == {"a.txt": b"one", "sub/b.pem": b"two"}
    assert read(f"directory:{root}", ".pem") == {"sub/b": b"two"}


def test_what_is_no_file_is_no_key(root: Path) -> None:
    os.mkfifo(root / "pipe")  # to read it would wait for ever
    (root / "nowhere").symlink_to(root / "nothing")
    (root / "link").symlink_to(root / "a.txt")
    assert read(f"directory:{root}") == {"a.txt": b"one", "link": b"one", "sub/b.pem": b"two"}


def test_a_folder_that_is_not_there_or_no_folder_is_no_empty_store(root: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(f"directory:{root}/c")
    with pytest.raises(NotADirectoryError):
        read(f"directory:{root}/a.txt")


def test_a_folder_that_cannot_be_listed_is_no_empty_one(root: Path) -> None:
    folder = os.open(root, os.O_RDONLY)
    for _ in range(20):  # together too long for a path: root, too, is refused
        os.mkdir("x" * 250, dir_fd=folder)
        inner = os.open("x" * 250, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(folder)
    with pytest.raises(OSError, match="File name too long"):
        read(f"directory:{root}")


def test_a_folder_that_is_replaced_while_it_is_read_is_lost(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gives no entry of the old folder and none of the new one."""
    walk = os.walk

    def slow(folder: Path, **options: Any) -> Iterator[Any]:
        yield from walk(folder, **options)
        root.rename(root.with_name("old"))
        root.mkdir()

    monkeypatch.setattr(os, "walk", slow)
    with pytest.raises(ConnectionLost, match="was replaced by another folder while it was read"):
        read(f"directory:{root}")
