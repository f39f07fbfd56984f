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
from datasync_transports.file.broken import Broken
from datasync_transports.file.documents import read, to_json
from datasync_transports.file.tree import File

ALIASES = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 10)}]\n"
    for before, name in zip("abcdef", "bcdefg", strict=True)
)


@pytest.mark.parametrize(
    ("name", "content", "value"),
    [
        ("a.json", b'{\n  "b": [1, 2.50, null],\r\n  "a": true\n}\n', b'{"b":[1,2.50,null],"a":true}'),
        ("a.json", b"[-0, 1E400, 0.10, 3.14159265358979323846264]", b"[-0,1E400,0.10,3.14159265358979323846264]"),
        ("a.json", b"1" * 5000, b"1" * 5000),
        ("a.json", b'[{"a": 1}, {"a": "a", "b": {"a": 1}}]', b'[{"a":1},{"a":"a","b":{"a":1}}]'),
        ("a.json", '\ufeff"ß🎈"'.encode(), '"ß🎈"'.encode()),
        ("a.json", b"123456789012345678901234567890", b"123456789012345678901234567890"),
        ("a.json", b" null ", b"null"),
        ("a.yaml", b"b: [1, x]\na:\n  - ~\n", b'{"b":[1,"x"],"a":[null]}'),
        ("a.yml", b"--- text\n", b'"text"'),
        ("a.yaml", b"d: 2026-11-23\nt: 2026-11-23T12:00:00Z\n", b'{"d":"2026-11-23","t":"2026-11-23T12:00:00Z"}'),
        ("a.yaml", b"[1.10, +1.5, .5, 2., 1e3, 0x1F, -7, 007.25]", b"[1.10,1.5,0.5,2.0,1e3,31,-7,7.25]"),
        ("a.yaml", b"[12345678901234567890123, 0.10000000000000001]", b"[12345678901234567890123,0.10000000000000001]"),
        ("a.yaml", b"[yes, off, Y, 08:15:30, 190:20:30]", b'["yes","off","Y","08:15:30","190:20:30"]'),
        ("a.yaml", b"[1_0.5, 0b11, 2026-13-01, =]", b'["1_0.5","0b11","2026-13-01","="]'),
        ("a.yaml", b"[true, FALSE, ~, null, '', !!str 1, !!float 1]", b'[true,false,null,null,"","1",1]'),
        ("a.yaml", b"yes: 1\n8:00: 2", b'{"yes":1,"8:00":2}'),
        ("a.yaml", b"x: &x {v: 0}\ny: *x\nz: {<<: *x, n: 1}", b'{"x":{"v":0},"y":{"v":0},"z":{"v":0,"n":1}}'),
        ("a.yaml", b"'1': a\n\"on\": b", b'{"1":"a","on":"b"}'),
        ("a.toml", b"# none\n", b"{}"),
        ("a.toml", b"d = 2026-11-23\nt = 07:32:00\n[a]\nb = [1]", b'{"d":"2026-11-23","t":"07:32:00","a":{"b":[1]}}'),
        ("a.toml", b"a = [1.10, +2.50, 1_0.5, 1e06, 0xff, 1_000]", b'{"a":[1.10,2.50,10.5,1e06,255,1000]}'),
        ("a.toml", b"a = 123456789012345678901", b'{"a":123456789012345678901}'),
        ("a.toml", b"a.'b.c'.d = QQQ\n\"'#.QQQ\n".replace(b"Q", b"'"), b'{"a":{"b.c":{"d":"\\"\'#."}}}'),
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
        ("a.json", b'{"a": [{"b": 1, "c": {"b": 2},\n "b": 3}]}', ", line 2, column 2: the name 'b' is there twice"),
        ("a.json", b'{"\\u0061b": "x{", "ab": 2}', ", line 1, column 19: the name 'ab' is there twice"),
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
        ("a.yaml", b"a: !!python/name:os.system", ", line 1, column 4: the tag 'tag:yaml.org,2002:python/name"),
        ("a.yaml", b"ab: \x01", ", line 1, column 5: expected YAML: control characters are not allowed (0x01)"),
        ("a.yaml", b"# nothing", ", line 1, column 1: holds no value"),
        ("a.yaml", b"a:\n  1: x", ", line 2, column 3: expected text as a key, got '1' is int; quote it"),
        ("a.yaml", b"true: x", ", line 1, column 1: expected text as a key, got 'true' is bool; quote it"),
        ("a.yaml", b"a: [1, 0755]", ", line 1, column 8: a number with a zero in front, which YAML 1.1"),
        ("a.yaml", b"a: 0o17", ", line 1, column 4: a number with a zero in front"),
        ("a.yaml", b"a: -089", ", line 1, column 4: a number with a zero in front"),
        ("a.yaml", b"a: !!int 1x", ", line 1, column 4: what stands here is no int; remove the tag, or correct it"),
        ("a.yaml", b"a: !!bool yes", ", line 1, column 4: what stands here is no bool"),
        ("a.yaml", b"? [a]\n: x", ", line 1, column 3: expected text as a key, got sequence"),
        ("a.yaml", b"a: 1\nb: 2\na: 3", ", line 3, column 1: the key 'a' is there twice"),
        ("a.yaml", b"a: &a [*a]", ", line 1, column 4: an alias refers to what it is a part of"),
        ("a.yaml", ALIASES.encode(), ", line 6, column 4: stands for more than 1000000 values"),
        ("a.yaml", b"- " * 100_000, ", line 1, column 401: is nested more than 200 deep"),
        ("a.yaml", b"a: .nan", ": nan is no number in JSON at $.a"),
        ("a.yaml", b"a: !!binary aGk=", ", line 1, column 4: the tag 'tag:yaml.org,2002:binary' has no form in JSON"),
        ("a.yaml", b"a: !!set {x}", ", line 1, column 4: the tag 'tag:yaml.org,2002:set' has no form in JSON"),
        ("a.toml", b"a = 1\n" + b"k . " * 1000 + b"k = 1", ", line 2, column 1: a key has more than 1000 parts"),
        ("a.toml", b"a = {" + b"'k.k'." * 1000 + b"k = 1}", ", line 1, column 6: a key has more than 1000 parts"),
        ("a.toml", b"[a" + b".a" * 999 + b"]\n" + b"k=1\n" * 2000, ": its keys have too many"),
        ("a.toml", b"".join(b"k%d%s=1\n" % (n, b".a" * 600) for n in range(9)), ", line 3, column 1: its keys have"),
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
        ("a.toml", f"a = 0x{'1' * 5000}", "sub/a.toml: ValueError: Exceeds the limit"),
        (
            "a.yaml",
            f"a: 0x{'1' * 5000}",
            "sub/a.yaml, line 1, column 4: a hexadecimal number with more than 1000",
        ),
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
