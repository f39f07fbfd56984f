"""What an installation brings: the packages that pyproject.toml names, and those of theirs that are listed here."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib

import pytest

from tests.packages import PIP, ROOT, Packages

BROUGHT = {"zipp": "importlib-metadata reads metadata inside zip files with it"}
"""Why a package comes that pyproject.toml does not name. What comes new is looked at before it is listed."""

if sys.version_info < (3, 11, 3):
    BROUGHT["async-timeout"] = "redis times out its asyncio client with it"

BROUGHT_BY_EXTRAS = {
    "anyio": "watchfiles has an asynchronous interface, which is not used",
    "idna": "anyio resolves host names with it",
    "typing-extensions": "anyio is typed with it",
}


def names(requirements: list[str]) -> set[str]:
    """The names of requirements, as an index writes them."""
    found = (re.match(r"[\w.-]+", one) for one in requirements)
    return {re.sub(r"[-_.]+", "-", match[0]).lower() for match in found if match is not None}


def installed(requirement: str) -> set[str]:
    """What pip would install into an empty environment."""
    options = ["--dry-run", "--ignore-installed", "--quiet", "--report", "-"]
    done = subprocess.run(
        [*PIP, "install", *options, requirement], capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return names([one["metadata"]["name"] for one in json.loads(done.stdout)["install"]])


def expected(named: list[str], brought: dict[str, str]) -> set[str]:
    """What is to come: this project, what it names, and what is listed here."""
    return {"datasync-host", *names(named), *brought}


@pytest.mark.slow
def test_an_installation_brings_what_is_named_and_nothing_else(packages: Packages) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert installed(str(packages.wheel())) == expected(project["dependencies"], BROUGHT)


@pytest.mark.slow
def test_the_extras_bring_what_is_named_and_nothing_else(packages: Packages) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    named = [*project["dependencies"], *(one for extra in extras.values() for one in extra)]
    assert installed(f"{packages.wheel()}[{','.join(extras)}]") == expected(
        named, BROUGHT | BROUGHT_BY_EXTRAS
    )


IMPORTS = """
import builtins, sys

ours, replaced = builtins.__import__, []

def look(frame, event, arg):
    if builtins.__import__ is not ours and not replaced:
        replaced.append(frame.f_code.co_filename)

sys.setprofile(look)
import datasync_core.cli.run, datasync_core.plugins.discovery, datasync_core.testing.harness
import datasync_transports.file, datasync_transports.redis, datasync_transports.zookeeper
import datasync_transports.memory, datasync_transports.sqlite
sys.setprofile(None)
print(*replaced)
"""


@pytest.mark.slow
def test_nothing_replaces_the_import_of_the_process() -> None:
    """An application that embeds a host imports on other threads meanwhile."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS], cwd=ROOT, capture_output=True, text=True, check=False, timeout=240
    )
    assert (done.returncode, done.stdout) == (0, "\n"), done.stdout + done.stderr
