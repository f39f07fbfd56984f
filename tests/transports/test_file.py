"""A directory of documents as people and programs change it: editors, git, Kubernetes, unmounting."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from datasync_core.model.keys import Subtree
from datasync_core.transport import Batch, ConnectionLost, Misconfigured, Subscription, Unsupported, Url
from datasync_transports.file import FileTransport
from datasync_transports.file.directory import Directory
from datasync_transports.file.mirror import Mirror
from datasync_transports.file.tree import File, Listing, Paths

SOON = 60.0
"""Seconds within which what must happen has happened, on a machine that is busy."""
Told = dict[str, bytes | str]  # key → value, or why there is none


class Follower:
    """One subscription, and what it told so far."""

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self.told: Told = {}
        self.batches: list[Batch] = []

    def read(self) -> Told:
        self.told = {
            entry.key: entry.error or entry.value for c in self.subscription.snapshot() for entry in c
        }
        return self.told

    def poll(self, timeout: float) -> Batch | None:
        batch = self.subscription.poll(timeout)
        if batch is not None:
            self.batches.append(batch)
            if batch.cleared:
                self.told.clear()
            for change in batch.changes:
                if change.gone:
                    del self.told[change.key]
                else:
                    self.told[change.key] = change.error or change.value
        return batch

    def until(self, condition: Callable[[Told], object]) -> Told:
        deadline = time.monotonic() + SOON
        while not condition(self.told):
            assert time.monotonic() < deadline, f"not told within {SOON} s: {str(self.told)[:1000]}"
            self.poll(0.2)
        return self.told

    def lost(self) -> str:
        """How it ends, with nothing told before."""
        told = len(self.batches)
        with pytest.raises(ConnectionLost) as lost:
            self.subscription.poll(SOON)
        assert len(self.batches) == told
        return str(lost.value)


Follow = Callable[..., Follower]


def looked(mirror: Mirror, *, hurry: bool = False) -> Batch | None:
    """What a whole look at a directory finds."""
    look = mirror.look(hurry=hurry)
    while True:
        try:
            next(look)
        except StopIteration as done:
            found: Batch | None = done.value
            return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "conf.d"
    made.mkdir()
    return made


@pytest.fixture(params=[True, False], ids=["events", "polled"])
def follow(request: pytest.FixtureRequest, root: Path) -> Iterator[Follow]:
    """Follow paths of the directory, with the system's events or without."""
    followers: list[Follower] = []

    def make(*paths: str, interval: float = 0.02) -> Follower:
        transport = FileTransport(Url.parse(f"file:{root}"), watch=request.param, interval=interval)
        followers.append(Follower(transport.subscribe(paths or ("",))))
        return followers[-1]

    yield make
    for follower in followers:
        follower.subscription.close()


def test_a_key_is_the_path_without_its_suffix(root: Path, follow: Follow) -> None:
    (root / "a b").mkdir()
    for name in ("a.json", "a.b.json", "a b/ü%41.json", "a b/~.json", "x.json.json"):
        (root / name).write_text("1")
    (root / "y.yaml").write_text("1")
    (root / "z.yml").write_text("1")
    (root / "t.toml").write_text("a=1")
    held = follow().read()
    assert set(held) == {"a", "a.b", "a b/ü%41", "a b/~", "x.json", "y", "z", "t"}


def test_what_is_hidden_or_no_document_is_passed_over(root: Path, follow: Follow) -> None:
    for folder in (".git", "..data", "lost+found"):
        (root / folder).mkdir()
        (root / folder / "a.json").write_text("1")
    for name in (
        "README",
        "a.json~",
        "#a.json#",
        ".a.json",
        ".a.json.swp",
        "a.json.tmp",
        "4913",
        ".json",
        "A.JSON",
    ):
        (root / name).write_text("{")
    (root / ".#a.json").symlink_to("user@host.1234")
    follower = follow()
    assert follower.read() == {}
    (root / "b.json").write_text("1")
    assert follower.until(lambda told: told) == {"b": b"1"}


def test_only_watched_keys_are_read(root: Path, follow: Follow) -> None:
    for name in ("a", "a2", "b", "agent"):
        (root / name).mkdir()
        (root / name / "1.json").write_text("1")
    for name in ("a.json", "b.json", "agent-1.json"):
        (root / name).write_text("1")
    assert set(follow("a/", "b").read()) == {"a/1", "b"}
    assert set(follow("a/1").read()) == {"a/1"}
    assert set(follow(Subtree("agent")).read()) == {"agent/1", "agent-1"}


