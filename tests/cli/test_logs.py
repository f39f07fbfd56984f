"""The forms of the log: JSON on any encoding, the time that its place needs, and what plugins change of logging."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import COMMAND, GREET, PATIENCE, Place

pytestmark = pytest.mark.slow

WORDS = "\u017elu\u0165ou\u010dk\u00fd \u039a\u03cc\u03c3\u03bc\u03bf\u03c2"
FAILING = f"""
    from datasync_core import Watch, hookimpl

    watches = [Watch("hello/", str)]

    @hookimpl
    def on_start(context):
        context.log.info("begins")

    @hookimpl
    def on_resync(event):
        for change in event.changes(watches[0]):
            with change:
                raise ValueError({WORDS!r})
"""


def logged(place: Place, *args: str) -> list[str]:
    """The log of a host, in a file, from its start to a stop after a key of a plugin had failed."""
    place.do("put", "hello/ada", "hi", "--store", "sqlite:data.db")
    log: Path = place.folder / "log"
    with log.open("wb") as err:
        host = subprocess.Popen(
            [*COMMAND, "run", "--store", "sqlite:data.db", *args],
            cwd=place.folder,
            env=place.env,
            stdout=subprocess.DEVNULL,
            stderr=err,
        )
    try:
        while b"failed alone" not in log.read_bytes():
            place.do("status")
            assert host.poll() is None, log.read_bytes()
        host.terminate()
        assert host.wait(PATIENCE) == 0
    finally:
        host.kill()
        host.wait()
    return log.read_text(place.env.get("PYTHONIOENCODING", "utf-8")).splitlines()


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1251"])
def test_each_line_is_json_with_its_text_on_any_encoding(place: Place, encoding: str) -> None:
    place.install("failing", FAILING)
    place.env["PYTHONIOENCODING"] = encoding
    lines: list[dict[str, Any]] = [json.loads(line) for line in logged(place, "--log-format", "json")]
    fault = next(line for line in lines if WORDS in line["message"])
    assert (fault["plugin"], fault["key"], fault["fault"]) == ("failing", "hello/ada", "key failed")
    assert next(line for line in lines if line["message"] == "begins")["plugin"] == "failing"
    assert not [line for line in lines if None in line.values()]


def test_lines_about_a_store_name_it_in_json(place: Place) -> None:
    place.install("greet", GREET)
    host = place.start("run", "--log-format", "json", "--store", "far=sqlite:later.db?create=false")
    line = json.loads(host.until("there is no"))
    assert (line["store"], line["fault"]) == ("far", "store lost")
    assert host.end() == 0


def test_lines_in_a_file_have_date_and_zone(place: Place) -> None:
    place.install("failing", FAILING)
    place.env["TZ"] = "Asia/Kolkata"
    for line in logged(place):
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+05:30 \S", line), line
        assert abs(datetime.fromisoformat(line.split()[0]).timestamp() - os.stat(place.site).st_mtime) < 3600


def test_lines_on_a_terminal_have_the_time_alone(place: Place) -> None:
    place.install("greet", GREET)
    ours, theirs = pty.openpty()
    host = subprocess.Popen(
        [*COMMAND, "run", "--store", "sqlite:data.db"],
        cwd=place.folder,
        env=place.env,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    said = b""
    try:
        while b"in sync" not in said:
            said += os.read(ours, 4096)
        host.terminate()
        with suppress(OSError):  # the terminal's end
            while part := os.read(ours, 4096):
                said += part
        assert host.wait(PATIENCE) == 0
    finally:
        host.kill()
        host.wait()
        os.close(ours)
    for line in said.decode().splitlines():
        assert re.match(r"\d\d:\d\d:\d\d \S", line), line


CONFIGURED = {
    "disables": 'logging.config.dictConfig({"version": 1})',
    "names": 'logging.config.dictConfig({"version": 1, "loggers": {"datasync": {"level": "CRITICAL"}}})',
    "forces": "logging.basicConfig(force=True, level=logging.ERROR)",
    "file": 'logging.config.fileConfig(io.StringIO("[loggers]\\nkeys=root\\n[handlers]\\nkeys=\\n'
    '[formatters]\\nkeys=\\n[logger_root]\\nhandlers=\\n"))',
    "silences": "logging.disable(logging.CRITICAL)",
    "own": 'logging.getLogger("datasync").handlers.clear()',
}


@pytest.mark.parametrize(
    ("how", "where"),
    [
        ("disables", "import"),
        ("names", "import"),
        ("own", "import"),
        ("forces", "import"),
        ("disables", "hook"),
        ("file", "hook"),
        ("silences", "hook"),
    ],
)
def test_the_log_of_the_host_survives_what_a_plugin_configures(place: Place, how: str, where: str) -> None:
    before = "    watches =" if where == "import" else "        for change"
    indent = before[: -len(before.lstrip())]
    code = FAILING.replace(
        "from datasync_core", "import io, logging, logging.config\n    from datasync_core", 1
    )
    place.install("failing", code.replace(before, f"{indent}{CONFIGURED[how]}\n{before}", 1))
    lines = [json.loads(line) for line in logged(place, "--log-format", "json")]
    assert any(WORDS in line["message"] for line in lines)
    assert "stopping, because of SIGTERM" in [line["message"] for line in lines]


@pytest.mark.parametrize("how", ["names", "own"])
def test_what_a_hook_does_to_the_logger_of_the_host_is_undone(place: Place, how: str) -> None:
    code = GREET.replace("def on_resync(event):", f"def on_resync(event):\n        {CONFIGURED[how]}")
    place.install(
        "greet",
        code.replace("from datasync_core", "import io, logging, logging.config\n    from datasync_core", 1),
    )
    place.do("put", "hello/ada", "hi", "--store", "sqlite:data.db")
    host = place.start("run", "--store", "sqlite:data.db")
    host.until("resync CREATE ada hi")
    assert host.end() == 0
    assert "stopping, because of SIGTERM" in host.lines
