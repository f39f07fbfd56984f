"""A store that cannot be made: the message says where the setting stands that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from datasync_core.config import Overrides, load_settings
from datasync_core.model.errors import ConfigError
from datasync_core.opening import make_store

TABLE = '[stores.main]\nurl = "sqlite:x.db"\n'


@pytest.mark.parametrize(
    ("text", "environ", "where"),
    [
        (TABLE + 'passwort = "x"\n', {}, "datasync.toml:3: sqlite:x.db: unknown setting 'passwort'"),
        (TABLE + 'retention = "x"\n', {}, "datasync.toml:3: sqlite:x.db: the setting 'retention' is wrong"),
        (TABLE, {"DATASYNC_STORES__MAIN__RETENTION": "x"}, "DATASYNC_STORES__MAIN__RETENTION: sqlite:x.db: "),
        ('[stores]\nmain = "sqlite:x.db?passwort=x"\n', {}, "datasync.toml:2: sqlite:x.db"),
        ('[stores]\nmain = "sqllite:x.db"\n', {}, "datasync.toml:2: no transport for the scheme sqllite"),
        ('[stores]\nmain = "sqlite:"\n', {}, "datasync.toml:2: sqlite: names no file"),
        ('[stores]\nmain = "redis://h/x"\n', {}, "datasync.toml:2: redis://h/x: after the host comes"),
        ('[stores]\nmain = "zookeeper://h/a//b"\n', {}, "datasync.toml:2: zookeeper://h/a//b: no node is"),
        ('[stores]\nmain = "file:.?interval=0"\n', {}, "datasync.toml:2: file:.?interval=0: interval is"),
    ],
)
def test_a_wrong_option_of_a_store_is_named_with_its_place(
    tmp_path: Path, text: str, environ: dict[str, str], where: str
) -> None:
    (tmp_path / "datasync.toml").write_text(text)
    settings = load_settings(cwd=tmp_path, environ=environ)
    with pytest.raises(ConfigError) as caught:
        make_store(settings.stores["main"])
    assert str(caught.value).startswith(where)


def test_an_option_of_the_command_line_is_a_place_too(tmp_path: Path) -> None:
    settings = load_settings(cwd=tmp_path, environ={}, overrides=Overrides(stores=["sqlite:x.db?passwort=x"]))
    with pytest.raises(ConfigError, match=r"\A--store: sqlite:x.db\?passwort=\*\*\*: unknown setting"):
        make_store(settings.stores["main"])
