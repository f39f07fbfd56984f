"""What documents and directories may cost: bounds on bytes, on entries, on the time of a look."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from datasync_core.transport import Misconfigured, Put, Unsupported, Url
from datasync_transports.file import FileTransport
from datasync_transports.file.broken import Broken
from datasync_transports.file.documents import read, to_json
from datasync_transports.file.tree import File


def repeated(text: str, *counts: int) -> str:
    """A YAML document in which aliases repeat a text, and what repeats it."""
    lines = [f"v: &a0 '{text}'"]
    for level, count in enumerate(counts):
        lines.append(f"n{level}: &a{level + 1} [{', '.join([f'*a{level}'] * count)}]")
    return "\n".join(lines)


BOMBS = {
    "texts": repeated("x" * 1000, 100, 200),
    "lists": repeated("x" * 10_000, 10, 10, 10, 10),
    "keys": f"k: &k '{'x' * 50_000}'\nv: [" + ", ".join(["{*k : 1}"] * 500) + "]",
    "merged": f"m: &m {{t: '{'x' * 50_000}'}}\nv: [" + ", ".join(["{<<: *m}"] * 500) + "]",
    "escapes": repeated('é"' * 500, 2000),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_yaml_stands_for_is_bounded_in_bytes(name: str) -> None:
    with pytest.raises(Broken, match=r"line \d+, column \d+: stands for more than 2000000 bytes"):
        to_json("a.yaml", BOMBS[name].encode(), 2_000_000)


def test_aliases_within_the_bound_are_written_out() -> None:
    value = json.loads(to_json("a.yaml", repeated("x" * 100, 10, 10).encode(), 13_000))
    assert value["n1"] == [["x" * 100] * 10] * 10


def test_a_document_may_have_as_many_bytes_as_the_option_says(tmp_path: Path) -> None:
    def errors(limit: int) -> dict[str, str | None]:
        transport = FileTransport(Url.parse(f"file:{tmp_path}"), watch=False, max_document=limit)
        subscription = transport.subscribe([""])
        try:
            return {entry.key: entry.error for chunk in subscription.snapshot() for entry in chunk}
        finally:
            subscription.close()

    for name in ("a.json", "b.yaml"):
        (tmp_path / name).write_text('"' + "x" * 98 + '"')
    (tmp_path / "c.toml").write_text("a = 1")
    assert errors(100) == {"a": None, "b": None, "c": None}
    why = "has more than 99 bytes; split it, or set the option max_document"
    assert errors(99) == {"a": f"a.json: {why}", "b": f"b.yaml: {why}", "c": None}
    writer = FileTransport(Url.parse(f"file:{tmp_path}"), write=True, max_document=99).writer()
    with pytest.raises(Unsupported, match="has more than 99 bytes"):
        writer.commit([Put("d", b'"' + b"x" * 98 + b'"')])
    with pytest.raises(Misconfigured, match="max_document is a number of bytes above 0, got 0"):
        FileTransport(Url.parse(f"file:{tmp_path}"), max_document=0)


def test_of_a_huge_file_no_more_is_read_than_a_document_may_have(tmp_path: Path) -> None:
    huge = tmp_path / "a.json"
    with huge.open("wb") as file:
        file.truncate(2**40)  # a hole, which takes no disk
    document = read([File("a.json", str(huge), (1,))], 1000)
    assert document is not None
    assert document.error == "a.json: has more than 1000 bytes; split it, or set the option max_document"


@pytest.mark.slow
@pytest.mark.parametrize("text", ['a."""\\n\\"""', "'", '"' + '\\\\"' * 3, '\\\\"""x'])
def test_strings_without_an_end_are_looked_through_once(text: str) -> None:
    with pytest.raises(Broken, match="expected TOML"):
        to_json("a.toml", ("b" + ".b" * 99 + ' = """' + text * 100_000).encode())


SMALL = """
import resource
from pathlib import Path
from datasync_transports.file.broken import Broken
from datasync_transports.file.documents import to_json
to_json("a.yaml", b"a: 1")
to_json("a.toml", b"a = 1")
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 60_000_000, used + 60_000_000))
for name, content in (
    ("a.toml", ".".join(["a"] * 900) + " = 1"),
    ("a.toml", ".".join(["a"] * 30_000) + " = 1"),
    ("a.toml", "[" + ".".join(["a"] * 30_000) + "]"),
    ("a.toml", "".join(f"k{n}{'.a' * 900} = 1\\n" for n in range(20))),
    ("a.yaml", "v: &v '" + "x" * 100_000 + "'\\nw: [" + "*v, " * 9_000 + "]"),
):
    try:
        print(len(to_json(name, content.encode())))
    except Broken as broken:
        print(broken)
"""


@pytest.mark.slow
def test_documents_that_grow_when_they_are_read_take_little_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SMALL], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.stdout.splitlines() == [
        str(900 * len('{"a":}') + 1),
        ", line 1, column 1: a key has more than 1000 parts",
        ", line 1, column 2: a key has more than 1000 parts",
        ", line 2, column 1: its keys have too many parts for its size",
        ", line 2, column 4: stands for more than 16777216 bytes; use fewer aliases, or set the option max_document",
    ], done.stderr


def test_a_decimal_is_the_same_from_every_form() -> None:
    digits = "1.10", "123456789012345678901234567890", "0.30000000000000000000000000001", "5E-7"
    for name, form in (("a.json", '{{"v": {}}}'), ("a.yaml", "v: {}"), ("a.toml", "v = {}")):
        for text in digits:
            value = msgspec.json.decode(to_json(name, form.format(text).encode()), type=dict[str, Decimal])
            assert str(value["v"]) == str(Decimal(text))
