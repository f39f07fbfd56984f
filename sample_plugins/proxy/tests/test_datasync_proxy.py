"""Both plugins on the kit, with real files; a script refuses what HAProxy would, this process is the master.

That a real HAProxy says the same is tested with the project as a whole, which can install one.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import define, field
from datasync_proxy.backends import Backends
from datasync_proxy.haproxy import Haproxy

from datasync_core.testing import Harness

A = {"host": "10.0.0.1", "port": 8001}
B = {"host": "10.0.0.2", "port": 8002, "weight": 7}
BAD = {"host": "bad.example", "port": 8009}
WWW = {"bind": "*:80", "pool": "web"}

REFUSES = """\
#!/bin/sh
cut -d " " -f 5 /proc/$$/stat >> {folder}/asked
test -e {folder}/crash && kill -9 $$
if grep -q -f {folder}/refused; then
    echo "[NOTICE]   (7) : haproxy version is 2.6.12" >&2
    echo "[ALERT]    (7) : config : parsing [/dev/stdin:9] : 'server' : could not resolve address 'bad.example'." >&2
    echo "[ALERT]    (7) : config : Fatal errors found in configuration." >&2
    exit 1
fi
exit 2
"""
WORDS = "'server' : could not resolve address 'bad.example'."


Rejections = Callable[[], dict[str, str]]


@define
class Proxy:
    """A folder with the plugins' files, and a harness that drives both."""

    folder: Path
    program: Path
    settings: dict[str, object] = field(factory=dict)

    def harness(self, *, paused: bool = False) -> Harness:
        """A host that starts now, or (``paused``) once something was put."""
        shared: dict[str, object] = {"haproxy": str(self.program)}
        part = self.folder / "backends.cfg"
        config: dict[str, dict[str, object]] = {
            "backends": {**shared, "file": str(part)},
            "haproxy": {**shared, "backends": str(part), "config": str(self.file), **self.settings},
        }
        return Harness(config=config, paused=paused, backends=Backends, haproxy=Haproxy)

    @property
    def file(self) -> Path:
        return self.folder / "haproxy.cfg"

    def lines(self) -> list[str]:
        """What the keys made of the file, without what it begins with."""
        lines = [line.strip() for line in self.file.read_text().splitlines()]
        return [
            line for line in lines if line.startswith(("frontend", "bind", "default_", "backend", "server "))
        ]

    def asked(self) -> list[int]:
        """The process group of the program, for each time that it was asked."""
        return [int(group) for group in (self.folder / "asked").read_text().splitlines()]


@pytest.fixture
def proxy(tmp_path: Path) -> Proxy:
    program = tmp_path / "haproxy-c"
    program.write_text(REFUSES.format(folder=tmp_path))
    (tmp_path / "refused").write_text("bad\n")
    program.chmod(0o755)
    return Proxy(tmp_path, program)


@pytest.fixture
def rejections(caplog: pytest.LogCaptureFixture) -> Rejections:
    """Key → why, of what was rejected so far."""

    def read() -> dict[str, str]:
        said = [record.getMessage().partition(" is rejected: ") for record in caplog.records]
        named = {who.partition(": ")[2]: reason for who, found, reason in said if found}
        return {
            key.replace("\\n", "\n"): reason for key, reason in named.items()
        }  # a log has one line for each

    return read


@define
class Master:
    """This process under HAProxy's name: it counts the reloads."""

    reloads: int = 0


@pytest.fixture
def master(proxy: Proxy) -> Iterator[Master]:
    name = Path("/proc/self/comm")
    before = name.read_text()
    counted = Master()

    def count(*_: object) -> None:
        counted.reloads += 1

    handler = signal.signal(signal.SIGUSR2, count)
    name.write_text("haproxy")
    pid_file = proxy.folder / "haproxy.pid"
    pid_file.write_text(f"{os.getpid()}\n")
    proxy.settings["pid_file"] = str(pid_file)
    yield counted
    name.write_text(before)
    signal.signal(signal.SIGUSR2, handler)


def test_the_file_has_a_section_for_each_frontend_and_pool(proxy: Proxy) -> None:
    harness = proxy.harness()
    harness.commit({"frontends/www": WWW, "backends/web/b": B, "backends/web/a": A, "backends/api/a": A})
    assert proxy.lines() == [
        "frontend www",
        "bind *:80",
        "default_backend web",
        "backend api",
        "server a 10.0.0.1:8001 weight 100 check",
        "backend web",
        "server a 10.0.0.1:8001 weight 100 check",
        "server b 10.0.0.2:8002 weight 7 check",
    ]
    assert harness.in_sync()


