"""What the settings say of a plugin and is wrong is told with the place of that one setting."""

from __future__ import annotations

from pathlib import Path

import pytest

from datasync_core.config import load_settings
from datasync_core.host import Host
from datasync_core.spec.hooks import hookimpl

TOML = """
[stores]
main = "memory:"
[plugins.edge-a]
use = "edge"
[plugins.edge-a.config]
port = 1
"""


class Edge:
    requires = ("other",)

    def __init__(self, port: int) -> None:
        self.port = port

    @hookimpl
    def on_stop(self) -> None: ...


class Other:
    @hookimpl
    def on_stop(self) -> None: ...


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("DATASYNC_PLUGINS__EDGE_A__USE", "nosuch", "use names 'nosuch'"),
        ("DATASYNC_PLUGINS__EDGE_A__REQUIRES", '["nosuch"]', "requires names nosuch"),
        ("DATASYNC_PLUGINS__EDGE_A__CONFIG__PORT", "x", "config: the setting 'port' is wrong"),
        ("DATASYNC_PLUGINS__EDGE_A__CONFIG__PROT", "1", "config: unknown setting 'prot'"),
    ],
)
def test_a_setting_of_a_variable_is_not_blamed_on_the_file(
    tmp_path: Path, variable: str, value: str, said: str
) -> None:
    (tmp_path / "datasync.toml").write_text(TOML)
    settings = load_settings(cwd=tmp_path, environ={variable: value})
    host = Host(settings=settings, plugins={"edge": Edge, "other": Other})
    host.load()
    [problem] = [one for one in host.problems if one.plugin == "edge-a"]
    assert said in problem.text
    assert problem.where == variable


def test_a_plugin_that_a_variable_switches_off_names_it(tmp_path: Path) -> None:
    (tmp_path / "datasync.toml").write_text(TOML)
    variable = "DATASYNC_PLUGINS__EDGE_A__ENABLED"
    host = Host(
        settings=load_settings(cwd=tmp_path, environ={variable: "false"}),
        plugins={"edge": Edge, "other": Other},
    )
    host.load()
    assert host.assembly.disabled == {"edge-a": f"enabled = false ({variable})"}