def test_a_change_of_form_alone_is_no_change(root: Path, follow: Follow) -> None:
    (root / "a.json").write_text('{"b":1}')
    follower = follow()
    follower.read()
    (root / "a.json").write_text('{\n  "b": 1\n}\n')
    (root / "z.json").write_text("1")
    follower.until(lambda told: "z" in told)
    assert [change.key for batch in follower.batches for change in batch.changes] == ["z"]


def vim(file: Path, text: str) -> None:
    """As vim does with 'backup' and 'backupcopy=no': probe, move away, write anew, remove the copy."""
    probe = file.with_name("4913")
    probe.touch()
    probe.unlink()
    backup = file.with_name(file.name + "~")
    file.rename(backup)
    with file.open("w") as new:
        new.write(text)
        new.flush()
        os.fsync(new.fileno())
    backup.unlink()


def in_place(file: Path, text: str) -> None:
    file.write_text(text)


def renamed(file: Path, text: str) -> None:
    hidden = file.with_name(f".{file.name}.kate-swp")
    hidden.write_text(text)
    hidden.replace(file)


@pytest.mark.parametrize("save", [vim, in_place, renamed])
def test_a_save_is_an_update_and_no_delete_whatever_the_editor_does(
    root: Path, follow: Follow, save: Callable[[Path, str], None]
) -> None:
    def is_told(number: int, told: Told) -> bool:
        return told.get("a") == str(number).encode()

    (root / "a.json").write_text("0")
    (root / "b.json").write_text("0")
    follower = follow()
    follower.read()
    for number in range(1, 6):
        save(root / "a.json", str(number))
        follower.until(partial(is_told, number))
    assert {(change.key, change.gone) for batch in follower.batches for change in batch.changes} == {
        ("a", False)
    }


def test_two_writes_within_one_tick_of_the_clock_are_two(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = root / "a.json"
    ticks = [File("a.json", str(file), (1, time.time_ns() + ago)) for ago in (0, -(10**9))]
    for tick, rereads in zip(ticks, (True, False), strict=True):
        listing = Listing({"a": [tick]}, {}, set())
        monkeypatch.setattr(Directory, "scan", lambda self, listing=listing: (yield) or listing)
        mirror = Mirror(root, Paths([""]), lambda: True)
        file.write_text("1")
        assert looked(mirror) is not None
        file.write_text("2")
        assert (looked(mirror) is not None) is rereads


def test_G8_a_half_written_document_is_named_and_then_whole(root: Path, follow: Follow) -> None:
    follower = follow()
    follower.read()
    with (root / "a.json").open("w") as file:
        file.write('{\n "a": [1,')
        file.flush()
        told = follower.until(lambda told: told)
        assert told == {"a": "a.json, line 2, column 10: expected JSON: Expecting value"}
        file.write(" 2]}")
    assert follower.until(lambda told: told["a"] == b'{"a":[1,2]}')


def test_two_documents_of_one_key_are_an_error_that_names_both(root: Path, follow: Follow) -> None:
    (root / "sub").mkdir()
    json, yaml = root / "sub" / "a.json", root / "sub" / "a.yaml"
    json.write_text("1")
    follower = follow()
    follower.read()
    yaml.write_text("2")
    both = "sub/a.json and sub/a.yaml are documents of one key; remove all but one"
    assert follower.until(lambda told: told["sub/a"] != b"1") == {"sub/a": both}
    assert follow().read() == {"sub/a": both}
    json.unlink()
    assert follower.until(lambda told: told["sub/a"] != both) == {"sub/a": b"2"}


def test_a_kubernetes_volume_is_swapped_as_one(root: Path, follow: Follow) -> None:
    def publish(number: int) -> None:
        """As the kubelet does it: a new directory, a link beside the old one, moved over it."""
        version = root / f"..2026_11_{number:02}"
        (version / "nested").mkdir(parents=True)
        for name in ("app", "db", "nested/x"):
            (version / f"{name}.json").write_text(str(number))
        (root / "..data_tmp").symlink_to(version.name)
        (root / "..data_tmp").rename(root / "..data")
        for old in root.glob("..2026*"):
            if old != version:
                shutil.rmtree(old)

    def is_told(number: int, told: Told) -> bool:
        return set(told.values()) == {str(number).encode()}

    publish(1)
    for name in ("app.json", "db.json", "nested"):
        (root / name).symlink_to(f"..data/{name}")
    follower = follow()
    assert follower.read() == {"app": b"1", "db": b"1", "nested/x": b"1"}
    for number in (2, 3, 4):
        publish(number)
        follower.until(partial(is_told, number))
    assert [sorted(c.key for c in batch.changes) for batch in follower.batches] == [
        ["app", "db", "nested/x"]
    ] * 3


@pytest.mark.slow
def test_a_checkout_of_a_thousand_files_is_one_or_few_batches(
    root: Path, follow: Follow, program: Callable[[str, str], str]
) -> None:
    names = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "gc.auto=0", "-c", "maintenance.auto=0")

    def git(*arguments: str) -> None:
        command = [program("git", "git"), "-C", str(root), *names, *arguments]
        subprocess.run(command, check=True, capture_output=True, timeout=240)

    def commit(text: str) -> None:
        for number in range(1000):
            (root / f"d{number % 10}" / f"{number}.json").write_text(text)
        git("add", "-A")
        git("commit", "-qm", text)

    for number in range(10):
        (root / f"d{number}").mkdir()
    git("init", "-qb", "one")
    commit("1")
    git("checkout", "-qb", "two")
    commit("2")
    git("checkout", "-q", "one")
    follower = follow()
    assert len(follower.read()) == 1000
    assert follower.poll(0.0) is None  # it is calm now
    thread = threading.Thread(target=git, args=("checkout", "-q", "two"))
    thread.start()
    follower.until(lambda told: set(told.values()) == {b"2"})
    thread.join()
    assert len(follower.batches) <= 10
    assert follower.poll(0.1) is None


