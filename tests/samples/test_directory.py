"""The sample `directory` as an operator has it: installed beside the host, and found by its scheme."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.command import GREET, Place
from tests.packages import Packages

pytestmark = pytest.mark.slow


@pytest.fixture
def place(tmp_path: Path, packages: Packages) -> Iterator[Place]:
    with ExitStack() as stack:
        place = Place(tmp_path, stack)
        place.env["PYTHONPATH"] += f"{os.pathsep}{packages.site('directory')}"
        yield place


def test_plugins_and_commands_read_a_folder_of_files_by_its_scheme(place: Place) -> None:
    url = "directory:people?suffix=.txt&interval=0.02"
    place.install("greet", GREET)
    ada = place.write("people/hello/ada.txt", "good evening")
    place.write("people/hello/ada.txt.half", "good")
    host = place.start("run", "--store", url)
    host.until("resync CREATE ada good evening")
    place.write("people/hello/bob.txt", "good day")
    host.until("change CREATE bob")
    ada.unlink()
    host.until("change DELETE ada None")

    assert place.do("list", "--store", url).lines == ["hello/bob"]
    assert place.do("get", "hello/bob", "--store", url).out == "good day"
    refused = place.do("put", "hello/bob", "no", "--store", url)
    assert (refused.code, "is read-only" in refused.err) == (1, True)
    misspelt = place.do("list", "--store", "directory:people?sufix=.txt")
    assert (misspelt.code, "did you mean suffix" in misspelt.err) == (3, True)
    assert host.end() == 0


def test_a_folder_that_vanishes_deletes_nothing(place: Place) -> None:
    place.install("greet", GREET)
    folder = place.write("people/hello/ada", "good evening").parents[1]
    host = place.start("run", "--store", "directory:people?interval=0.02")
    host.until("resync CREATE ada good evening")
    away = folder.rename(place.folder / "away")
    host.until("people?interval=0.02 cannot be read: FileNotFoundError")
    away.rename(folder)
    place.write("people/hello/bob", "good day")
    host.until("CREATE bob good day")
    assert "DELETE" not in host.said
    assert host.end() == 0