def test_what_is_deleted_leaves_the_file(
    proxy: Proxy,
) -> None:
    """A pool without servers stays in the file while a frontend names it."""
    harness = proxy.harness()
    harness.commit({"frontends/www": WWW, "backends/web/a": A})
    harness.delete("backends/web/a")
    assert proxy.lines() == ["frontend www", "bind *:80", "default_backend web", "backend web"]
    harness.delete("frontends/www")
    assert proxy.lines() == []


def test_the_template_comes_first(proxy: Proxy) -> None:
    template = proxy.folder / "template.cfg"
    template.write_text("global\n    maxconn 10\n")
    proxy.settings["template"] = str(template)
    proxy.harness()
    assert proxy.file.read_text() == template.read_text()


def test_a_pool_may_be_the_templates_own(proxy: Proxy) -> None:
    template = proxy.folder / "template.cfg"
    template.write_text("backend web\n    server own 10.0.0.9:80\n")
    proxy.settings["template"] = str(template)
    proxy.harness().put("frontends/www", WWW)
    assert proxy.lines().count("backend web") == 1


def test_the_file_keeps_its_permissions(proxy: Proxy) -> None:
    proxy.file.touch(mode=0o600)
    proxy.harness().put("frontends/www", WWW)
    assert proxy.file.stat().st_mode & 0o777 == 0o600
    assert "frontend www" in proxy.lines()


def test_without_the_program_the_file_is_written_unchecked(
    proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    """Each plugin logs that once."""
    proxy.program.unlink()
    with caplog.at_level(logging.WARNING):
        harness = proxy.harness()
        harness.commit({"frontends/www": WWW, "backends/web/a": BAD})
    assert "server a bad.example:8009 weight 100 check" in proxy.lines()
    said = [record.getMessage() for record in caplog.records if record.name.startswith("datasync.plugins")]
    assert said == [f"there is no program {proxy.program} here: the file is written without a check"] * 2


def test_a_refused_server_is_rejected_and_its_last_good_value_stays(
    proxy: Proxy, rejections: Rejections
) -> None:
    """Gives the message of HAProxy as the reason."""
    harness = proxy.harness()
    harness.commit({"frontends/www": WWW, "backends/web/a": A})
    harness.commit({"backends/web/a": BAD, "backends/web/b": B})
    servers = [line for line in proxy.lines() if line.startswith("server")]
    assert servers == ["server a 10.0.0.1:8001 weight 100 check", "server b 10.0.0.2:8002 weight 7 check"]
    assert rejections() == {"backends/web/a": WORDS}
    assert harness.in_sync()
    harness.put("backends/web/a", {**A, "port": 8010})
    assert "server a 10.0.0.1:8010 weight 100 check" in proxy.lines()


def test_a_refused_frontend_is_rejected_and_the_others_flow(proxy: Proxy, rejections: Rejections) -> None:
    harness = proxy.harness()
    harness.commit({"frontends/www": WWW, "frontends/x": {**WWW, "bind": "bad:80"}})
    assert "frontend www" in proxy.lines()
    assert "frontend x" not in proxy.lines()
    assert rejections() == {"frontends/x": WORDS}


def test_the_refused_ones_among_many_are_found_by_halves(proxy: Proxy, rejections: Rejections) -> None:
    harness = proxy.harness()
    before = len(proxy.asked())
    servers: dict[str, object] = {f"backends/web/{n:03}": A for n in range(128)}
    harness.commit({**servers, "backends/web/017": BAD, "backends/web/099": BAD})
    assert set(rejections()) == {"backends/web/017", "backends/web/099"}
    assert proxy.file.read_text().count("    server ") == 126
    assert len(proxy.asked()) - before < 40
    before = len(proxy.asked())
    harness.put("backends/web/001", BAD)
    assert "backends/web/001" in rejections()
    assert len(proxy.asked()) - before < 10  # what is taken already is asked about together


def test_a_template_that_is_refused_is_no_keys_fault(proxy: Proxy) -> None:
    template = proxy.folder / "template.cfg"
    template.write_text("# bad\n")
    proxy.settings["template"] = str(template)
    harness = proxy.harness()
    harness.put("frontends/www", WWW)
    assert WORDS in str(harness.state("haproxy"))
    assert not proxy.file.exists()
    template.write_text("")
    harness.advance(10)
    assert "frontend www" in proxy.lines()
    assert harness.in_sync()


def test_a_server_that_is_refused_later_rejects_no_key(proxy: Proxy, rejections: Rejections) -> None:
    """Keeps the file as it is, until HAProxy accepts again the server that it had accepted before."""
    harness = proxy.harness()
    harness.commit({"frontends/www": WWW, "backends/web/a": A})
    (proxy.folder / "refused").write_text("10.0.0.1\n")  # as when a name has lost its address
    harness.put("backends/web/b", B)
    assert WORDS in str(harness.state("backends"))
    assert "server a 10.0.0.1:8001 weight 100 check" in proxy.lines()
    (proxy.folder / "refused").write_text("bad\n")
    harness.advance(10)
    assert "server b 10.0.0.2:8002 weight 7 check" in proxy.lines()
    assert harness.in_sync()
    assert rejections() == {}


def test_a_check_that_crashes_refuses_nothing(proxy: Proxy, rejections: Rejections) -> None:
    harness = proxy.harness()
    (proxy.folder / "crash").touch()
    harness.put("backends/web/a", A)
    assert "ended with -9" in str(harness.state("backends"))
    assert rejections() == {}


def test_the_check_is_out_of_reach_of_a_ctrl_c(proxy: Proxy) -> None:
    proxy.harness()
    assert proxy.asked()
    assert os.getpgrp() not in proxy.asked()


def test_a_server_without_a_pool_is_told_how_its_key_looks(proxy: Proxy, rejections: Rejections) -> None:
    proxy.harness().put("backends/web", A)
    assert rejections() == {
        "backends/web": "a server's key has two parts below backends/: backends/POOL/NAME"
    }


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("backends/web/a\n    server evil 10.6.6.6:80 #", A),
        ("backends/web/a", {**A, "host": "10.0.0.1:1 weight 0 #"}),
        ("backends/web\nlisten evil/a", A),
        ("backends/web", A),
        ("frontends/www\n    maxconn 1", WWW),
        ("frontends/www", {**WWW, "bind": "*:80 accept-proxy"}),
        ("frontends/www", {**WWW, "pool": "web\n    maxconn 1"}),
    ],
)
@pytest.mark.parametrize("checked", [True, False])
def test_text_that_is_no_single_word_adds_nothing_to_the_file(
    proxy: Proxy, rejections: Rejections, key: str, value: object, checked: bool
) -> None:
    if not checked:
        proxy.program.unlink()
    harness = proxy.harness()
    harness.put(key, value)
    assert proxy.lines() == []
    assert set(rejections()) == {key}