def test_emptied_at_once_is_cleared_and_not_many_deletes(root: Path, follow: Follow) -> None:
    for number in range(20):
        (root / f"{number}.json").write_text("1")
    follower = follow()
    follower.read()
    (root / "1.json").unlink()
    follower.until(lambda told: len(told) == 19)
    for file in root.iterdir():
        file.unlink()
    follower.until(lambda told: not told)
    assert [batch.cleared for batch in follower.batches] == [False, True]


def test_a_directory_that_goes_is_a_lost_connection(root: Path, follow: Follow) -> None:
    (root / "a.json").write_text("1")
    followers = [follow() for _ in range(2)]
    for follower in followers:
        follower.read()
    away = root.with_name("away")
    root.rename(away)
    assert followers[0].lost() == f"{root} is gone: No such file or directory"
    with pytest.raises(ConnectionLost, match=f"there is no {root}; make the directory, or name another one"):
        follow().read()
    root.mkdir()
    assert followers[1].lost() == f"{root} was replaced by another directory, or (un)mounted"
    assert follow().read() == {}
    root.rmdir()
    away.rename(root)
    assert follow().read() == {"a": b"1"}


def test_a_link_to_another_release_is_a_lost_connection(tmp_path: Path, root: Path, follow: Follow) -> None:
    root.rmdir()
    for number in (1, 2):
        (tmp_path / f"release-{number}").mkdir()
        (tmp_path / f"release-{number}" / "a.json").write_text(str(number))
    root.symlink_to("release-1")
    follower = follow()
    assert follower.read() == {"a": b"1"}
    (tmp_path / "next").symlink_to("release-2")
    (tmp_path / "next").rename(root)
    assert "was replaced" in follower.lost()
    assert follow().read() == {"a": b"2"}


def test_what_is_no_directory_is_a_wrong_setting(root: Path, follow: Follow) -> None:
    root.rmdir()
    root.write_text("{}")
    with pytest.raises(Misconfigured, match="is no directory; name the one that holds the documents"):
        follow().read()


