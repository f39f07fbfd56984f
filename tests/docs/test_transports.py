"""docs/transports.md is true: its transport passes the suite, its tables are those of the code."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from attrs import evolve

import datasync_core.transport
from datasync_core import Delete, Event, Host, Put, Watch, hookimpl
from datasync_core.config import SETTINGS, load_settings
from datasync_core.model.entries import Capabilities
from datasync_core.model.errors import ConfigError
from datasync_core.opening import make_store
from datasync_core.plugins.transports import transport_class
from datasync_core.transport import (
    Conflict,
    ConnectionLost,
    StoreError,
    Subscription,
    Transport,
    Unsupported,
    Url,
    Writer,
)
from tests.documents import ROOT, blocks, rows, texts

TEXT = (ROOT / "docs" / "transports.md").read_text()


def column(heading: str, number: int = 0) -> list[str]:
    return [row[number] for row in rows(TEXT, heading)]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where the page's transport and its test are, installed."""
    for info, text in blocks(TEXT):
        if info.startswith("python "):
            (tmp_path / info.partition(" ")[2]).write_text(text)
    project = tomllib.loads(texts(TEXT, "toml pyproject.toml")[0])
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"] == ["document.py"]
    assert project["project"]["entry-points"].keys() == {"datasync.transports"}
    metadata = tmp_path / "acme_document-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-document\nVersion: 1.0\n")
    (point,) = project["project"]["entry-points"]["datasync.transports"].items()
    (metadata / "entry_points.txt").write_text(f"[datasync.transports]\n{' = '.join(point)}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.slow
def test_the_transport_of_the_page_passes_the_suite(site: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_document.py"],
        cwd=site,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_transport_of_the_page_is_found_by_its_scheme(site: Path) -> None:
    seen: dict[str, str] = {}

    class Reads:
        watch = Watch("a/", str)
        watches = [watch]

        @hookimpl
        def on_resync(self, event: Event) -> None:
            seen.update(event[self.watch])

    (site / "keys.json").write_text('{"a/1": "grün"}', "latin-1")
    try:
        url = f"document:{site}/keys.json?encoding=latin-1&interval=0.1"
        with Host(url, {"reads": Reads()}) as host:
            assert host.wait(60)
        assert seen == {"1": "grün"}
    finally:
        sys.modules.pop("document", None)


def test_every_name_for_transport_authors_is_documented() -> None:
    prose = re.sub(r"^```.*?^```", "", TEXT, flags=re.MULTILINE | re.DOTALL)
    named = set(
        re.findall(r"\w+", " ".join([*re.findall(r"`[^`]+`", prose), *texts(TEXT, "python document.py")]))
    )
    assert set(datasync_core.transport.__all__) <= named


def test_every_method_is_documented() -> None:
    assert column("method of `Transport`")[0].startswith("__init__(url, ")
    for cls in (Transport, Subscription, Writer):
        methods = {name for name in vars(cls) if not name.startswith("_")}
        documented = {row.partition("(")[0] for row in column(f"method of `{cls.__name__}`")}
        assert documented - {"__init__", "url"} == methods


def test_every_member_of_a_url_is_documented_with_its_signature() -> None:
    members = {name for name in dir(Url) if not name.startswith("_")}
    assert str(inspect.signature(Url.parse)) == "(text: 'str', base: 'Path | None' = None) -> 'Url'"
    assert str(inspect.signature(Url.file)) == "(self) -> 'Path'"
    calls = {"Url.parse(text, base=None)", "file()", "str(url)"}
    assert set(column("member of `Url`")) == members - {"parse", "file"} | calls


def test_the_parts_of_a_url_are_what_the_table_says(tmp_path: Path) -> None:
    url = Url.parse("zookeeper://ada:p%40ss@h1:2181,h2,[::1]/chroot?token=x&mode=a%20b", tmp_path)
    assert (url.scheme, url.user, url.password) == ("zookeeper", "ada", "p@ss")
    assert url.hosts == (("h1", 2181), ("h2", None), ("[::1]", None))
    assert (url.path, url.query) == ("/chroot", {"token": "x", "mode": "a b"})
    assert "p%40ss" not in str(url)
    assert "***@h1" in str(url)
    assert "token=***" in str(url)
    assert (url.shown_user, evolve(url, hides_user=True).shown_user) == ("ada", "***")
    assert Url.parse("redis://h/0").path == "/0"
    relative = Url.parse("file:conf.d", tmp_path)
    assert (relative.path, relative.base, relative.file()) == ("conf.d", tmp_path, tmp_path / "conf.d")
    assert Url.parse("file:///etc/x", tmp_path).file() == Path("/etc/x")
    with pytest.raises(ConfigError):
        Url.parse("no scheme")


def test_liveness_is_set_between_init_and_subscribe(site: Path) -> None:
    (site / "keys.json").write_text("{}")
    (site / "datasync.toml").write_text(f'[stores.main]\nurl = "document:{site}/keys.json"\nliveness = 3\n')
    try:
        store = make_store(load_settings(cwd=site, environ={}).stores["main"])
        assert store.transport.liveness == 3
        store.close()
    finally:
        sys.modules.pop("document", None)
    assert Transport.liveness == 10


class Answering(Transport):
    """Its writers give answers and failures in turn, and count themselves."""

    capabilities = Capabilities(raw=True)

    def __init__(self) -> None:
        super().__init__(Url.parse("answering:"))
        self.errors: list[StoreError] = []
        self.writers = 0

    def subscribe(self, paths: Sequence[str]) -> Subscription:
        raise ConnectionLost("nothing is read here")

    def writer(self) -> Writer:
        self.writers += 1
        return AnsweringWriter(self.errors)


class AnsweringWriter(Writer):
    def __init__(self, errors: list[StoreError]) -> None:
        self.errors = errors

    def commit(self, ops: Sequence[Put | Delete], *, expect: Mapping[str, int] = {}) -> int:
        raise self.errors.pop()


@pytest.mark.parametrize(
    ("error", "writers"), [(Unsupported, 1), (Conflict, 1), (StoreError, 2), (ConnectionLost, 2)]
)
def test_an_answer_keeps_the_writer_and_a_failure_does_not(error: type[StoreError], writers: int) -> None:
    transport = Answering()
    host = Host(transport)
    for _ in range(2):
        transport.errors.append(error("no"))
        with pytest.raises(error, match="no"):
            host.publisher().put("a", b"1")
    assert transport.writers == writers
    host.stop()


def test_the_tables_of_capabilities_are_those_of_the_code() -> None:
    fields = list(Capabilities.__struct_fields__)
    assert column("capability") == fields
    defaults = Capabilities()
    assert column("capability", 1) == [str(getattr(defaults, name)) for name in fields]
    table = {row[0]: row[1:] for row in rows(TEXT, "store")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(table) == set(project["entry-points"]["datasync.transports"])
    for scheme, cells in table.items():
        has = transport_class(scheme).capabilities
        words: dict[bool | int | None, str] = {True: "yes", False: "no", None: "any"}
        shown = [words.get(value, str(value)) for value in attrs_of(has)]
        assert cells == shown, scheme


def attrs_of(capabilities: Capabilities) -> list[bool | int | None]:
    return [getattr(capabilities, name) for name in capabilities.__struct_fields__]


@pytest.mark.parametrize("scheme", ["sqlite", "memory"])
def test_the_options_of_a_store_are_those_of_the_code(scheme: str) -> None:
    parameters = list(inspect.signature(transport_class(scheme)).parameters.values())[1:]
    defaults = {
        one.name: str(one.default).lower()
        if isinstance(one.default, bool)
        else f"{one.default:g}"
        if isinstance(one.default, float)
        else str(one.default)
        for one in parameters
    }
    assert {row[0]: row[1] for row in rows(TEXT, f"option of `{scheme}:`")} == defaults


def test_the_common_options_are_those_of_the_code() -> None:
    common = [one for one in SETTINGS if one.name.startswith("stores.*.") and one.default is not None]
    documented = {row[0]: row[1] for row in rows(TEXT, "option")}
    shown = {
        one.name.removeprefix("stores.*."): f"{one.default:g}"
        if isinstance(one.default, float)
        else one.default
        for one in common
    }
    assert documented == {name: default or "*empty*" for name, default in shown.items()}


def test_every_error_is_documented() -> None:
    named = {name: getattr(datasync_core.transport, name) for name in datasync_core.transport.__all__}
    errors = {
        name for name, value in named.items() if isinstance(value, type) and issubclass(value, StoreError)
    }
    assert set(column("error")) == errors


def test_prefix_and_separator_name_keys_as_the_page_says(tmp_path: Path) -> None:
    (tmp_path / "datasync.toml").write_text(texts(TEXT, "toml stores.toml")[0])
    store = make_store(load_settings(cwd=tmp_path, environ={}).stores["main"])
    assert store.key("routes/10.0.0.0") == "agent1:routes:10.0.0.0"
    assert "`agent1:routes:10.0.0.0`" in TEXT
    writer = store.writer()
    writer.commit([Put("routes/10.0.0.0", b"x")])
    writer.close()
    store.close()
    assert (tmp_path / "agents.db").exists()


def test_every_store_has_its_urls_in_the_table() -> None:
    schemes = [url.partition(":")[0] for url in column("URL")]
    alone = ["file", "redis", "rediss", "redis+unix", "zookeeper"]
    assert schemes == ["sqlite", "sqlite", "memory", "memory", *alone]
    assert set(schemes) == set(column("store"))


def test_the_length_of_the_transport_to_read_is_right() -> None:
    said = re.search(r"`(datasync_transports/\S+)` is a whole one in (\d+) lines", TEXT)
    assert said is not None
    assert abs(len((ROOT / said[1]).read_text().splitlines()) - int(said[2])) < 20
