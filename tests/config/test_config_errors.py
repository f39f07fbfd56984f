"""Every wrong setting is one sentence that says where, what, and what would be right."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from datasync_core.config import Settings, load_settings
from datasync_core.model.errors import ConfigError

Load = Callable[..., Settings]

FILE_CASES = {
    "[host]\nstop_timout = 3": "datasync.toml:2: unknown setting host.stop_timout: did you mean host.stop_timeout?",
    "[hosts]\n": "datasync.toml:1: unknown setting hosts: did you mean host?",
    "x = 1": "datasync.toml:1: unknown setting x: known are host, plugins, stores",
    '# x\nname = "x"': "datasync.toml:2: unknown setting name: did you mean host.name?",
    "[host]\nretry = { frist = 1 }": (
        "datasync.toml:2: unknown setting host.retry.frist: did you mean host.retry.first?"
    ),
    "[plugins.a]\nenable = true": (
        "datasync.toml:2: unknown setting plugins.a.enable: did you mean plugins.a.enabled?"
    ),
    "[plugins.a]\ntable = 100": (
        "datasync.toml:2: unknown setting plugins.a.table: "
        "what a plugin takes itself goes below plugins.a.config"
    ),
    '[plugins]\ndisable = ["a"]': (
        "datasync.toml:2: plugins.disable must be a plugin's table like { enabled = false }; "
        "did you mean host.disable?"
    ),
    "[plugins]\na = false": "datasync.toml:2: plugins.a must be a plugin's table like { enabled = false }",
    "[plugins.A]": (
        "datasync.toml:1: plugins.A is no name for a plugin: "
        "it takes a-z, 0-9, - and _ (not two), from a letter on"
    ),
    '[plugins."*"]': (
        'datasync.toml:1: plugins."*" is no name for a plugin: '
        "it takes a-z, 0-9, - and _ (not two), from a letter on"
    ),
    "[stores.a__b]": (
        "datasync.toml:1: stores.a__b is no name for a store: it takes a-z, 0-9, - and _ (not two), from a letter on"
    ),
    "host = 1": "datasync.toml:1: host must be a table like { name = value }",
    '[host]\nhold = "soon"': 'datasync.toml:2: host.hold must be a number of seconds above 0, got "soon"',
    "[host]\nhold = true": "datasync.toml:2: host.hold must be a number of seconds above 0, got true",
    "[host]\nhold = inf": "datasync.toml:2: host.hold must be a number of seconds above 0, got inf",
    "[host]\nhold = nan": "datasync.toml:2: host.hold must be a number of seconds above 0, got nan",
    "[host]\nhold = 0": "datasync.toml:2: host.hold must be a number of seconds above 0, got 0",
    "[host]\nhold = -1": "datasync.toml:2: host.hold must be a number of seconds above 0, got -1",
    "[host]\nname = ''": 'datasync.toml:2: host.name must be a name without slashes and control characters, got ""',
    "[host]\nname = 'a/b'": (
        'datasync.toml:2: host.name must be a name without slashes and control characters, got "a/b"'
    ),
    "[host]\nonly = 'a'": 'datasync.toml:2: host.only must be a list of names like ["routes"], got "a"',
    "[host]\nonly = [1]": 'datasync.toml:2: host.only must be a list of names like ["routes"], got [1]',
    "[host]\nretry.resync_after = 1.5": (
        "datasync.toml:2: host.retry.resync_after must be a whole number from 1, got 1.5"
    ),
    "[host]\nretry = { first = 100 }": "datasync.toml:2: host.retry has first = 100 above most = 60: swap them",
    "[host]\nreconnect = 'never'": 'datasync.toml:2: host.reconnect must be "resync" or "delta", got "never"',
    "[plugins.a]\nenabled = 1": "datasync.toml:2: plugins.a.enabled must be true or false, got 1",
    "[plugins.a]\nconfig = 1": "datasync.toml:2: plugins.a.config must be a table like { name = value }",
    "[plugins.a]\nstore = 'b'\nstores = { main = 'c' }": (
        "datasync.toml:2: plugins.a.store and plugins.a.stores.main differ: keep one"
    ),
    "[stores]\naux = 'memory:'\n[plugins.a]\nstore = 'auxx'": (
        "datasync.toml:4: plugin a uses an unknown store auxx: did you mean aux?"
    ),
    "[plugins.a]\nstores.b = 'c'": "datasync.toml:2: plugin a uses an unknown store c: none is known",
    "[stores]\nmain = 5": "datasync.toml:2: stores.main.url must be text that is not empty, got 5",
    "[stores.aux]\nprefix = 'a'": (
        'datasync.toml:1: store aux has no url: add url = "sqlite:datasync.db" or such'
    ),
    "[stores]\nmain = 'data.db'": (
        "datasync.toml:2: stores.main: a store's URL begins with its scheme, "
        "as in sqlite:datasync.db or redis://host:6379/0"
    ),
    "[stores]\nmain = 'memory:?liveness=never'": (
        'datasync.toml:2: stores.main.liveness must be a number of seconds above 0, got "never"'
    ),
    "[stores]\nmain = 'memory:?a=1&a=2'": (
        "datasync.toml:2: stores.main: the memory: URL has the option 'a' twice"
    ),
    "[stores]\nmain = 'redis://user:secret'": (
        "datasync.toml:2: stores.main: the redis: URL has a host that is not HOST or HOST:PORT"
    ),
    '[plugins.a]\n"na\\nme" = 1': (
        'datasync.toml:2: unknown setting plugins.a."na\\nme": '
        "what a plugin takes itself goes below plugins.a.config"
    ),
    "[[plugins.a]]": "datasync.toml:1: plugins.a must be a plugin's table like { enabled = false }",
    "[stores]\nmain = 'memory:?separator='": (
        'datasync.toml:2: stores.main.separator must be text that is not empty, got ""'
    ),
    "[host]\na = 1\na = 2\n": "datasync.toml:3: this is no TOML: Cannot overwrite a value",
    "[host\n": "datasync.toml:1: this is no TOML: Expected ']' at the end of a table declaration",
    '[host]\nname = """': "datasync.toml:2: this is no TOML: Unterminated string (at end of document)",
    "[host]\naudit = -5": "datasync.toml:2: host.audit must be a number of seconds above 0, got -5",
    "[host]\nbrake.share = 2": "datasync.toml:2: host.brake.share must be a number from 0 to 1, got 2",
}