def test_every_start_reloads_so_that_a_kill_between_swap_and_reload_heals(
    proxy: Proxy, master: Master
) -> None:
    proxy.harness().put("frontends/www", WWW)
    assert master.reloads == 2
    again = proxy.harness(paused=True)
    again.put("frontends/www", WWW)
    assert master.reloads == 3


def test_a_transaction_is_one_reload_and_what_changes_nothing_is_none(proxy: Proxy, master: Master) -> None:
    harness = proxy.harness()
    before = master.reloads
    harness.commit({"frontends/www": WWW, "backends/web/a": A, "backends/web/b": B})
    assert master.reloads == before + 1
    harness.commit({"backends/web/a": None, "backends/web/c": A})
    assert master.reloads == before + 2
    harness.put("backends/web/b", BAD)
    assert master.reloads == before + 2
    assert harness.in_sync()


def test_who_asks_for_a_resync_gets_a_reload_and_the_file_back(proxy: Proxy, master: Master) -> None:
    harness = proxy.harness()
    harness.put("frontends/www", WWW)
    proxy.file.write_text("somebody's own")
    before = master.reloads
    harness.resync("haproxy")
    assert "frontend www" in proxy.lines()
    assert master.reloads == before + 1


@pytest.mark.parametrize("pid", ["", "no number", "4194305"])
def test_while_no_master_runs_it_is_tried_again_and_nothing_is_lost(
    proxy: Proxy, master: Master, pid: str
) -> None:
    pid_file = proxy.folder / "haproxy.pid"
    right = pid_file.read_text()
    pid_file.write_text(pid)
    harness = proxy.harness()
    harness.put("frontends/www", WWW)
    harness.advance(10)
    assert f"no HAProxy runs under the pid in {pid_file}" in str(harness.state("haproxy"))
    assert "frontend www" in proxy.lines()  # for the HAProxy that will start
    pid_file.write_text(right)
    harness.advance(10)
    assert master.reloads == 1
    assert harness.in_sync()


def test_a_pid_that_another_program_has_by_now_gets_no_signal(proxy: Proxy, master: Master) -> None:
    Path("/proc/self/comm").write_text("nginx")
    harness = proxy.harness()
    assert master.reloads == 0
    assert "no HAProxy runs" in str(harness.state("haproxy"))
