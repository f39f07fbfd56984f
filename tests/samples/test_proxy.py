"""The sample `proxy` as an operator has it: installed, run by the host, beside a real HAProxy and real web servers.

A client asks through HAProxy all the time; whatever happens to keys and hosts, none of its requests may fail.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shlex
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import attrs
import pytest
from datasync_proxy.backends import Backends
from datasync_proxy.haproxy import Haproxy

from datasync_core.testing import Harness
from tests.cli.command import Place
from tests.packages import Packages
from tests.samples.proxies import SAMPLE, Proxies, until
from tests.servers.server import free_port

pytestmark = pytest.mark.server


@pytest.fixture
def haproxy(program: Callable[[str, str], str]) -> str:
    return program("haproxy", "haproxy")


@pytest.fixture
def proxies(tmp_path: Path, haproxy: str, packages: Packages) -> Iterator[Proxies]:
    with ExitStack() as stack:
        yield Proxies(Place(tmp_path, stack), haproxy, stack, packages)


def frontend(port: int) -> str:
    return json.dumps({"bind": f"127.0.0.1:{port}", "pool": "web"})


@pytest.fixture(params=["sqlite", "redis", "zookeeper"])
def url(request: pytest.FixtureRequest) -> str:
    """A store of each kind: nothing else changes for a plugin that moves."""
    if request.param == "sqlite":
        return "sqlite:{name}.db"
    server = request.getfixturevalue(f"{request.param}_server")
    return f"{request.param}://127.0.0.1:{server.port}?prefix={uuid.uuid4().hex}-{{name}}/"


def test_traffic_follows_the_keys_and_kills_without_one_failed_request(proxies: Proxies, url: str) -> None:
    port = free_port()
    a, b, c, d = (proxies.web(name) for name in "abcd")
    proxies.configure("edge", url=url)
    proxies.do("put", "frontends/www", frontend(port))
    proxies.do("put", "backends/web/a", a.value)
    proxies.start_haproxy("edge")
    host = proxies.place.start("run")
    client = proxies.client(port)
    client.sees("a")

    proxies.do("put", "backends/web/b", b.value)
    client.sees("a", "b")
    change = proxies.place.write(
        "change.json", json.dumps({"backends/web/a": None, "backends/web/c": c.value})
    )
    proxies.do("load", "--atomic", str(change))
    client.sees("b", "c")
    a.close()

    host.process.kill()
    host.ended()
    proxies.do("put", "backends/web/a", d.value)
    proxies.do("delete", "backends/web/b")
    client.sees("b", "c")
    host = proxies.place.start("run")
    client.sees("c", "d")
    b.close()

    # A pid file that nobody writes to stops the host between swap and reload.
    pid_file = proxies.file("edge", "haproxy.pid")
    kept = pid_file.rename(pid_file.with_suffix(".kept"))
    os.mkfifo(pid_file)
    proxies.do("delete", "backends/web/c")
    until(lambda: "server c" not in proxies.file("edge").read_text(), "the file is swapped")
    host.process.kill()
    host.ended()
    client.sees("c", "d")
    kept.replace(pid_file)
    host = proxies.place.start("run")
    client.sees("d")
    c.close()
    client.sees("d")

    assert host.end() == 0
    client.close()
    assert client.failures == []


def test_two_instances_follow_two_stores(proxies: Proxies) -> None:
    ports = {"edge": free_port(), "core": free_port()}
    webs = {name: proxies.web(name) for name in ("one", "two", "three")}
    proxies.configure("edge", "core")
    for name, web in {"edge": "one", "core": "two"}.items():
        proxies.do("put", "frontends/www", frontend(ports[name]), "--store", name)
        proxies.do("put", "backends/web/a", webs[web].value, "--store", name)
    for name in ports:
        proxies.start_haproxy(name)
    host = proxies.place.start("run")
    clients = {name: proxies.client(port) for name, port in ports.items()}
    clients["edge"].sees("one")
    clients["core"].sees("two")
    proxies.do("put", "backends/web/a", webs["three"].value, "--store", "core")
    clients["core"].sees("three")
    clients["edge"].sees("one")
    assert host.end() == 0
    for client in clients.values():
        client.close()
        assert client.failures == []


def test_the_readme_does_what_it_says(proxies: Proxies) -> None:
    port, a, b = free_port(), proxies.web("a"), proxies.web("b")
    ports = {"8080": str(port), "8001": str(a.port), "8002": str(b.port)}

    def here(text: str) -> str:
        return re.sub("|".join(ports), lambda found: ports[found[0]], text)

    for name in ("datasync.toml", "keys.json"):
        proxies.place.write(name, here((SAMPLE / "example" / name).read_text()))
    proxies.place.env["DATASYNC_HOST__ONLY"] = '["haproxy"]'
    load, run = block("sh try").splitlines()
    start, put, refused = here(block("sh more")).splitlines()

    proxies.do(*command(load))
    host = proxies.place.start(*command(run))
    proxies.start_haproxy(".", start.removesuffix(" &"))
    client = proxies.client(port)
    client.sees("a")
    proxies.do(*command(put))
    client.sees("a", "b")
    proxies.do(*command(refused))
    host.until(block("text more").strip())
    client.sees("a", "b")
    assert host.end() == 0
    client.close()
    assert client.failures == []


def block(info: str) -> str:
    """The text of the fenced block of the sample's README with this info string."""
    found = re.search(
        rf"^```{info}\n(.*?)^```$", (SAMPLE / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert found is not None
    return found[1]


def command(line: str) -> list[str]:
    """The arguments of a line that calls datasync-host."""
    name, *arguments = shlex.split(line)
    assert name == "datasync-host"
    return arguments


def test_every_setting_and_default_is_in_the_table_of_the_readme() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (?:`(.+?)`)?", (SAMPLE / "README.md").read_text(), re.MULTILINE)
    settings = [
        (field.name, "" if field.default is None or field.name == "template" else str(field.default))
        for plugin in (Backends, Haproxy)
        for field in attrs.fields(plugin)
        if field.init
    ]
    assert rows == settings


LOCAL = {"host": "127.0.0.1", "port": 80}


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("backends/web/a", {**LOCAL, "weight": 300}, "weight of server a is not within 0 and 256"),
        ("backends/web/a", {**LOCAL, "port": 99999}, "invalid port"),
        ("backends/w@b/a", LOCAL, "character '@' is not permitted in 'backend' name"),
        ("frontends/www", {"bind": "127.0.0.1:99999", "pool": "web"}, "invalid port '99999'"),
    ],
)
def test_what_haproxy_refuses_is_rejected_in_its_own_words(
    haproxy: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, key: str, value: object, words: str
) -> None:
    """Writes all other keys to the file."""
    part, file = tmp_path / "backends.cfg", tmp_path / "haproxy.cfg"
    harness = Harness(
        backends=Backends,
        haproxy=Haproxy,
        config={
            "backends": {"file": str(part), "haproxy": haproxy},
            "haproxy": {"backends": str(part), "config": str(file), "haproxy": haproxy},
        },
    )
    good = {
        "backends/web/b": {"host": "127.0.0.1", "port": 81},
        "frontends/x": {"bind": "*:82", "pool": "web"},
    }
    with caplog.at_level(logging.WARNING):
        harness.commit({**good, key: value})
    (said,) = [record.getMessage() for record in caplog.records]
    assert f": {key} is rejected: " in said
    assert words in said
    text = file.read_text()
    assert "server b 127.0.0.1:81" in text
    assert "bind *:82" in text
    assert f" {key.rpartition('/')[2]} " not in text
    assert harness.in_sync()
