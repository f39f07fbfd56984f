"""README.md is true: its commands, its plugin and its tables are run as they stand there.

Only what makes an environment (``python3 -m venv``, ``pip install .``) is left to CI, which runs it word for word:
here ``.venv/bin`` holds two scripts that stand for this environment, and plugins are installed into a folder.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from datasync_core.cli.exits import Exit
from tests.documents import ROOT, Running, do, furnish, sh, texts
from tests.documents import rows as cells
from tests.packages import Packages

pytestmark = pytest.mark.slow

README = (ROOT / "README.md").read_text()
TRY = (
    "python3 -m venv .venv"
    " && .venv/bin/pip install . ./sample_plugins/hello"
    " && .venv/bin/datasync-host load sample_plugins/hello/example.json --store sqlite:datasync.db"
    " && .venv/bin/datasync-host run"
)
CHECK = "python3 -m venv .venv && .venv/bin/pip install tox && .venv/bin/tox"


BROKEN = """
from datasync_core import hookimpl

@hookimpl
def on_start(context):
    context.report_fault("what it drives is broken")
"""


def blocks(info: str) -> list[str]:
    """The texts of the fenced blocks with this info string (``sh try``)."""
    return texts(README, info)


def rows(heading: str) -> dict[str, str]:
    """First and second column of the table whose first heading this is."""
    return {row[0]: row[1] for row in cells(README, heading)}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packages: Packages) -> Path:
    """A folder where the README's commands run: with `.venv/bin` and the sample plugins, nothing installed."""
    furnish(tmp_path, monkeypatch, packages)
    return tmp_path


@pytest.fixture
def running(place: Path) -> Iterator[list[Running]]:
    """Processes that a test starts; they are killed if the test fails."""
    started: list[Running] = []
    yield started
    for one in started:
        one.kill()


def test_the_first_screen_has_the_two_commands() -> None:
    assert [text.strip() for text in blocks("sh try")] == [TRY]
    assert [text.strip() for text in blocks("sh check")] == [CHECK]
    assert CHECK in "\n".join(README.splitlines()[:40])


def test_CI_runs_the_two_commands_as_they_stand_there() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    for name in ("try", "check"):
        assert f"$(command_of_readme {name})" in script
    for line in blocks("text try")[0].splitlines():
        assert line in script


def test_the_first_command_greets_and_says_that_it_is_in_sync(place: Path, running: list[Running]) -> None:
    _, install, load, run = TRY.split(" && ")
    do(install.replace("install . ", "install "), place)
    do(load, place)
    host = Running(run, place)
    running.append(host)
    for line in blocks("text try")[0].splitlines():
        host.until(line)
    for command, line in zip(
        blocks("sh more")[0].splitlines(), blocks("text more")[0].splitlines(), strict=True
    ):
        do(command, place)
        host.until(line)
    assert host.interrupt() == 0


def test_a_killed_host_without_its_folder_resyncs_at_the_next_start(
    place: Path, running: list[Running]
) -> None:
    """After a kill and without its state directory, the host tells the plugin what the store has."""
    _, install, load, run = TRY.split(" && ")
    do(install.replace("install . ", "install "), place)
    do(load, place)
    first = Running(run, place)
    running.append(first)
    first.until("hello: in sync, 1 key (startup)")
    first.kill()
    assert len(list((place / ".datasync").iterdir())) == 1
    shutil.rmtree(place / ".datasync")
    for command in ("put hello/ada 'good evening'", "put hello/bob hi", "delete hello/world"):
        do(f".venv/bin/datasync-host {command}", place)
    second = Running(run, place)
    running.append(second)
    second.until("hello: in sync, 2 keys (startup)")
    assert second.interrupt() == 0
    assert {line for line in second.said.splitlines() if line.startswith(("hello,", "goodbye,"))} == {
        "hello, ada: good evening",
        "hello, bob: hi",
    }


def test_G10_a_host_holds_the_plugin_when_its_store_was_emptied(place: Path, running: list[Running]) -> None:
    """The brake holds the plugin from the start of the host until an operator releases it."""
    _, install, load, run = TRY.split(" && ")
    do(install.replace("install . ", "install "), place)
    (place / "many.json").write_text(json.dumps({f"hello/{number}": "hi" for number in range(20)}))
    do(load.replace("sample_plugins/hello/example.json", "many.json"), place)
    first = Running(run, place)
    running.append(first)
    first.until("hello: in sync, 20 keys (startup)")
    assert first.interrupt() == 0
    do(f".venv/bin/datasync-host delete {' '.join(f'hello/{number}' for number in range(19))}", place)
    second = Running(run, place)
    running.append(second)
    second.until(blocks("text brake")[0].strip())
    do(".venv/bin/datasync-host release hello", place)
    second.until("hello: in sync, 1 key (startup)")
    assert second.interrupt() == 0


