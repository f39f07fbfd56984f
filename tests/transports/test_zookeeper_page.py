"""The page about ZooKeeper says what the code does."""

from __future__ import annotations

import inspect
import os
import re
from pathlib import Path

import pytest

from datasync_transports.zookeeper import ZookeeperTransport
from tests.docs.consoles import Shells
from tests.documents import ROOT, blocks, furnish
from tests.packages import Packages
from tests.servers.programs import find_file
from tests.servers.zookeeper import ZooKeeper

pytestmark = pytest.mark.server

PAGE = (ROOT / "docs" / "transports" / "zookeeper.md").read_text()
SENTENCES = "\n".join(
    (ROOT / "datasync_transports" / "zookeeper" / name).read_text()
    for name in ("failures.py", "requests.py", "reading.py", "subscription.py")
)


def test_the_page_has_every_option_with_its_default() -> None:
    shown = dict(re.findall(r"^\| `(\w+)` \| (\S+) \|", PAGE, re.MULTILINE))
    parameters = inspect.signature(ZookeeperTransport).parameters
    defaults = {name: one.default for name, one in parameters.items() if name != "url"}
    says = {None: "*none*", True: "`true`", False: "`false`"}
    assert shown == {name: says.get(default) or f"`{default}`" for name, default in defaults.items()}


def test_what_check_says_is_what_the_page_shows() -> None:
    table = PAGE[PAGE.index("| it says | so |") :]
    said = [
        text
        for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for text in re.findall("`([^`]+)`", row)
    ]
    assert len(said) > 12
    for text in set(said) - {"Connection refused"}:  # that is the system's
        assert text.replace("3.6", "{OLDEST}") in SENTENCES, text


def test_the_session_of_the_page_goes_as_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packages: Packages
) -> None:
    furnish(tmp_path, monkeypatch, packages)
    shell = find_file("/usr/share/zookeeper/bin/zkCli.sh", "zookeeper")
    with ZooKeeper(tmp_path / "zookeeper") as server:
        scripts = tmp_path / ".venv" / "bin"
        cli = scripts / "zkCli.sh"
        # The shell tells of its connection when it comes to it: before the answer, after it, or not at all.
        told = "^$|^WATCHER::$|^WatchedEvent "
        cli.write_text(
            f'#!/bin/sh\nPATH={os.environ["PATH"]}\n{shell} "$@" 2>&1 | grep --line-buffered -Ev "{told}"\n'
        )
        cli.chmod(0o755)
        monkeypatch.setenv("PATH", f"{scripts}{os.pathsep}{os.environ['PATH']}")
        shells = Shells(tmp_path)
        try:
            for info, text in blocks(PAGE):
                if info.startswith("console"):
                    shells.show(info, text.replace("127.0.0.1:2181", server.hosts))
                elif info.startswith("python"):
                    (tmp_path / info.partition(" ")[2]).write_text(text)
        finally:
            shells.close()


def test_the_page_is_short() -> None:
    assert len(PAGE.splitlines()) <= 180
