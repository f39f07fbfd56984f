"""docs/operating.md is true: its commands, codes, settings and variables are those of the code; its shells run."""

from __future__ import annotations

import configparser
import json
import logging
import os
import re
import time
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest

from datasync_core.cli.exits import Exit
from datasync_core.cli.logs import JsonFormatter, PeopleFormatter, Stamp
from datasync_core.cli.root import root
from datasync_core.config import SETTINGS, HostSettings, Setting, load_settings
from datasync_core.ops.control import NAME as CONTROL
from tests.docs.consoles import Shells
from tests.documents import ROOT, blocks, furnish, rows, texts
from tests.packages import Packages

TEXT = (ROOT / "docs" / "operating.md").read_text()
EVERYWHERE = {"--config", "--verbose"}


def commands(group: click.Group = root, prefix: str = "") -> dict[str, click.Command]:
    """Every command by its name; those of a group with the group's before it."""
    context = click.Context(group)
    found: dict[str, click.Command] = {}
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            found |= commands(command, f"{name} ")
        elif command is not None:
            found[prefix + name] = command
    return found


def test_every_command_is_documented_with_its_arguments_and_options() -> None:
    documented = {
        row[0]: set(re.findall(r"(?<!\S)(--?[a-z-]+)", row[1].replace("`", "")))
        for row in rows(TEXT, "command")
    }
    there = {
        name: {
            min(parameter.opts, key=len)
            if "-q" in parameter.opts or "-o" in parameter.opts
            else parameter.opts[-1]
            for parameter in command.params
            if isinstance(parameter, click.Option) and parameter.opts[-1] not in EVERYWHERE
        }
        for name, command in commands().items()
    }
    assert documented == there


def test_arguments_are_written_as_the_help_writes_them() -> None:
    for name, _, *_ in (documented := rows(TEXT, "command")):
        command = commands()[name]
        context = click.Context(command, info_name=name)
        wanted = [
            one.make_metavar(context).strip("{}") for one in command.params if isinstance(one, click.Argument)
        ]
        cell = next(row[1] for row in documented if row[0] == name)
        shown = [part for part in re.findall(r"`([^`]+)`", cell) or [cell] if not part.startswith("-")]
        assert shown == wanted, name


def test_the_options_of_every_command_are_there_where_the_page_says() -> None:
    lacking = {
        name: EVERYWHERE - {option for parameter in command.params for option in parameter.opts}
        for name, command in commands().items()
    }
    assert {name: options for name, options in lacking.items() if options} == {
        "new plugin": {"--config"},
        "new transport": {"--config"},
        "completion": EVERYWHERE,
    }


def test_every_exit_code_is_documented() -> None:
    assert [int(row[0]) for row in rows(TEXT, "code")] == [int(code) for code in Exit]


def default_of(setting: Setting) -> str:
    if setting.inherited:
        return "the host's"
    if setting.unset:
        return setting.unset
    if setting.default is None:
        return "unset"
    if isinstance(setting.default, float):
        return f"{setting.default:g}"
    default = list(setting.default) if isinstance(setting.default, tuple) else setting.default
    return json.dumps(default)


def test_every_setting_is_documented_with_its_default_and_kind() -> None:
    documented = [tuple(row[:3]) for row in rows(TEXT, "setting")]
    assert documented == [(one.name, default_of(one), one.kind.expected) for one in SETTINGS]


def test_variables_set_what_the_table_says(tmp_path: Path) -> None:
    for variable, setting in rows(TEXT, "variable"):
        name, _, value = variable.partition("=")
        if name == "DATASYNC_CONFIG":
            (tmp_path / "other.toml").write_text('[host]\nname = "by-the-file"\n')
            settings = load_settings(cwd=tmp_path, environ={name: str(tmp_path / "other.toml")})
            assert settings.host.name == "by-the-file"
            continue
        shown = [
            row for row in load_settings(cwd=tmp_path, environ={name: value}).rows if row.name == setting
        ]
        assert [row.origin.where for row in shown] == [name], variable
        assert value.strip('"') in shown[0].shown


