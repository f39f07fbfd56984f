"""The page about directories says what the code does: its options, their defaults, and the suffixes."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

from datasync_transports.file import FileTransport
from datasync_transports.file.tree import SUFFIXES
from datasync_transports.file.writer import KEY_BYTES

PAGE = (Path(__file__).parents[2] / "docs" / "transports" / "file.md").read_text()


def test_the_page_has_every_option_with_its_default() -> None:
    shown = {
        name: json.loads(default)
        for name, default in re.findall(r"^\| `(\w+)` \| `(\S+)` \|", PAGE, re.MULTILINE)
    }
    parameters = inspect.signature(FileTransport).parameters
    assert shown == {name: parameter.default for name, parameter in parameters.items() if name != "url"}


def test_the_page_has_every_suffix_and_the_longest_key() -> None:
    assert all(f"`{suffix}`" in PAGE for suffix in SUFFIXES)
    assert f"longer than {KEY_BYTES} bytes" in PAGE


def test_the_page_is_short() -> None:
    assert len(PAGE.splitlines()) <= 80
