"""Writing documents: whole or not at all, where they may be, and what is refused."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from datasync_core.transport import (
    ConnectionLost,
    Delete,
    Put,
    Unsupported,
    Url,
    Writer,
)
from datasync_transports.file import FileTransport


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "conf.d"
    made.mkdir()
    return made


@pytest.fixture
def writer(root: Path) -> Writer:
    return FileTransport(Url.parse(f"file:{root}"), write=True).writer()


def files(root: Path) -> dict[str, str]:
    return {str(file.relative_to(root)): file.read_text() for file in root.rglob("*") if file.is_file()}


def test_a_put_is_a_json_document_and_a_delete_removes_it(root: Path, writer: Writer) -> None:
    assert writer.commit([Put("a b/ü%", b'{"x": 1}')]) == 0
    writer.commit([Put("a", b"1\n")])
    assert files(root) == {"a b/ü%.json": '{"x": 1}\n', "a.json": "1\n"}
    writer.commit([Put("a", b"2")])
    writer.commit([Delete("a b/ü%")])
    writer.commit([Delete("never/there")])
    assert writer.commit([]) == 0
    assert files(root) == {"a.json": "2\n"}
    assert [found.name for found in sorted(root.iterdir())] == ["a b", "a.json"]


def test_a_document_keeps_its_mode_and_a_new_one_has_the_usual(root: Path, writer: Writer) -> None:
    before = os.umask(0o027)
    try:
        writer.commit([Put("a", b"1")])
    finally:
        os.umask(before)
    assert (root / "a.json").stat().st_mode & 0o7777 == 0o640
    (root / "a.json").chmod(0o604)
    writer.commit([Put("a", b"2")])
    assert (root / "a.json").stat().st_mode & 0o7777 == 0o604


def test_a_reader_never_sees_half_of_a_document(root: Path, writer: Writer) -> None:
    values = [b'"' + letter * 200_000 + b'"' for letter in (b"a", b"b")]
    writer.commit([Put("a", values[0])])
    stop = threading.Event()
    seen: set[bytes] = set()

    def read() -> None:
        while not stop.is_set():
            seen.add((root / "a.json").read_bytes())

    thread = threading.Thread(target=read)
    thread.start()
    for number in range(20):
        writer.commit([Put("a", values[number % 2])])
    stop.set()
    thread.join()
    assert seen <= {value + b"\n" for value in values}


@pytest.mark.parametrize("name", ["a.yaml", "a.yml", "a.toml"])
def test_another_form_is_not_rewritten_but_may_be_deleted(root: Path, writer: Writer, name: str) -> None:
    (root / name).write_text("x = 1")
    with pytest.raises(
        Unsupported, match=rf"^a is kept in {root}/{name}, which is in another form; edit or remove"
    ):
        writer.commit([Put("a", b"1")])
    assert files(root) == {name: "x = 1"}
    (root / "a.json").write_text("1")
    with pytest.raises(Unsupported, match=name):
        writer.commit([Put("a", b"1")])
    writer.commit([Delete("a")])
    assert files(root) == {}


def test_a_link_is_not_replaced(tmp_path: Path, root: Path, writer: Writer) -> None:
    (tmp_path / "elsewhere").write_text("1")
    (root / "a.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Unsupported, match=r"a\.json, which is a link; edit or remove that file"):
        writer.commit([Put("a", b"2")])
    assert (tmp_path / "elsewhere").read_text() == "1"


@pytest.mark.parametrize(
    "key", ["", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", ".a", "a/.b", "lost+found/a", "a\0b"]
)
def test_a_key_that_no_document_can_have_is_refused(root: Path, writer: Writer, key: str) -> None:
    for op in (Put(key, b"1"), Delete(key)):
        with pytest.raises(Unsupported, match=r"has a part that is no name of a file that .*conf\.d shows"):
            writer.commit([op])
    assert files(root.parent) == {}


def test_a_key_may_have_250_bytes_and_no_more(root: Path, writer: Writer) -> None:
    limit = FileTransport.capabilities.key_bytes
    assert limit == 250
    writer.commit([Put("ü" * 125, b"1")])
    with pytest.raises(Unsupported, match="is longer than 250 bytes"):
        writer.commit([Put("ü" * 125 + "a", b"1")])
    assert len(files(root)) == 1


@pytest.mark.parametrize("value", [b"", b"{", b"\xff", b"NaN", b"a: 1", b"[1] 2"])
def test_a_value_that_is_no_document_is_refused(root: Path, writer: Writer, value: bytes) -> None:
    (root / "a.json").write_text("1")
    with pytest.raises(Unsupported, match=r"^the value of a cannot be kept as a\.json"):
        writer.commit([Put("a", value)])
    assert files(root) == {"a.json": "1"}


def test_what_is_not_declared_is_refused(root: Path, writer: Writer) -> None:
    for ops, expect in (
        ([Put("a", b"1"), Put("b", b"1")], {}),
        ([Put("a", b"1")], {"a": 0}),
        ([Put("a", b"1", ttl=1.0)], {}),
        ([Put("a", b"1", alive=True)], {}),
    ):
        with pytest.raises(Unsupported):
            writer.commit(ops, expect=expect)
    assert files(root) == {}


def test_a_key_below_a_file_is_refused(root: Path, writer: Writer) -> None:
    (root / "README").write_text("")
    with pytest.raises(Unsupported, match="README/a cannot be a file in"):
        writer.commit([Put("README/a", b"1")])
    (root / "b.json").mkdir()
    with pytest.raises(Unsupported, match="b cannot be a file in"):
        writer.commit([Put("b", b"1")])
    assert files(root) == {"README": ""}


def test_a_directory_that_is_not_there_is_not_made(root: Path, writer: Writer) -> None:
    root.rmdir()
    for op in (Put("a", b"1"), Put("a/b", b"1"), Delete("a")):
        with pytest.raises(
            ConnectionLost, match=f"there is no {root}; make the directory, or name another one"
        ):
            writer.commit([op])
    assert not root.exists()


CHILD = """
import os, sys
from datasync_core.transport import Put, StoreError, Url
from datasync_transports.file import FileTransport

writer = FileTransport(Url.parse("file:" + sys.argv[1]), write=True).writer()
if sys.argv[2] == "nobody":
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
try:
    writer.commit([Put("a", b'"' + bytes(100_000).replace(bytes(1), b"x") + b'"')])
except StoreError as error:
    print(type(error).__name__, error, sep=": ")
"""


def in_child(root: Path, who: str, limit: int | None = None) -> str:
    def prepare() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    command = [sys.executable, "-c", CHILD, str(root), who]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=240, check=True, preexec_fn=prepare
    ).stdout.strip()


def test_a_write_that_fails_leaves_the_old_document_and_nothing_else(root: Path) -> None:
    (root / "a.json").write_text("1")
    assert in_child(root, "me", 10_000) == f"ConnectionLost: a cannot be written in {root}: File too large"
    assert files(root) == {"a.json": "1"}


def test_a_directory_that_may_not_be_written_is_a_wrong_setting(root: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("becoming another user takes root")
    for folder in (root, *list(root.parents)[:3]):
        folder.chmod(0o755)
    said = in_child(root, "nobody")
    assert (
        said == f"Misconfigured: a cannot be written: Permission denied; make {root} writable for this user"
    )
    assert files(root) == {}