def test_a_variable_without_the_double_mark_is_left_alone(tmp_path: Path) -> None:
    assert "`DATASYNC_PORT`" in TEXT
    load_settings(cwd=tmp_path, environ={"DATASYNC_PORT": "tcp://10.0.0.1:80"})


def test_the_unit_fits_the_exit_codes_and_the_timeouts() -> None:
    unit = configparser.ConfigParser()
    unit.read_string(texts(TEXT, "ini datasync-host.service")[0])
    service = unit["Service"]
    assert service["RestartPreventExitStatus"].split() == [
        str(int(code)) for code in (Exit.USAGE, Exit.CONFIG, Exit.PLUGINS, Exit.STORE)
    ]
    assert float(service["TimeoutStopSec"]) > HostSettings("any").stop_timeout
    assert service["Restart"] == "on-failure"


def test_systemd_does_with_each_exit_code_what_the_table_says() -> None:
    unit = configparser.ConfigParser()
    unit.read_string(texts(TEXT, "ini datasync-host.service")[0])
    prevented = {int(code) for code in unit["Service"]["RestartPreventExitStatus"].split()}
    ended, restarted, failed = (set(map(int, row[0].split(", "))) for row in rows(TEXT, "code | systemd"))
    assert ended == {Exit.FINE}
    assert failed == prevented
    assert restarted == set(Exit) - {Exit.FINE, Exit.INTERRUPTED} - prevented


def test_the_log_looks_as_the_page_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    said = [
        (
            "datasync",
            logging.INFO,
            "lamps: in sync, 1 key (startup)",
            {"plugin": "lamps", "state": "in_sync"},
        ),
        (
            "datasync",
            logging.WARNING,
            "lamps: lamps/door failed alone and is tried again: OSError: the lamp does not answer",
            {},
        ),
        ("datasync.plugins.lamps", logging.INFO, "the dimmer was calibrated", {}),
        ("urllib3.connectionpool", logging.WARNING, "Retrying after connection broken", {}),
    ]
    people = PeopleFormatter(verbose=False, stamp=Stamp.CLOCK)
    monkeypatch.setattr(people, "converter", time.gmtime)
    records = []
    for second, (logger, level, message, extra) in enumerate(said):
        records.append(
            logging.getLogger(logger).makeRecord(logger, level, "", 0, message, (), None, extra=extra)
        )
        records[-1].created = datetime(2026, 11, 29, 14, 5, (9, 12, 13, 14)[second], 250_000, UTC).timestamp()
    assert [people.format(record) for record in records] == texts(TEXT, "text log")[0].splitlines()
    assert JsonFormatter("utf-8").format(records[0]) == texts(TEXT, "json log")[0].strip()


@pytest.mark.slow
def test_the_shells_say_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packages: Packages
) -> None:
    furnish(tmp_path, monkeypatch, packages)
    scripts = tmp_path / ".venv" / "bin"
    monkeypatch.setenv("PATH", f"{scripts}{os.pathsep}{os.environ['PATH']}")
    folder = tmp_path / "agent"
    folder.mkdir()
    shells = Shells(folder)
    try:
        for info, text in blocks(TEXT):
            language, _, name = info.partition(" ")
            if language == "console":
                shells.show(info, text)
            elif name:
                (folder / name).write_text(text)
        files = {row[0] for row in rows(TEXT, "file")}
        there = {file.name for file in (folder / ".datasync" / "demo").iterdir()}
        assert (there | {"counts.json"}) - {
            "counts.json.new"
        } == files  # the one is just replaced by the other
        assert (folder / ".datasync" / "demo" / CONTROL).stat().st_mode & 0o777 == 0o600
    finally:
        shells.close()


def test_every_toml_of_the_page_can_be_read() -> None:
    for info, text in blocks(TEXT):
        if info.startswith("toml"):
            tomllib.loads(text)
