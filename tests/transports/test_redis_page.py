"""The page about Redis says what the code does."""

from __future__ import annotations

import inspect
import json
import os
import re
from pathlib import Path

import pytest

from datasync_transports.redis import RedisTransport
from tests.docs.consoles import Shells
from tests.documents import ROOT, blocks, furnish
from tests.packages import Packages
from tests.servers.redis import Redis

pytestmark = pytest.mark.server

PAGE = (ROOT / "docs" / "transports" / "redis.md").read_text()


def test_the_page_has_every_option_with_its_default() -> None:
    shown = {
        name: json.loads(default)
        for name, default in re.findall(r"^\| `(\w+)` \| `(\S+)` \|", PAGE, re.MULTILINE)
    }
    parameters = inspect.signature(RedisTransport).parameters
    assert shown == {name: parameter.default for name, parameter in parameters.items() if name != "url"}


def test_the_session_of_the_page_goes_as_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packages: Packages
) -> None:
    furnish(tmp_path, monkeypatch, packages)
    with Redis(tmp_path / "redis") as server:
        scripts = tmp_path / ".venv" / "bin"
        cli = scripts / "redis-cli"
        cli.write_text(
            f"#!/bin/sh\nPATH={os.environ['PATH']}\n"
            f'redis-cli -p {server.port} "$@" | sed "s/^[0-9]*$/(integer) &/"\n'  # as on a terminal
        )
        cli.chmod(0o755)
        monkeypatch.setenv("PATH", f"{scripts}{os.pathsep}{os.environ['PATH']}")
        shells = Shells(tmp_path)
        try:
            for info, text in blocks(PAGE):
                if info.startswith("console"):
                    shells.show(info, text.replace("127.0.0.1:6379", f"127.0.0.1:{server.port}"))
                elif info.startswith("python"):
                    (tmp_path / info.partition(" ")[2]).write_text(text)
        finally:
            shells.close()


def test_the_page_is_short() -> None:
    assert len(PAGE.splitlines()) <= 160