@pytest.mark.parametrize(("text", "sentence"), FILE_CASES.items(), ids=map(repr, FILE_CASES))
def test_a_wrong_file_is_refused_with_its_line_and_what_would_be_right(
    text: str, sentence: str, load: Load
) -> None:
    with pytest.raises(ConfigError) as error:
        load(text)
    assert str(error.value) == sentence


VARIABLE_CASES = {
    ("DATASYNC_HOST__NAM", "x"): (
        "DATASYNC_HOST__NAM: unknown setting host.nam: did you mean DATASYNC_HOST__NAME?"
    ),
    ("DATASYNC_HSOT__NAME", "x"): "DATASYNC_HSOT__NAME: unknown setting hsot: did you mean DATASYNC_HOST?",
    ("DATASYNC__NAME", "x"): ("DATASYNC__NAME: unknown setting _name: did you mean DATASYNC_HOST__NAME?"),
    ("DATASYNC_HOST__NAME__X", "x"): (
        "DATASYNC_HOST__NAME__X: host.name has no parts; unknown setting host.name.x"
    ),
    ("DATASYNC_HOST__HOLD", "30s"): (
        'DATASYNC_HOST__HOLD: host.hold must be a number of seconds above 0, got "30s"'
    ),
    ("DATASYNC_HOST__HOLD", "1\nother = 2"): (
        'DATASYNC_HOST__HOLD: host.hold must be a number of seconds above 0, got "1\\nother = 2"'
    ),
    ("DATASYNC_PLUGINS__A", "off"): (
        "DATASYNC_PLUGINS__A: plugins.a must be a plugin's table like { enabled = false }"
    ),
    ("DATASYNC_PLUGINS__A__ENABLED", "yes"): (
        'DATASYNC_PLUGINS__A__ENABLED: plugins.a.enabled must be true or false, got "yes"'
    ),
    ("DATASYNC_STORES__AUX__PREFIX", "x"): (
        'DATASYNC_STORES__AUX__PREFIX: store aux has no url: add url = "sqlite:datasync.db" or such'
    ),
    ("DATASYNC_STORE", "nothing"): (
        "DATASYNC_STORE: stores.main: a store's URL begins with its scheme, "
        "as in sqlite:datasync.db or redis://host:6379/0"
    ),
    ("DATASYNC_CONFIG", "gone.toml"): (
        "DATASYNC_CONFIG: there is no file gone.toml: name a configuration file that exists"
    ),
    (
        "DATASYNC_CONFIG",
        "a\0b",
    ): "DATASYNC_CONFIG: a\0b cannot be read (embedded null byte): make it a readable file",
}


