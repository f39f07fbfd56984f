"""The root command: help, versions, completion, usage, and what it costs to start."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest

from datasync_core.cli.exits import Exit, exit_of
from datasync_core.model import errors
from tests.cli.command import GREET, Place, unmeasured


def test_the_exit_codes_are_those_that_programs_know() -> None:
    assert {code.name: int(code) for code in Exit} == {
        "FINE": 0,
        "FAILED": 1,
        "USAGE": 2,
        "CONFIG": 3,
        "PLUGINS": 4,
        "STORE": 5,
        "RESTART": 75,
        "INTERRUPTED": 130,
    }
    assert exit_of(errors.ConfigError("x")) is Exit.CONFIG
    assert exit_of(errors.UsageError("x")) is Exit.USAGE
    assert exit_of(errors.GraphError("x")) is Exit.PLUGINS
    assert exit_of(errors.Misconfigured("x")) is Exit.FAILED
    assert exit_of(errors.Misconfigured("x"), Exit.STORE) is Exit.STORE
    assert exit_of(errors.HostError("x"), Exit.STORE) is Exit.FAILED
    assert exit_of(RuntimeError("x")) is Exit.FAILED


def test_version_lists_host_transports_and_plugins(place: Place) -> None:
    """Imports none of them: the plugin would end the command."""
    place.install("greet", "raise SystemExit('never imported')\n", version="3.1")
    answer = place.do("--version")
    assert answer.code == 0
    assert re.match(r"datasync-host \d", answer.lines[0])
    assert any(re.match(r"transport sqlite \(datasync-host \d.*\)", line) for line in answer.lines)
    assert "plugin greet (acme-greet 3.1)" in answer.lines


def test_version_imports_no_transport_and_no_more_than_it_needs(place: Place) -> None:
    code = (
        "import sys\nfrom datasync_core.cli.root import execute\n"
        "try: execute(['--version'])\n"
        "except SystemExit: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=unmeasured(place.env), capture_output=True, text=True, check=True
    )
    imported = {name.partition(".")[0] for name in done.stderr.split()}
    assert imported.isdisjoint(
        {"datasync_transports", "msgspec", "pluggy", "sqlite3", "redis", "kazoo", "rich"}
    )
    assert not {name for name in done.stderr.split() if name.startswith("datasync_core.host")}


@pytest.mark.slow
def test_a_command_on_a_store_imports_nothing_of_the_host(place: Place) -> None:
    code = (
        "import sys\nfrom datasync_core.cli.root import execute\n"
        "try: execute(['put', 'k', 'v', '--store', 'sqlite:data.db'])\n"
        "except SystemExit: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=place.folder,
        env=place.env,
        capture_output=True,
        text=True,
        check=True,
    )
    ours = {
        ".".join(name.split(".")[:2]) for name in done.stderr.split() if name.startswith("datasync_core.")
    }
    assert "datasync_core.sync" in ours
    assert ours.isdisjoint({"datasync_core.host", "datasync_core.dispatch", "datasync_core.ops"})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("plugin", "there is no command 'plugin'; did you mean plugins?"),
        ("nonsense", "there is no command 'nonsense'"),
        ("--nonsense", "no such option '--nonsense'"),
        ("get", "missing argument 'KEY'"),
        ("get a b", "got unexpected extra argument (b)"),
        ("get /a", "key '/a' starts or ends with a slash; write 'a'"),
        ("list /a", "path '/a' starts with a slash; write 'a'"),
        ("put a/ b", "key 'a/' starts or ends with a slash; write 'a'"),
        ("put k v --expect -1", "-1"),
        ("run --only", "--only"),
        ("run -p hello", "-p takes no:NAME, as in -p no:routes; got 'hello'"),
        ("run nothing.py", "nothing.py"),
        ("graph --format png", "png"),
    ],
)
def test_usage_is_a_sentence_and_2(place: Place, line: str, said: str) -> None:
    answer = place.do(*line.split(), *(["--store", "sqlite:x.db"] if line.startswith("put") else []))
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("datasync-host: ")
    assert said in answer.err
    assert answer.err.count("\n") == 1
    assert place.names() == set()


@pytest.mark.slow
def test_no_command_is_help_and_2(place: Place) -> None:
    answer = place.do()
    assert answer.code == 2
    assert "Commands:" in answer.err
    asked = place.do("-h")
    assert (asked.code, asked.err) == (0, "")


def test_every_command_has_help_that_says_more_than_its_name(place: Place) -> None:
    listed = re.findall(
        r"^  ([a-z]+)  +(\S.*)", place.do("--help").out.partition("Commands:")[2], re.MULTILINE
    )
    assert len(listed) == 17
    assert all(len(short) > 10 for _, short in listed)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_the_shell(place: Place, shell: str) -> None:
    answer = place.do("completion", shell)
    assert answer.code == 0
    assert "_DATASYNC_HOST_COMPLETE" in answer.out


@pytest.mark.slow
def test_completion_knows_commands_stores_and_plugins(place: Place) -> None:
    place.install("greet", GREET)
    place.write("datasync.toml", '[stores]\nmain = "memory:"\nspare = "memory:"\n')

    def complete(words: str) -> list[str]:
        env = {
            "_DATASYNC_HOST_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
        }
        place.env |= env
        found = [line.partition(",")[2] for line in place.do().lines if line]
        for name in env:
            del place.env[name]
        return found

    assert complete("datasync-host plu") == ["plugins"]
    assert complete("datasync-host get --store s") == ["spare"]
    assert complete("datasync-host run -p no:gr") == ["no:greet"]
    place.write("datasync.toml", "this is no toml")
    assert complete("datasync-host get --store s") == []


def test_ctrl_c_ends_a_command_that_waits_with_130(place: Place) -> None:
    os.mkfifo(place.folder / "fifo")
    waiting = place.start("load", "fifo", "--store", "sqlite:data.db")
    with (place.folder / "fifo").open("wb"):  # opens once the command has opened it, too
        assert waiting.end(signal.SIGINT) == 130
    assert "Traceback" not in waiting.said
    assert place.names() == {"fifo"}


@pytest.mark.slow
@pytest.mark.parametrize("command", ["get k", "list", "list --json", "dump", "plugins"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_output_that_is_full_is_told_as_the_output(place: Place, command: str, unbuffered: str) -> None:
    place.install("greet", GREET)
    place.env["DATASYNC_STORE"] = "sqlite:data.db"
    place.env["PYTHONUNBUFFERED"] = unbuffered
    place.do("put", "k", "v")
    answer = place.do(*command.split(), before=["sh", "-c", 'exec "$0" "$@" >/dev/full'])
    assert (answer.code, answer.err) == (1, "datasync-host: the output: No space left on device\n")


@pytest.mark.slow
def test_what_the_system_refuses_elsewhere_is_not_told_as_the_output(place: Place) -> None:
    broken = """
        import errno, os
        from datasync_core.transport import Transport
        class Broken(Transport):
            def subscribe(self, paths):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    """
    place.install("broken", broken, entry="[datasync.transports]\nbroken = acme_broken:Broken\n")
    answer = place.do("get", "k", "--store", "broken:x")
    assert answer.code == 1
    assert answer.err == "datasync-host: OSError: [Errno 28] No space left on device (-v shows where)\n"


@pytest.mark.slow
def test_a_mistake_of_ours_is_one_sentence_and_with_v_a_traceback(place: Place) -> None:
    broken = """
        from datasync_core.transport import Transport
        class Broken(Transport):
            def subscribe(self, paths):
                raise KeyError("of ours")
    """
    place.install("broken", broken, entry="[datasync.transports]\nbroken = acme_broken:Broken\n")
    short = place.do("get", "k", "--store", "broken:x")
    assert short.code == 1
    assert short.err == "datasync-host: a mistake of datasync itself, KeyError: 'of ours' (-v shows where)\n"
    assert "Traceback" in place.do("get", "k", "--store", "broken:x", "-v").err
    checked = place.do("check", "--store", "broken:x")
    assert checked.code == 5
    assert "of ours" in checked.out
