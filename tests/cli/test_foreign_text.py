"""Text that others wrote reaches no terminal with control characters, and ends no command that cannot encode it."""

from __future__ import annotations

import json

import pytest

from tests.cli.command import GREET, Answer, Place

pytestmark = pytest.mark.slow

EVIL = "\x1b]2;title\x07 \x1b[1A\x9b2K rewritten"
SHOWN = "\\x1b]2;title\\x07 \\x1b[1A\\x9b2K rewritten"
REFUSING = f"""
    from datasync_core.transport import Misconfigured, Transport

    class Refusing(Transport):
        def subscribe(self, paths):
            raise Misconfigured({EVIL!r})

        def writer(self):
            raise Misconfigured({EVIL!r})
"""
FAILING = f"""
    import logging
    from datasync_core import Watch, hookimpl

    watches = [Watch("hello/", str)]

    @hookimpl
    def on_start(context):
        context.log.warning("a device says %s", {EVIL!r})
        logging.getLogger("vendor.driver").warning("{{%s}}", {EVIL!r})

    @hookimpl
    def on_resync(event):
        raise RuntimeError({EVIL!r})
"""
WORDS = "z\u016f, \u6771\u4eac"
ENCODINGS = ("latin-1", "ascii")


def printed(answer: Answer) -> str:
    return answer.out + answer.err


def is_clean(text: str) -> bool:
    return all(character.isprintable() for line in text.splitlines() for character in line)


@pytest.mark.parametrize(
    "command",
    [
        ("list",),
        ("dump",),
        ("watch",),
        ("check", "-v"),
        ("put", "a", "1"),
        ("run", "-v"),
        ("run", "--log-format", "json"),
    ],
    ids=" ".join,
)
def test_the_error_of_a_store_is_printed_escaped(place: Place, command: tuple[str, ...]) -> None:
    place.install("greet", GREET)
    place.install("odd", REFUSING, entry="[datasync.transports]\nodd = acme_odd:Refusing\n")
    place.write("datasync.toml", '[stores]\nmain = "odd:x"\n')
    answer = place.do(*command)
    assert answer.code in (1, 5)
    assert "rewritten" in printed(answer)
    assert is_clean(printed(answer)), printed(answer)


def test_what_plugins_and_libraries_say_is_logged_and_shown_escaped(place: Place) -> None:
    place.install("failing", FAILING)
    host = place.start("run", "-v", "--store", "sqlite:data.db")
    host.until("RuntimeError: ")
    host.until("Traceback")
    host.until("raise RuntimeError(")
    status, explained = place.do("status"), place.do("explain", "hello/x")
    assert host.end() == 0
    assert SHOWN in status.out
    assert f"failing: a device says {SHOWN}" in host.said
    assert f"vendor.driver: {{{SHOWN}}}" in host.said
    for said in (host.said, printed(status), printed(explained)):
        assert is_clean(said), said


def test_the_metadata_of_a_package_is_printed_escaped(place: Place) -> None:
    place.install("greet", GREET, version="1.0\x1b[2J")
    place.install("broken", f"raise ImportError({EVIL!r})")
    place.write("datasync.toml", '[stores]\nmain = "sqlite:data.db"\n')
    for command in (["plugins", "-v"], ["check"], ["graph"], ["--version"]):
        answer = place.do(*command)
        assert answer.out, command
        assert is_clean(printed(answer)), printed(answer)


def test_get_prints_every_byte_as_it_is(place: Place) -> None:
    value = f"{EVIL}\r\n\x00".encode()
    place.do("put", "k", "-", "--store", "sqlite:data.db", stdin=value)
    assert place.do("get", "k", "--store", "sqlite:data.db").bytes == value
    listed = place.do("list", "--values", "--json", "--store", "sqlite:data.db")
    assert listed.json()["text"].encode() == value
    assert is_clean(listed.out)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_text_that_an_output_cannot_encode_is_escaped(place: Place, encoding: str) -> None:
    place.install("failing", FAILING.replace(f"RuntimeError({EVIL!r})", f"RuntimeError({WORDS!r})"))
    place.write("datasync.toml", '[stores]\nmain = "sqlite:data.db"\n')
    place.do("put", f"hello/{WORDS}", WORDS)
    place.do("put", "hello/\u00e9t\u00e9", "plain")
    host = place.start("run")
    host.until(f"RuntimeError: {WORDS}")
    commands = [
        ("list",),
        ("list", "--values"),
        ("list", "--values", "--json"),
        ("get", f"hello/{WORDS}", "--json"),
        ("status",),
        ("status", "--json"),
        ("explain", f"hello/{WORDS}"),
        ("dump",),
    ]
    for command in commands:
        place.env["PYTHONIOENCODING"] = "utf-8"
        right = place.do(*command)
        place.env["PYTHONIOENCODING"] = encoding
        answer = place.do(*command)
        assert (answer.code, answer.err) == (right.code, right.err) == (0, ""), answer
        assert len(answer.bytes.splitlines()) == len(right.bytes.splitlines())
        if "--json" in command and "status" not in command:
            read = [json.loads(line) for line in answer.bytes.decode(encoding).splitlines()]
            assert read == [json.loads(line) for line in right.lines]
    assert host.end() == 0


ENDS = """
    import os, signal
    from datasync_core import Watch, hookimpl

    watches = [Watch("hello/", str)]
    requires = ["greet"]

    @hookimpl
    def on_resync(event):
        os.kill(os.getpid(), signal.SIGTERM)
"""
"""A plugin that ends its host as an operator does."""

CLOSED = {"stdin": "<&-", "stdout": ">&-", "stderr": "2>&-"}
COMMANDS = {
    ("check",): 0,
    ("plugins",): 0,
    ("list",): 0,
    ("get", "hello/nothing"): 1,
    ("dump",): 0,
    ("dump", "-o", "copy"): 0,
    ("load", "many"): 0,
    ("misspelt",): 2,
}


def closed(place: Place, stream: str, *args: str) -> Answer:
    return place.do(*args, before=["sh", "-c", f'exec "$0" "$@" {CLOSED[stream]}'])


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_closed_stderr_changes_no_exit_code_and_no_output(place: Place, command: tuple[str, ...]) -> None:
    place.install("greet", GREET)
    place.write("datasync.toml", '[stores]\nmain = "sqlite:data.db"\n')
    place.write("many", "".join(f'{{"key": "many/{number}", "text": "x"}}\n' for number in range(1_500)))
    place.do("put", "hello/ada", "hi")
    if command[0] == "dump":
        place.do("load", "many")
    right = place.do(*command)
    answer = closed(place, "stderr", *command)
    assert (answer.code, answer.out) == (right.code, right.out)
    assert answer.code == COMMANDS[command]


def test_a_closed_stdin_is_named_where_it_is_read(place: Place) -> None:
    for command in (("put", "k", "-"), ("load", "-")):
        answer = closed(place, "stdin", *command, "--store", "sqlite:data.db")
        assert answer.code == 2
        assert answer.err.startswith("datasync-host: standard input is closed: ")


def test_run_works_where_stderr_is_closed(place: Place) -> None:
    place.install("greet", GREET)
    place.install("ends", ENDS)
    place.do("put", "hello/ada", "hi", "--store", "sqlite:data.db")
    answer = closed(place, "stderr", "run", "--store", "sqlite:data.db")
    assert answer.code == 0
    assert "resync CREATE ada hi" in answer.lines