@pytest.mark.parametrize(("variable", "sentence"), VARIABLE_CASES.items(), ids=map(repr, VARIABLE_CASES))
def test_a_wrong_variable_is_refused_by_name(variable: tuple[str, str], sentence: str, load: Load) -> None:
    with pytest.raises(ConfigError) as error:
        load(None, **dict([variable]))
    assert str(error.value) == sentence


def test_one_setting_given_twice_by_one_source_is_refused(load: Load) -> None:
    twice = "stores.main.url is given twice, also by"
    with pytest.raises(ConfigError, match=f"DATASYNC_STORES__MAIN: {twice} DATASYNC_STORE: keep one"):
        load(DATASYNC_STORE="memory:a", DATASYNC_STORES__MAIN="memory:a")
    with pytest.raises(ConfigError, match=f"--store: {twice} --store: keep one"):
        load(stores=["memory:a", "main=memory:b"])


def test_a_wrong_value_is_refused_though_another_source_overrides_it(load: Load) -> None:
    with pytest.raises(ConfigError, match=r"datasync\.toml:2: host\.hold must be"):
        load("[host]\nhold = 'x'\n", DATASYNC_HOST__HOLD="3")


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, load: Load) -> None:
    with pytest.raises(
        ConfigError, match=r"^-c: there is no file no\.toml: name a configuration file that exists$"
    ):
        load(file=tmp_path / "no.toml")
    with pytest.raises(ConfigError, match=f"^-c: {tmp_path.parent} is a directory: name a file, as in "):
        load(file=tmp_path.parent)
    (tmp_path / "datasync.toml").symlink_to("gone")
    with pytest.raises(ConfigError, match=r"^there is no file datasync\.toml"):
        load()
    (tmp_path / "datasync.toml").unlink()
    (tmp_path / "datasync.toml").mkdir()
    with pytest.raises(ConfigError, match=r"^datasync\.toml is a directory"):
        load()
    with pytest.raises(ConfigError, match=r"^-c: /proc/self/mem cannot be read \(Input/output error\)"):
        load_settings(cwd=tmp_path, environ=dict(os.environ), file=Path("/proc/self/mem"))


def test_a_file_that_is_no_text_or_too_deep_is_refused(tmp_path: Path, load: Load) -> None:
    file = tmp_path / "datasync.toml"
    file.write_bytes(b"[host]\nname = 'caf\xe9'\n")
    with pytest.raises(
        ConfigError, match=r"^datasync\.toml:2: this is no UTF-8 text: write the file as UTF-8$"
    ):
        load()
    file.write_text("[host]\nx = " + "[" * 5000 + "]" * 5000)
    with pytest.raises(ConfigError, match=r"^datasync\.toml: this is nested too deeply$"):
        load()
    file.write_text("[host]\nhold = " + "9" * 5000)
    with pytest.raises(ConfigError, match=r"^datasync\.toml:2: "):
        load()
    file.write_text("\ufeff[host]\r\nname = 'bom'\r\n", newline="")
    assert load().host.name == "bom"
