"""A value that comes by a reference, or stands in a URL as its password, is printed by no command."""

from __future__ import annotations

import pytest

from tests.cli.command import GREET, Place, unmeasured

pytestmark = pytest.mark.slow


@pytest.fixture
def place(place: Place) -> Place:
    """Its many processes are not measured for coverage: other tests reach the same code."""
    place.env = unmeasured(place.env)
    return place


SECRET = "hunter2xyzzy"
PICKY = """
    from __future__ import annotations
    from ipaddress import IPv4Address
    from datasync_core import Watch, hookimpl

    class Edge:
        watches = [Watch("a/", str)]

        def __init__(self, addr: IPv4Address = IPv4Address("127.0.0.1"), dsn: str = "", inner: dict[str, int] = {}):
            if dsn:
                raise ValueError(f"bad dsn {dsn[-9:]!r}") from OSError(dsn)

        @hookimpl
        def on_resync(self, event): ...
"""
CONFIGS = {
    "converted": 'addr = "${SEK}"',
    "in a message of the plugin's": 'dsn = "${SEK}"',
    "a part of a value": 'dsn = "pg://u:${SEK}@h/x"',
    "inside a table": 'inner = { a = "${SEK}" }',
    "no reference": f'dsn = "pg://u:{SECRET}@h/x"',
}


def parts(text: str) -> set[str]:
    """What of the secret is in the text, four characters and more."""
    return {part for at in range(len(SECRET) - 3) if (part := SECRET[at : at + 4]) in text}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_secret_of_a_plugin_is_printed_by_no_command(place: Place, config: str) -> None:
    place.install("edge", PICKY, entry="[datasync.plugins]\nedge = acme_edge:Edge\n")
    place.env["SEK"] = SECRET
    place.write("datasync.toml", f'[stores]\nmain = "memory:"\n[plugins.edge]\nconfig = {{ {config} }}\n')
    for command, code in ("check", 4), ("run -v", 4), ("config", 0):
        answer = place.do(*command.split())
        assert answer.code == code, answer
        assert not parts(answer.out + answer.err), answer
        assert "edge" in answer.out + answer.err


@pytest.mark.parametrize(
    "store",
    [
        'url = "sqlite:x.db"\nretention = "${SEK}"',
        'url = "sqlite:x.db"\nsynchronous = "${SEK}"',
        'url = "sqlite:x.db?retention=${SEK}"',
    ],
)
def test_a_secret_option_of_a_store_is_printed_by_no_command(place: Place, store: str) -> None:
    place.env["SEK"] = SECRET
    place.write("datasync.toml", f"[stores.main]\n{store}\n")
    for command, code in ("check", 3), ("run -v", 3), ("config", 0):
        answer = place.do(*command.split())
        assert answer.code == code, answer
        assert not parts(answer.out + answer.err), answer


def test_prefix_and_separator_of_a_store_are_shown(place: Place) -> None:
    """Masks the part of them that came by a reference."""
    place.env["SEK"] = SECRET
    place.install("greet", GREET)
    place.do("put", "x", "y", "--store", "sqlite:data.db")
    table = '[stores.main]\nurl = "sqlite:data.db?prefix=${SEK}/"\nseparator = "."\n'
    for text, shown in (
        ('[stores]\nmain = "sqlite:data.db?prefix=agent1:&separator=:"\n', "prefix=agent1:&separator=:"),
        (table, "prefix=***&separator=."),
    ):
        place.write("datasync.toml", text)
        host = place.start("run", "--name", "agent")
        host.until("greet: in sync")
        assert f"store main sqlite:data.db?{shown}, plugins" in host.lines[0]
        status = place.do("status", "--name", "agent")
        assert status.lines[1].endswith(f", sqlite:data.db?{shown}"), status
        check = place.do("check")
        assert f"store main: reached, sqlite:data.db?{shown}" in check.lines
        assert host.end() == 0
        assert not parts(host.said + status.out + check.out + check.err)