def test_links_in_circles_are_not_followed_and_those_to_nothing_are_errors(
    root: Path, follow: Follow
) -> None:
    (root / "a").mkdir()
    (root / "a" / "x.json").write_text("1")
    (root / "a" / "up").symlink_to("..")
    (root / "a" / "self").symlink_to(".")
    (root / "b").symlink_to("a")
    (root / "loop.json").symlink_to("loop.json")
    (root / "gone.json").symlink_to("nowhere")
    (root / "note").symlink_to("nowhere")
    (root / "pipe.json").unlink(missing_ok=True)
    os.mkfifo(root / "pipe.json")
    assert follow().read() == {
        "a/x": b"1",
        "b/x": b"1",
        "loop": "loop.json cannot be read: Too many levels of symbolic links",
        "gone": "gone.json is a link to a file that is not there",
        "pipe": "pipe.json is no regular file",
    }


@pytest.mark.slow
def test_a_file_behind_a_link_to_elsewhere_is_followed(tmp_path: Path, root: Path, follow: Follow) -> None:
    (tmp_path / "elsewhere").write_text("1")
    (root / "a.json").symlink_to(tmp_path / "elsewhere")
    follower = follow()
    assert follower.read() == {"a": b"1"}
    thread = threading.Timer(0.2, (tmp_path / "elsewhere").write_text, ("2",))  # while it waits
    began = time.monotonic()
    thread.start()
    assert follower.poll(2 * SOON) is not None
    thread.join()
    assert follower.told == {"a": b"2"}
    assert time.monotonic() - began < SOON


def test_a_name_that_is_no_text_is_an_error(root: Path, follow: Follow) -> None:
    (root / os.fsdecode(b"\xff.json")).write_text("1")
    assert follow().read() == {"\0\\xff": r"\xff.json has a name that is no UTF-8 text; rename it"}


def test_a_name_that_is_no_text_leaves_the_text_spelled_alike_alone(root: Path, follow: Follow) -> None:
    (root / r"a\xfe.json").write_text("1")
    (root / os.fsdecode(b"a\xfe.json")).write_text("2")
    assert follow().read()[r"a\xfe"] == b"1"


def test_wake_and_close_end_a_wait_at_once(root: Path, follow: Follow) -> None:
    for name in ("wake", "close"):
        follower = follow(interval=2 * SOON)
        follower.read()
        subscription = follower.subscription
        thread = threading.Timer(0.2, getattr(subscription, name))  # while it waits
        began = time.monotonic()
        thread.start()
        if name == "wake":
            assert subscription.poll(2 * SOON) is None
        else:
            with pytest.raises(ConnectionLost, match="was closed"):
                subscription.poll(2 * SOON)
        thread.join()
        assert time.monotonic() - began < SOON


def test_a_wake_while_it_settles_loses_nothing(root: Path) -> None:
    (root / "a.json").write_text("1")
    calm = [True, False, True]
    mirror = Mirror(root, Paths([""]), lambda: calm.pop())
    assert looked(mirror) is not None
    (root / "a.json").write_text("22")
    assert looked(mirror) is None
    batch = looked(mirror)
    assert batch is not None
    assert [change.key for change in batch.changes] == ["a"]


def test_what_changes_while_it_is_read_is_read_again(root: Path) -> None:
    def meddle() -> bool:
        if not (root / "c.json").exists():
            for name in "abc":
                (root / f"{name}.json").write_text("22")
        return True

    mirror = Mirror(root, Paths([""]), meddle)
    assert looked(mirror, hurry=True) is None  # it is calm now
    for name in "ab":
        (root / f"{name}.json").write_text("1")
    batch = looked(mirror)
    assert batch is not None
    assert {change.key: change.value for change in batch.changes if not change.gone} == dict.fromkeys(
        "abc", b"22"
    )


AS_NOBODY = """
import os, sys
from pathlib import Path
from datasync_core.transport import StoreError, Url
from datasync_transports.file import FileTransport

os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
subscription = FileTransport(Url.parse("file:" + sys.argv[1]), watch=False, interval=0.01).subscribe([""])
try:
    for chunk in subscription.snapshot():
        for entry in sorted(chunk, key=lambda entry: entry.key):
            print(entry.key, entry.value.decode(), entry.error)
    print("-", flush=True)
    input()
    print(*[(change.key, change.value) for change in subscription.poll(20.0).changes])
except StoreError as error:
    print(type(error).__name__, error, sep=": ")
subscription.close()
"""


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory that another user may enter: not below one that is this user's alone."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


