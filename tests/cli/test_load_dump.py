"""`load` and `dump`: whole or not at all, and what the one writes the other takes."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from pathlib import Path
from typing import Self

import pytest

from datasync_core.cli.batches import write
from datasync_core.cli.lines import parse
from datasync_core.model.errors import UsageError
from datasync_core.model.runtime import RealRuntime
from datasync_core.plugins.transports import make_transport
from datasync_core.sync.publisher import StorePublisher
from datasync_core.sync.store import Store
from datasync_core.transport import Delete, Put, Url
from tests.cli.command import COMMAND, Place, unmeasured

pytestmark = pytest.mark.slow

DB = "--store=sqlite:data.db"


def test_what_dump_writes_load_takes(place: Place) -> None:
    place.do("put", "text", 'a "quoted"\nvålue', DB)
    place.do("put", "deep/raw", "-", DB, stdin=b"\xff\x00\n")
    place.do("put", "deep/empty", "", DB)
    dumped = place.do("dump", DB)
    assert [json.loads(line)["key"] for line in dumped.lines] == ["deep/empty", "deep/raw", "text"]
    loaded = place.do("load", "-", "--store", "sqlite:copy.db", stdin=dumped.bytes)
    assert (loaded.code, loaded.out) == (0, "3 keys written\n")
    assert place.do("dump", "--store", "sqlite:copy.db").bytes == dumped.bytes
    assert place.do("get", "deep/raw", "--store", "sqlite:copy.db").bytes == b"\xff\x00\n"
    assert len(place.do("dump", "deep/", DB).lines) == 2
    again = place.do("load", "-", "--store", "sqlite:none.db", stdin=b"")
    assert (again.code, again.out) == (0, "0 keys written\n")


def test_dump_into_a_file_is_whole_or_leaves_the_old_one(place: Place) -> None:
    place.do("put", "a", "1", DB)
    file = place.folder / "dump.jsonl"
    file.write_text("old")
    file.chmod(0o640)
    failed = place.do("dump", "--store", "sqlite:none.db", "-o", "dump.jsonl")
    assert (failed.code, file.read_text()) == (1, "old")
    assert place.do("dump", DB, "-o", "dump.jsonl").code == 0
    assert file.read_text() == '{"key": "a", "text": "1"}\n'
    assert file.stat().st_mode & 0o777 == 0o640
    assert place.names() == {"data.db", "dump.jsonl"} | {n for n in place.names() if n.startswith("data.db-")}
    nowhere = place.do("dump", DB, "-o", "none/dump.jsonl")
    assert nowhere.code == 1
    assert "No such file or directory" in nowhere.err


def test_a_dump_that_does_not_fit_leaves_nothing_under_its_name(place: Place) -> None:
    place.do("put", "a", "-", DB, stdin=b"x" * 100_000)

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    command = [*COMMAND, "dump", DB, "-o", "dump.jsonl"]
    answer = subprocess.run(
        command,
        cwd=place.folder,
        env=unmeasured(place.env),
        capture_output=True,
        preexec_fn=small,
        check=False,
    )
    assert answer.returncode == 1
    assert answer.stderr.splitlines()[-1] == b"datasync-host: dump.jsonl: File too large"
    assert b"Traceback" not in answer.stderr
    assert [name for name in place.names() if "dump" in name] == []


def test_a_closed_pipe_is_quiet_and_a_full_disk_is_told(place: Place) -> None:
    """Ends without a message when nobody reads the output, and reports an output that does not fit."""
    place.do("put", "a", "1", DB)
    with Path("/dev/full").open("wb") as full:
        command = [*COMMAND, "dump", DB]
        answer = subprocess.run(
            command, cwd=place.folder, env=place.env, stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (answer.returncode, answer.stderr) == (1, b"datasync-host: the output: No space left on device\n")
    reading, writing = os.pipe()
    os.close(reading)
    answer = subprocess.run(
        command, cwd=place.folder, env=place.env, stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert (answer.returncode, answer.stderr) == (1, b"")


def test_one_mapping_writes_text_as_it_is_and_the_rest_as_compact_json(place: Place) -> None:
    place.do("put", "gone", "1", DB)
    file = '{\n  "a": "text",\n  "b": {"n": 1.10, "big": 123456789012345678901},\n  "c": [ 1, true ],\n  "gone": null}'
    loaded = place.do("load", "-", DB, stdin=file.encode())
    assert loaded.out == "3 keys written, 1 key deleted\n"
    got = [json.loads(line) for line in place.do("dump", DB).lines]
    assert {one["key"]: one["text"] for one in got} == {
        "a": "text",
        "b": '{"n":1.10,"big":123456789012345678901}',
        "c": "[1,true]",
    }


def test_an_atomic_load_is_one_revision_and_a_plain_one_is_several(place: Place) -> None:
    """Each revision of a plain load holds some hundreds of keys."""
    lines = "".join(f'{{"key": "k{number}", "text": ""}}\n' for number in range(1200)).encode()
    assert place.do("load", "-", "--atomic", DB, "--json", stdin=lines).json() == {
        "written": 1200,
        "deleted": 0,
        "revision": 1,
    }
    assert place.do("load", "-", DB, "--json", stdin=lines).json()["revision"] == 4


def test_a_load_that_breaks_off_says_what_was_written(place: Place) -> None:
    lines = b"".join(
        b'{"key": "k%04d", "text": "%s"}\n' % (n, b"x" * (0 if n < 500 else 2000)) for n in range(1000)
    )
    place.do("put", "first", "", DB)

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))

    command = [*COMMAND, "load", "-", DB]
    answer = subprocess.run(
        command,
        cwd=place.folder,
        env=unmeasured(place.env),
        input=lines,
        capture_output=True,
        preexec_fn=small,
        check=False,
    )
    assert answer.returncode == 1, answer
    assert b"500 of 1000 keys were written, the last is k0499" in answer.stderr
    assert place.do("list", DB).lines == ["first", *(f"k{number:04}" for number in range(500))]


def test_an_interrupt_after_the_last_key_says_that_all_is_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Interrupts the load after its last commit."""

    class Stopped:
        def __init__(self, **_: object) -> None: ...
        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None: ...
        def update(self, _: int) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr("click.progressbar", Stopped)
    publisher = StorePublisher(Store("main", make_transport(Url.parse("memory:"), {})), RealRuntime())
    with pytest.raises(KeyboardInterrupt):
        write(publisher, [Put("a", b"1"), Put("b", b"1")], 2)
    assert capsys.readouterr().err == "datasync-host: all 2 keys were written\n"


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (
            '{"key": "a", "text": "1"}\n{"key": "b", "txt": "1"}',
            "file:2: Object contains unknown field `txt`",
        ),
        ('{"key": "a", "text": "1"}\n\n{"key": "b"}', "file:3: a line has either text or base64"),
        ('{"key": "a", "text": "1", "base64": ""}', "file:1: a line has either text or base64"),
        (
            '{"key": "a", "text": "1"}\n{"key": "/b", "text": "1"}',
            "file:2: key '/b' starts or ends with a slash",
        ),
        ('{"key": "a", "text": 1}', "file:1: Expected `str`, got `int` - at `$.text`"),
        ('{"key": "a", "base64": "?"}', "file:1: Invalid base64 encoded string"),
        ('{"key": "a", "text": "1"}\n{"key": "b', "file:2: Input data was truncated"),
        ('{\n"a": 1,\n"b": tru\n}', "file:3: JSON is malformed"),
        ('{"a": 1}\n{"b": 2}', "file:2: JSON is malformed: trailing characters"),
        ("[1]", "file:1: Expected `object`, got `array`"),
        ('{"": 1}', "file: a key is empty"),
        ("this is no JSON", "file:1: JSON is malformed"),
        ('{"a": "\\ud800"}', "file:1: "),
        ('{"a": ' + "[" * 100_000, "file:1: "),
    ],
)
def test_a_wrong_file_is_refused_with_its_line_and_what_would_be_right(content: str, wrong: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(content.encode(), "file")
    assert str(caught.value).startswith(wrong)
    assert "one JSON mapping of key to value" in str(caught.value)


def test_a_file_that_is_no_utf8_is_refused() -> None:
    for content in (b'{"a": "\xff"}', b'{"key": "a", "text": "\xff"}', b"\xff\xfe{\x00"):
        with pytest.raises(UsageError, match="^file:"):
            parse(content, "file")


def test_of_a_key_that_comes_in_two_lines_the_later_counts() -> None:
    content = (
        b'\xef\xbb\xbf{"key": "a", "text": "1"}\n{"key": "b", "text": "2"}\n{"key": "a", "base64": "Mw=="}\n'
    )
    assert parse(content, "file") == [Put("b", b"2"), Put("a", b"3")]


def test_a_name_that_stands_twice_in_one_object_is_refused() -> None:
    for content, where in (
        (b'{"a": 1, "b": 2, "a": null}', "1: the name 'a'"),
        (b'{"a": {"x": "{",\n "y": [{"x": 1}],\n "x": 2}}', "3: the name 'x'"),
        (b'{"key": "a", "text": "1"}\n{"key": "b", "text": "", "t\\u0065xt": ""}', "2: the name 'text'"),
    ):
        with pytest.raises(UsageError, match=f"^file:{where} is there twice"):
            parse(content, "file")
    assert parse(b'{"a": "\\"a\\": {", "b": {"a": [{"a": 1}, {"a": 1.10}]}}', "file") == [
        Put("a", b'"a": {'),
        Put("b", b'{"a":[{"a":1},{"a":1.10}]}'),
    ]
    assert parse(b'{"a": null}', "file") == [Delete("a")]


def test_a_mapping_with_a_key_called_key_is_a_mapping() -> None:
    assert parse(b'{"key": "a", "value": "b"}', "file") == [Put("key", b"a"), Put("value", b"b")]


def test_nothing_is_written_when_a_line_is_wrong(place: Place) -> None:
    answer = place.do("load", "-", DB, stdin=b'{"key": "a", "text": "1"}\n{"key": "b"}\n')
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("datasync-host: stdin:2: ")
    assert place.names() == set()
