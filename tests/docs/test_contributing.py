"""CONTRIBUTING.md is true: its markers, environments and commands are those that there are."""

from __future__ import annotations

import configparser
import importlib.util
import re
import tomllib

from tests.documents import ROOT, rows, texts

TEXT = (ROOT / "CONTRIBUTING.md").read_text()
COMMANDS = [line.partition("#")[0].strip() for text in texts(TEXT, "sh") for line in text.splitlines()]
TOX = configparser.ConfigParser(interpolation=None)
TOX.read_string((ROOT / "tox.ini").read_text())


def test_the_markers_are_those_of_the_configuration() -> None:
    markers = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["markers"]
    assert {row[0]: row[1] for row in rows(TEXT, "marker")} == dict(one.split(": ", 1) for one in markers)


def test_the_tools_are_installed_by_a_pip_that_knows_groups() -> None:
    upgrade, install = (next(line for line in COMMANDS if part in line) for part in ("--upgrade", "--group"))
    assert "'pip>=25.1'" in upgrade
    assert COMMANDS.index(upgrade) < COMMANDS.index(install)


def test_every_environment_that_is_named_is_there() -> None:
    there = set(TOX["tox"]["env_list"].split(", ")) | {
        name.partition(":")[2] for name in TOX.sections() if ":" in name
    }
    named = set(re.findall(r"tox -e (\w+)", TEXT))
    assert {"lint", "types", "arrows", "nightly"} <= named <= there


def test_what_runs_by_night_is_there() -> None:
    commands = TOX["testenv:nightly"]["commands"].split("\n")
    modules = [command.split()[2] for command in commands if command]
    assert len(modules) >= 5
    assert all(importlib.util.find_spec(module) is not None for module in modules)
    for module in re.findall(r"python -m ([\w.]+)", TEXT):
        assert importlib.util.find_spec(module) is not None


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#\s]+)\)", TEXT)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []
