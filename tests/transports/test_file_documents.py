"""What a document is worth: JSON, YAML and TOML alike, and what is wrong with one, with file, line and column."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from datasync_core.transport import Url
from datasync_transports.file import FileTransport
from datasync_transports.file.documents import Broken, read, to_json
from datasync_transports.file.tree import File

ALIASES = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 10)}]\n"
    for before, name in zip("abcdef", "bcdefg", strict=True)
)


@pytest.mark.parametrize(
    ("name", "content", "value"),
    [
        ("a.json", b'{\n  "b": [1, 2.50, null],\r\n  "a": true\n}\n', b'{"b":[1,2.5,null],"a":true}'),
        ("a.json", '\ufeff"ß🎈"'.encode(), '"ß🎈"'.encode()),
        ("a.json", b"123456789012345678901234567890", b"123456789012345678901234567890"),
        ("a.json", b" null ", b"null"),
        ("a.yaml", b"b: [1, x]\na:\n  - ~\n", b'{"b":[1,"x"],"a":[null]}'),
        ("a.yml", b"--- text\n", b'"text"'),
        ("a.yaml", b"d: 2026-11-23\nt: 2026-11-23T12:00:00Z\n", b'{"d":"2026-11-23","t":"2026-11-23T12:00:00+00:00"}'),
        ("a.yaml", b"x: &x {v: 0}\ny: *x\nz: {<<: *x, n: 1}", b'{"x":{"v":0},"y":{"v":0},"z":{"v":0,"n":1}}'),
        ("a.yaml", b"'1': a\n\"on\": b", b'{"1":"a","on":"b"}'),
        ("a.toml", b"# none\n", b"{}"),
        ("a.toml", b"d = 2026-11-23\nt = 07:32:00\n[a]\nb = [1]", b'{"d":"2026-11-23","t":"07:32:00","a":{"b":[1]}}'),
        ("a.toml", b"d = 2026-11-23T07:32:00Z", b'{"d":"2026-11-23T07:32:00+00:00"}'),
    ],
)  # fmt: skip
def test_a_document_is_handed_on_as_compact_json(name: str, content: bytes, value: bytes) -> None:
    assert to_json(name, content) == value


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("a.json", b'{"a": 1,\n "b": }', ", line 2, column 7: expected JSON: Expecting value"),
        ("a.json", b'{"a": 1}\n}', ", line 2, column 1: expected JSON: Extra data"),
        ("a.json", b'"\n"', ", line 1, column 2: expected JSON: Invalid control character at"),
        ("a.json", b"", ", line 1, column 1: is empty; write a value"),
        ("a.toml", b"\n \n", ", line 1, column 1: is empty; write a value"),
        ("a.json", b'["\n\xff"]', ", line 2, column 1: expected UTF-8 text, got byte 0xff"),
        ("a.json", b'{"a": [0, NaN]}', ": nan is no number in JSON at $.a[1]"),
        ("a.json", b"-Infinity", ": -inf is no number in JSON at $"),
        ("a.json", b"1e999", ": inf is no number in JSON at $"),
        ("a.json", b'["\\ud800"]', ": half of a surrogate pair at $[0]"),
        ("a.json", b"[" * 100_000, ": is nested too deeply"),
        ("a.toml", b"a = 1\nb = \n", ", line 2, column 5: expected TOML: Invalid value"),
        ("a.toml", b"a = [1,\n", ", line 2, column 1: expected TOML: Invalid value"),
        ("a.toml", b"a = 1\na = 2\nb = 1", ", line 2, column 6: expected TOML: Cannot overwrite a value"),
        ("a.toml", b"[a]\nb = inf", ": inf is no number in JSON at $.a.b"),
        ("a.yaml", b"a: [1\n", ", line 2, column 1: expected YAML: while parsing a flow sequence did not find"),
        ("a.yaml", b"a: b: c\n", ", line 1, column 5: expected YAML: mapping values are not allowed"),
        ("a.yaml", b"a: *x", ", line 1, column 4: expected YAML: found undefined alias"),
        ("a.yaml", b"a: 1\n---\nb: 1", ", line 2, column 1: expected YAML: expected a single document"),
        ("a.yaml", b"a: !!python/name:os.system", ", line 1, column 4: expected YAML: could not determine"),
        ("a.yaml", b"ab: \x01", ", line 1, column 5: expected YAML: control characters are not allowed (0x01)"),
        ("a.yaml", b"# nothing", ", line 1, column 1: holds no value"),
        ("a.yaml", b"a:\n  1: x", ", line 2, column 3: expected text as a key, got '1' is int; quote it"),
        ("a.yaml", b"on: x", ", line 1, column 1: expected text as a key, got 'on' is bool; quote it"),
        ("a.yaml", b"? [a]\n: x", ", line 1, column 3: expected text as a key, got sequence"),
        ("a.yaml", b"a: 1\nb: 2\na: 3", ", line 3, column 1: the key 'a' is there twice"),
        ("a.yaml", b"a: &a [*a]", ", line 1, column 4: an alias refers to what it is a part of"),
        ("a.yaml", ALIASES.encode(), ", line 6, column 4: stands for more than 1000000 values"),
        ("a.yaml", b"- " * 100_000, ", line 1, column 401: is nested more than 200 deep"),
        ("a.yaml", b"a: .nan", ": nan is no number in JSON at $.a"),
        ("a.yaml", b"a: !!binary aGk=", ": bytes has no form in JSON at $.a"),
        ("a.yaml", b"a: !!set {x}", ": set has no form in JSON at $.a"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(name: str, content: bytes, error: str) -> None:
    with pytest.raises(Broken, match=re.escape(error)):
        to_json(name, content)


def found(folder: Path, *, watch: bool = False) -> dict[str, tuple[bytes, str | None]]:
    """What a snapshot holds: key → value and error."""
    subscription = FileTransport(Url.parse(f"file:{folder}"), watch=watch).subscribe([""])
    try:
        return {entry.key: (entry.value, entry.error) for chunk in subscription.snapshot() for entry in chunk}
    finally:
        subscription.close()


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("a.json", "{", "sub/a.json, line 1, column 2: expected JSON: Expecting property name"),
        ("a.json", "1" * 5000, "sub/a.json: ValueError: Exceeds the limit"),
        ("a.yaml", "a: 2026-13-01", "sub/a.yaml: ValueError: month must be in 1..12"),
    ],
)
def test_G8_a_broken_document_is_an_error_of_its_own_key(
    tmp_path: Path, name: str, content: str, error: str
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / name).write_text(content)
    (tmp_path / "b.json").write_text("1")
    held = found(tmp_path)
    assert held["b"] == (b"1", None)
    value, problem = held["sub/a"]
    assert value == b""
    assert problem is not None
    assert problem.startswith(error)


def test_a_document_of_a_mebibyte_is_handed_on(tmp_path: Path) -> None:
    value = {f"name-{i}": "x" * 100 for i in range(10_000)}
    (tmp_path / "a.json").write_text(json.dumps(value, indent=2))
    assert json.loads(found(tmp_path)["a"][0]) == value


def test_a_pipe_that_took_the_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "a.json"
    os.mkfifo(pipe)
    document = read([File("a.json", str(pipe), (1,))])
    assert document is not None
    assert document.error == "a.json: is no regular file"


def test_a_file_that_cannot_be_opened_is_tried_again(tmp_path: Path) -> None:
    document = read([File("a.json", "/a" * 5000, (1,))])
    assert document is not None
    assert document.error == "a.json cannot be read: File name too long"
    assert document.fresh


WITHOUT = """
import sys
for blocked in sys.argv[2:]:
    sys.modules[blocked] = None
from datasync_core.transport import Url
from datasync_transports.file import FileTransport
from pathlib import Path

folder = Path(sys.argv[1])
subscription = FileTransport(Url.parse(f"file:{folder}"), interval=0.01).subscribe([""])
for chunk in subscription.snapshot():
    for entry in chunk:
        print(entry.key, entry.value.decode(), entry.error)
(folder / "late.json").write_text("2")
print(*[change.key for change in subscription.poll(20.0).changes])
subscription.close()
print("yaml" in sys.modules, "watchfiles" in sys.modules)
"""


def without(folder: Path, *blocked: str) -> list[str]:
    command = [sys.executable, "-c", WITHOUT, str(folder), *blocked]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=240
    ).stdout.splitlines()


def test_without_its_extras_it_polls_and_names_what_yaml_needs(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: 1")
    (tmp_path / "b.toml").write_text("a = 1")
    assert sorted(without(tmp_path, "yaml", "watchfiles")) == [
        "True True",  # as None: blocked
        "a  a.yaml: YAML needs PyYAML: install datasync-host[file]",
        'b {"a":1} None',
        "late",
    ]


@pytest.mark.slow
def test_yaml_is_imported_when_there_is_some(tmp_path: Path) -> None:
    assert without(tmp_path)[-1] == "False True"
    (tmp_path / "late.json").rename(tmp_path / "late.yaml")
    assert without(tmp_path)[-1] == "True True"