MOUNTED = """
import subprocess, sys
from pathlib import Path
from datasync_core.transport import StoreError, Url
from datasync_transports.file import FileTransport

root = Path(sys.argv[1])
for mount in (root, root / "sub"):
    mount.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(mount)], check=True)
    (mount / "a.json").write_text("1")
for mount in (root / "sub", root):
    subscription = FileTransport(Url.parse(f"file:{root}")).subscribe([""])
    print(*[entry.key for chunk in subscription.snapshot() for entry in chunk])
    subprocess.run(["umount", str(mount)], check=True)
    try:
        print(subscription.poll(20.0))
    except StoreError as error:
        print(type(error).__name__, error, sep=": ")
    subscription.close()
"""


def test_what_is_unmounted_is_a_lost_connection(root: Path, program: Callable[[str, str], str]) -> None:
    command = [program("unshare", "util-linux"), "-m", sys.executable, "-c", MOUNTED, str(root)]
    if os.geteuid() != 0:
        command.insert(1, "-r")
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.stdout.splitlines() == [
        "a sub/a",
        f"ConnectionLost: {root}/sub was unmounted or replaced",
        "a",
        f"ConnectionLost: {root} was replaced by another directory, or (un)mounted",
    ], done.stderr


def as_nobody(folder: Path, mend: Callable[[], object]) -> list[str]:
    if os.geteuid() != 0:
        pytest.skip("becoming another user takes root")
    with subprocess.Popen(
        [sys.executable, "-c", AS_NOBODY, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        lines = []
        for line in child.stdout:
            lines.append(line.rstrip())
            if line == "-\n":
                mend()
                child.stdin.write("\n")
                child.stdin.flush()
        child.wait(SOON)
    return lines


def test_a_file_that_may_not_be_read_is_an_error_until_it_may(shared: Path) -> None:
    (shared / "a.json").write_text("1")
    secret = shared / "b.json"
    secret.write_text("1")
    secret.chmod(0)
    assert as_nobody(shared, lambda: secret.chmod(0o644)) == [
        "a 1 None",
        "b  b.json cannot be read: Permission denied",
        "-",
        "('b', b'1')",
    ]


@pytest.mark.slow
def test_a_directory_that_may_not_be_listed_is_not_taken_for_empty(shared: Path) -> None:
    inner = shared / "sub"
    inner.mkdir()
    (inner / "a.json").write_text("1")
    why = "cannot be listed, so its keys are not known: Permission denied; make it readable for this user"
    assert as_nobody(shared, lambda: inner.chmod(0)) == [
        "sub/a 1 None",
        "-",
        f"ConnectionLost: {inner} {why}",
    ]
    assert as_nobody(shared, lambda: None) == [f"ConnectionLost: {inner} {why}"]
    shared.chmod(0o744)  # its names may be listed, but nothing in it reached
    assert as_nobody(shared, lambda: None) == [f"ConnectionLost: {inner} {why}"]
    shared.chmod(0)
    root_why = "Misconfigured: {} cannot be listed; make it readable for this user"
    assert as_nobody(shared, lambda: None) == [root_why.format(shared)]


@pytest.mark.parametrize(
    ("url", "options", "error"),
    [
        ("file:", {}, "file: names no directory; write file:FOLDER, or file:. for this one"),
        ("file://host/x", {}, "names a server; write file:FOLDER or file:///etc/FOLDER"),
        ("file:x", {"interval": 0.0}, "interval is a number of seconds above 0, got 0"),
        ("file:x", {"interval": float("nan")}, "interval is a number of seconds above 0, got nan"),
    ],
)
def test_a_wrong_setting_is_refused(url: str, options: dict[str, float], error: str) -> None:
    with pytest.raises(Misconfigured, match=error):
        FileTransport(Url.parse(url), **options)  # type: ignore[arg-type]


def test_it_is_read_only_unless_told_otherwise(root: Path) -> None:
    with pytest.raises(
        Unsupported, match="is read-only; edit the files, or add the option write=1 to its URL"
    ):
        FileTransport(Url.parse(f"file:{root}")).writer()


def test_a_relative_directory_belongs_to_the_file_that_names_it(root: Path) -> None:
    (root / "a.json").write_text("1")
    transport = FileTransport(Url.parse(f"file:{root.name}", root.parent), watch=False)
    follower = Follower(transport.subscribe([""]))
    assert follower.read() == {"a": b"1"}
    follower.subscription.close()
