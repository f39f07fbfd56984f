"""Links in a directory of documents: each is followed once, and one that cannot be followed tells of no delete."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest

from datasync_core.transport import ConnectionLost, Subscription, Url
from datasync_transports.file import FileTransport, directory, documents
from datasync_transports.file.directory import Directory, Scan
from datasync_transports.file.tree import File

WAIT = 60.0
"""Seconds for what must happen, on a machine that is busy."""
Told = dict[str, bytes | str]  # key → value, or why there is none


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "conf.d"
    made.mkdir()
    return made


@pytest.fixture
def transport(root: Path) -> FileTransport:
    return FileTransport(Url.parse(f"file:{root}"), watch=False, interval=0.01)


@pytest.fixture
def subscription(transport: FileTransport) -> Iterator[Subscription]:
    made = transport.subscribe([""])
    yield made
    made.close()


def read(subscription: Subscription) -> Told:
    return {entry.key: entry.error or entry.value for chunk in subscription.snapshot() for entry in chunk}


def change(subscription: Subscription) -> dict[str, bytes | str | None]:
    """The next batch: key → value, error, or None where it is gone."""
    batch = subscription.poll(WAIT)
    assert batch is not None
    assert not batch.cleared
    return {entry.key: None if entry.gone else entry.error or entry.value for entry in batch.changes}


def put(file: Path, value: object = 1) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(str(value))


def away(what: str, why: str) -> str:
    return f"{what} is a link that cannot be followed: {why}; point it to what is there, or remove it"


def test_directories_that_all_link_to_each_other_are_read(root: Path, subscription: Subscription) -> None:
    names = [f"d{number:02}" for number in range(20)]
    for name in names:
        put(root / name / "own.json")
    for name, other in permutations(names, 2):
        (root / name / other).symlink_to(f"../{other}")
    told = read(subscription)
    assert {f"{name}/own" for name in names} <= told.keys()
    assert len(told) <= len(names) ** 2  # its own place, and once behind each link


def test_a_second_name_of_a_directory_has_all_its_documents(root: Path, subscription: Subscription) -> None:
    for file in ("a/x", "a/sub/y", "a/sub/sub/z"):
        put(root / f"{file}.json")
    (root / "b").symlink_to("a/sub")
    (root / "a" / "b").symlink_to("../c")
    put(root / "c" / "v.json")
    assert read(subscription).keys() == {"a/x", "a/sub/y", "a/sub/sub/z", "b/y", "b/sub/z", "a/b/v", "c/v"}


def test_which_paths_count_does_not_depend_on_the_order_of_making(tmp_path: Path) -> None:
    links = {"a/l": "../c", "c/l": "../d", "d/l": "../a", "e": "d", "0": "c"}
    held = []
    for number, order in enumerate((sorted(links), sorted(links, reverse=True))):
        root = tmp_path / str(number)
        for name in "adc" if number else "cda":
            put(root / name / "x.json")
        for link in order:
            (root / link).symlink_to(links[link])
        made = FileTransport(Url.parse(f"file:{root}"), watch=False).subscribe([""])
        held.append(read(made).keys())
        made.close()
    assert held[0] == held[1]


def test_more_entries_than_a_look_can_bear_are_a_lost_store(
    root: Path, subscription: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "MOST", 500)
    for number in range(600):
        (root / f".{number}").touch()
    with pytest.raises(ConnectionLost, match="has more than 500 entries; divide it, or remove links in it"):
        read(subscription)


def test_a_look_that_takes_longer_than_liveness_is_a_lost_store(root: Path, transport: FileTransport) -> None:
    for number in range(600):
        (root / f"{number}.json").touch()
    transport.liveness = 1e-6
    subscription = transport.subscribe([""])
    with pytest.raises(ConnectionLost, match="was not listed within 1e-06 s; divide it, or set a longer"):
        read(subscription)
    subscription.close()


def test_a_call_ends_a_look_at_once_and_the_next_poll_goes_on_with_it(
    root: Path, subscription: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(root / "a.json")
    read(subscription)
    put(root / "a.json", 2)
    begun = []
    scan = Directory.scan

    def called(self: Directory) -> Scan:
        begun.append(True)
        if len(begun) == 1:
            subscription.wake()
            yield
            subscription.wake()
            yield
        return (yield from scan(self))

    monkeypatch.setattr(Directory, "scan", called)
    assert subscription.poll(WAIT) is None
    assert subscription.poll(WAIT) is None
    assert len(begun) == 1
    assert change(subscription) == {"a": b"2"}


def test_a_reader_that_is_called_may_stop_amid_a_snapshot(root: Path, subscription: Subscription) -> None:
    put(root / "a.json")
    chunks = subscription.snapshot()
    subscription.wake()
    assert next(chunks) == []
    assert [entry.key for entry in next(chunks)] == ["a"]
    chunks = subscription.snapshot()
    subscription.close()
    with pytest.raises(ConnectionLost, match="was closed"):
        next(chunks)


def test_what_is_behind_a_link_to_nowhere_is_not_deleted(root: Path, subscription: Subscription) -> None:
    releases = root.with_name("releases")
    put(releases / "1" / "deep" / "x.json")
    put(releases / "2" / "y.json")
    put(root / "own.json")
    (root / "now").symlink_to("../releases/1")
    (releases / "1" / "other").symlink_to("../2")
    values = {"own": b"1", "now/deep/x": b"1", "now/other/y": b"1"}
    assert read(subscription) == values
    (releases / "2").rename(releases / "3")
    assert change(subscription) == {"now/other/y": away("now/other", "No such file or directory")}
    releases.rename(root.with_name("gone"))
    why = away("now", "No such file or directory")
    assert change(subscription) == {"now/deep/x": why, "now/other/y": why}
    put(releases)  # a file where a folder was
    why = away("now", "Not a directory")
    assert change(subscription) == {"now/deep/x": why, "now/other/y": why}
    releases.unlink()
    root.with_name("gone").rename(releases)
    (releases / "3").rename(releases / "2")
    told: dict[str, bytes | str | None] = {}
    while told != {"now/deep/x": b"1", "now/other/y": b"1"}:
        told |= change(subscription)
    (root / "now").unlink()
    assert change(subscription) == {"now/deep/x": None, "now/other/y": None}


def test_a_link_that_leads_elsewhere_or_to_a_file_tells_what_is_gone(
    root: Path, subscription: Subscription
) -> None:
    put(root / "own.json")
    for name in ("one", "two"):
        put(root.with_name(name) / f"{name}.json")
    (root / "l").symlink_to("../one")
    read(subscription)
    for target, told in (
        ("../two", {"l/one": None, "l/two": b"1"}),
        ("../one/one.json", {"l/two": None}),
    ):
        (root / ".l").symlink_to(target)
        (root / ".l").rename(root / "l")
        assert change(subscription) == told


def test_a_link_that_breaks_while_nobody_is_connected_deletes_nothing(
    root: Path, transport: FileTransport, subscription: Subscription
) -> None:
    put(root.with_name("there") / "x.json")
    put(root / "own.json")
    (root / "l").symlink_to("../there")
    (root / "never").symlink_to("../nowhere")
    read(subscription)
    subscription.close()
    root.with_name("there").rename(root.with_name("away"))
    again = transport.subscribe([""])
    assert read(again) == {"own": b"1", "l/x": away("l", "No such file or directory")}
    other = transport.subscribe(["own"])
    assert read(other) == {"own": b"1"}
    for one in (again, other):
        one.close()


def test_a_document_whose_link_broke_while_it_was_read_is_not_gone(root: Path) -> None:
    (root / "l.json").symlink_to("nowhere")
    for path, kept in ((root / "l.json", True), (root / "sub" / "x.json", True), (root / "x.json", False)):
        document = documents.read([File(path.name, str(path), (1,))])
        assert (document is not None and document.error is not None) is kept
