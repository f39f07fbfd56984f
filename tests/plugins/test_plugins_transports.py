"""Transports by scheme, with their options converted and checked."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest

from datasync_core.model.errors import ConfigError, Misconfigured, PluginError
from datasync_core.model.url import Url
from datasync_core.plugins.transports import make_transport, transport_class
from tests.plugins.conftest import Site

SPEED = """
from datasync_core.model.errors import Misconfigured
from datasync_core.transport import Transport, Url
from pathlib import Path

class Speed(Transport):
    def __init__(self, url: Url, *, knots: int = 1, chart: Path = Path("."), secret_pin: int = 0):
        super().__init__(url)
        if knots == 13:
            raise Misconfigured("unlucky")
        if knots == 14:
            raise OSError(f"no {url.password}, no {secret_pin}")
        self.knots, self.chart = knots, chart
    def subscribe(self, paths): raise NotImplementedError

class Half(Transport): ...
class Other: ...
"""
POINTS = """[datasync.transports]
speed = sited_speed:Speed
speed+unix = sited_speed:Speed
half = sited_speed:Half
other = sited_speed:Other
lacking = sited_lacking:Transport
exits = sited_exits:Transport
"""
MODULES = {
    "sited_speed": SPEED,
    "sited_lacking": "import no_such_client",
    "sited_exits": "import sys; sys.exit(1)",
}


@pytest.fixture
def transports(site: Site) -> None:
    site.install(
        "acme-speed",
        POINTS,
        MODULES,
        metadata="Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nProvides-Extra: lacking\n",
    )


def speed(url: Url, options: Mapping[str, object], text: Collection[str] = ()) -> Any:
    """A transport of the class Speed, which is written at run time."""
    return make_transport(url, options, text)


def test_a_transport_is_found_by_its_scheme_and_no_other_is_imported(transports: None) -> None:
    assert transport_class("speed+unix").__name__ == "Speed"
    assert {"sited_lacking", "sited_exits"}.isdisjoint(sys.modules)


@pytest.mark.parametrize(
    ("scheme", "error", "said"),
    [
        (
            "sped",
            ConfigError,
            "no transport for the scheme sped: did you mean speed? (installed: exits, half,",
        ),
        ("qqq", ConfigError, "no transport for the scheme qqq (installed: "),
        ("half", PluginError, "lacks subscribe"),
        ("other", PluginError, "is no subclass of Transport"),
        ("lacking", ConfigError, "(No module named 'no_such_client'): install acme-speed[lacking]"),
        ("exits", PluginError, "cannot be imported: SystemExit: 1"),
    ],
)
def test_a_transport_that_cannot_be_is_refused_in_a_sentence(
    transports: None, scheme: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as caught:
        transport_class(scheme)
    assert said in str(caught.value)


def test_a_scheme_of_two_distributions_is_refused_naming_both(transports: None, site: Site) -> None:
    site.install("acme-second", "[datasync.transports]\nspeed = x:Y\n")
    with pytest.raises(PluginError, match=r"acme-second 1\.0 and acme-speed 1\.0"):
        transport_class("speed")


def test_options_of_the_query_are_text_and_explicit_ones_come_first(transports: None, tmp_path: Path) -> None:
    url = Url.parse("speed://host?knots=3&chart=a")
    made = speed(url, {"chart": str(tmp_path)})
    assert (made.knots, made.chart, made.url) == (3, tmp_path, url)
    assert speed(url, {"knots": "7"}, text={"knots"}).knots == 7


@pytest.mark.parametrize(
    ("url", "options", "said"),
    [
        ("speed:?nots=3", {}, "speed:?nots=3: unknown setting 'nots': did you mean knots?"),
        ("speed:", {"knots": "3"}, "speed:: the setting 'knots' is wrong: expected int, got str"),
        ("speed:?knots=fast", {}, "the setting 'knots' is wrong"),
        ("speed:", {"url": 3}, "unknown setting 'url'"),
        (
            "speed://h?password=hunter2",
            {},
            "speed://h?password=***: password stands before the host: write speed://USER:PASSWORD@HOST",
        ),
        (
            "speed://h?pass=hunter2",
            {},
            "speed://h?pass=***: pass stands before the host: write speed://USER:PASSWORD@HOST",
        ),
        ("speed:?user=me", {}, "unknown setting 'user'"),
        ("speed://me:pass@h", {"knots": 14, "secret_pin": 987}, "OSError: no ***, no ***"),
        ("speed:?secret_pin=hunter2", {}, "secret_pin"),
    ],
)
def test_a_wrong_option_is_named_and_no_secret_is(
    transports: None, url: str, options: Mapping[str, object], said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        make_transport(Url.parse(url), options)
    assert said in str(caught.value)
    for secret in ("pass@", "no pass", "987", "hunter2"):
        assert secret not in str(caught.value)


def test_what_a_transport_says_itself_is_left_as_it_is(transports: None) -> None:
    with pytest.raises(Misconfigured, match="unlucky"):
        make_transport(Url.parse("speed:?knots=13"), {})