def test_the_first_plugin_works_as_it_stands_there(place: Path, running: list[Running]) -> None:
    write_plugin(place, blocks("python addresses/acme_addresses.py")[:1])
    *commands, run = blocks("sh plugin")[0].splitlines()
    for command in commands:
        do(command, place)
    host = Running(run, place)
    running.append(host)
    host.until("addresses: in sync, 1 key (startup)")
    assert (place / "addresses.txt").read_text() == "10.0.0.1 gateway (no note)\n"
    assert host.interrupt() == 0


def test_the_first_plugin_with_its_second_hook_is_told_of_changes(
    place: Path, running: list[Running]
) -> None:
    """The file that the plugin writes equals the store after each change."""
    write_plugin(place, blocks("python addresses/acme_addresses.py"))
    *commands, run = blocks("sh plugin")[0].splitlines()
    for command in commands:
        do(command, place)
    host = Running(run, place)
    running.append(host)
    host.until("addresses: in sync, 1 key (startup)")
    do(commands[-1].replace("gateway", "printer").replace("10.0.0.1", "10.0.0.2"), place)
    host.until("printer is at 10.0.0.2")
    kept = (place / "addresses.txt").read_text()
    assert kept == "10.0.0.1 gateway (no note)\n10.0.0.2 printer (no note)\n"
    do(".venv/bin/datasync-host delete addresses/gateway", place)
    host.until("gateway is gone")
    assert (place / "addresses.txt").read_text() == "10.0.0.2 printer (no note)\n"
    assert host.interrupt() == 0


def test_the_first_plugin_is_right_for_a_type_checker(tmp_path: Path) -> None:
    write_plugin(tmp_path, blocks("python addresses/acme_addresses.py"))
    file = tmp_path / "addresses" / "acme_addresses.py"
    cache = f"--cache-dir={tmp_path / 'cache'}"
    answer = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            f"--config-file={ROOT / 'pyproject.toml'}",
            cache,
            "--no-pretty",
            str(file),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


def write_plugin(place: Path, parts: list[str]) -> None:
    folder = place / "addresses"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(blocks("toml addresses/pyproject.toml")[0])
    (folder / "acme_addresses.py").write_text("\n\n".join(parts))


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)\s]*\)", README)
    assert {"docs/index.md", "docs/transports/file.md", "sample_plugins/proxy/README.md"} <= set(targets)
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_the_table_of_stores_has_every_store_that_is_shipped() -> None:
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text())
    shipped = metadata["project"]["entry-points"]["datasync.transports"]
    assert {url.partition(":")[0] for url in rows("URL") if ":" in url} == set(shipped)


def test_the_table_of_commands_has_every_command(place: Path) -> None:
    answer = sh(".venv/bin/datasync-host --help", place)
    listed = re.search(r"^Commands:\n((?:  .*\n)+)", answer.stdout, re.MULTILINE)
    assert listed is not None, answer.stdout + answer.stderr
    assert set(rows("command")) == set(re.findall(r"^  ([a-z]\S*)", listed[1], re.MULTILINE))


def test_the_exit_codes_are_what_the_table_says(place: Path) -> None:
    (place / "text.db").write_text("this is no database, however long the text of it is" * 100)
    right = installed(place / "right", "watches = []\n")
    wrong = installed(place / "wrong", "import nowhere_to_be_found\n")
    broken = installed(place / "broken", BROKEN)
    (place / "datasync.toml").write_text('[host]\nfault_policy = "restart"\n')
    commands = {
        "0": (right, "put a/key value --store sqlite:some.db"),
        "1": (right, "get no/key --store sqlite:some.db"),
        "2": (right, "no-such-command"),
        "3": (right, "get a/key"),
        "4": (wrong, "check --store sqlite:some.db"),
        "5": (right, "check --store sqlite:text.db"),
        "75": (broken, "run --store sqlite:some.db"),
    }
    assert set(rows("exit code")) == {str(int(code)) for code in Exit}
    assert set(rows("exit code")) - set(commands) == {
        "130"
    }  # of which the tests of the root command take care
    for code, (site, command) in commands.items():
        answer = sh(f"PYTHONPATH={site} .venv/bin/datasync-host {command}", place)
        assert answer.returncode == int(code), (
            f"{command}: {answer.returncode}\n{answer.stdout}{answer.stderr}"
        )
        assert "Traceback" not in answer.stderr


def installed(site: Path, text: str) -> Path:
    """A folder with one installed plugin that has this text."""
    metadata = site / "some_plugin-1.0.dist-info"
    metadata.mkdir(parents=True)
    (site / "some_plugin.py").write_text(text)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: some-plugin\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[datasync.plugins]\nsome = some_plugin\n")
    return site
