"""Bad input, as a table: what is said, in one sentence, with which exit code, and that nothing is lost."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from datasync_core.transport import Put, Url
from datasync_transports.sqlite import SqliteTransport
from tests.cli.command import COMMAND, GREET, PATIENCE, Answer, Place, requiring, unmeasured

pytestmark = pytest.mark.slow


@pytest.fixture
def place(place: Place) -> Place:
    """Its many processes are not measured for coverage: other tests reach the same code."""
    place.env = unmeasured(place.env)
    return place


TOML = '[stores]\nmain = "sqlite:data.db"\n'
KEPT = '{"key": "hello/kept", "text": "still here"}\n'
TYPED = GREET.replace("str)", "int)")


class Row(NamedTuple):
    """``code`` and ``said`` (on stderr, or stdout of `check`) of a command, with these plugins and this file."""

    command: str
    code: int
    said: str
    toml: str = TOML
    plugins: dict[str, str] = {"greet": GREET}


ROWS = {
    "unknown setting": Row(
        "run",
        3,
        "datasync.toml:4: unknown setting host.nmae: did you mean host.name?",
        TOML + "[host]\nnmae = 1\n",
    ),
    "unknown setting, for a data command": Row("get hello/kept", 3, "unknown setting stors", "[stors]\n"),
    "wrong type": Row(
        "run", 3, "datasync.toml:4: host.hold must be a number of seconds", TOML + '[host]\nhold = "x"\n'
    ),
    "no TOML": Row("config", 3, "datasync.toml:1: this is no TOML", "this is no toml"),
    "no configuration file": Row("run -c nothing.toml", 3, "-c: there is no file nothing.toml"),
    "a folder as configuration": Row("run -c site", 3, "-c: site is a directory"),
    "unknown scheme": Row("run", 3, "did you mean sqlite?", '[stores]\nmain = "sqllite:data.db"\n'),
    "unknown scheme of an option": Row("put k v --store sqllite:x.db", 3, "did you mean sqlite?"),
    "unknown option of a store": Row("get hello/kept --store sqlite:data.db?retntion=1", 3, "retention"),
    "no store named": Row("get hello/kept", 3, "no datasync.toml or datasync.db here; give --store", ""),
    "no such store": Row("get hello/kept --store other", 3, "there is no store other"),
    "no plugin at all": Row("run", 4, "no plugin is", plugins={}),
    "all plugins disabled": Row("run -p no:greet", 4, "no plugin is left to run"),
    "broken plugin": Row("run", 4, "No module named 'nowhere'", plugins={"greet": "import nowhere\n"}),
    "plugin that exits": Row("run", 4, "it calls sys.exit(0)", plugins={"greet": "raise SystemExit(0)\n"}),
    "broken plugin beside a good one, strictly": Row(
        "run --strict", 4, "--strict", plugins={"greet": GREET, "bad": "import nowhere\n"}
    ),
    "broken plugin beside a good one, checked": Row(
        "check", 4, "No module named 'nowhere'", plugins={"greet": GREET, "bad": "import nowhere\n"}
    ),
    "missing requirement": Row(
        "run", 4, "requires ghost: not installed", plugins={"greet": requiring("ghost")}
    ),
    "missing requirement, checked": Row(
        "check", 4, "requires ghost: not installed", plugins={"greet": requiring("ghost")}
    ),
    "requirement in a circle": Row(
        "run", 4, "a → b → a is a circle", plugins={"a": requiring("b"), "b": requiring("a")}
    ),
    "plugin of a store that is not there": Row(
        "run", 3, "plugin greet uses an unknown store aux", TOML + '[plugins.greet]\nstore = "aux"\n'
    ),
    "key that is no UTF-8": Row("put bad\udcffkey v", 2, "is no UTF-8 text"),
    "empty key": Row("put /  v", 2, "starts or ends with a slash"),
    "database that is none, read": Row("get k --store sqlite:text.db", 1, "text.db is no SQLite database"),
    "database that is none, written": Row(
        "put k v --store sqlite:text.db", 1, "text.db is no SQLite database"
    ),
    "database that is none, checked": Row("check --store sqlite:text.db", 5, "text.db is no SQLite database"),
    "database that is none, run": Row("run --store sqlite:text.db", 5, "text.db is no SQLite database"),
    "database of another program": Row(
        "run --store sqlite:other.db", 5, "is the database of another program"
    ),
    "folder that is not there": Row("put k v --store sqlite:no/where.db", 1, "create "),
    "folder that is not there, run": Row("run --store sqlite:no/where.db", 5, "create "),
    "URL without a file, run": Row("run --store sqlite:", 3, "--store: sqlite: names no file"),
    "URL without a file, checked": Row("check --store sqlite:", 3, "--store: sqlite: names no file"),
    "URL without a file, read": Row("get k --store sqlite:", 3, "sqlite: names no file"),
    "URL with a wrong option": Row(
        "run --store file:.?interval=0", 3, "--store: file:.?interval=0: interval"
    ),
    "file of wrong lines": Row("load site/acme_greet.py", 2, "acme_greet.py:2: JSON is malformed"),
    "state directory that is a file": Row(
        "run", 3, "the state directory", TOML + '[host]\nstate_dir = "datasync.toml"\n'
    ),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_bad_input_is_a_sentence_and_an_exit_code_and_loses_nothing(place: Place, row: Row) -> None:
    text = "this is no database, however long the text of it is" * 100
    keep(place.folder / "data.db")
    place.write("text.db", text)
    connection = sqlite3.connect(place.folder / "other.db")
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = place.names()
    if row.toml:
        place.write("datasync.toml", row.toml)
    for name, code in row.plugins.items():
        place.install(name, code)

    answer = place.do(*(os.fsencode(word) for word in row.command.split()))

    assert answer.code == row.code, answer
    assert row.said in answer.err + (answer.out if row.command.startswith("check") else "")
    assert "Traceback" not in answer.err
    last = answer.err.splitlines()[-1] if answer.err else ""
    assert last.startswith("datasync-host: ") or row.command.startswith("check")
    assert place.names() - before <= {"datasync.toml", ".datasync", "data.db-wal", "data.db-shm"}
    assert (place.folder / "text.db").read_text() == text
    assert held(place.folder / "data.db") == {"hello/kept": b"still here"}


def test_a_value_that_does_not_decode_is_named_and_hurts_its_key_alone(place: Place) -> None:
    place.install("typed", TYPED)
    load = b'{"hello/bad": ["text"], "hello/good": 1}'
    place.do("load", "-", "--store", "sqlite:datasync.db", stdin=load)
    host = place.start("run")
    host.until("resync CREATE good 1")
    assert "expected int, got array at $" in host.until("hello/bad (revision 1)")
    host.until("in sync, 1 of 2 keys not applied (startup)")
    place.do("put", "hello/bad", "2")
    host.until("CREATE bad 2")
    assert host.end() == 0


def test_a_second_host_of_the_same_name_is_refused_and_the_first_goes_on(place: Place) -> None:
    place.install("greet", GREET)
    first = place.start("run", "--name", "agent")
    first.until("in sync")
    second = place.do("run", "--name", "agent")
    assert second.code == 1
    assert f"a host named agent runs already (pid {first.process.pid}, " in second.err
    assert "Traceback" not in second.err
    place.do("put", "hello/ada", "hi")
    first.until("change CREATE ada hi")
    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    third = place.start("run", "--name", "agent")
    third.until("resync CREATE ada hi")
    assert third.end() == 0


def test_an_unreadable_configuration_is_a_matter_of_configuration(
    place: Place, program: Callable[[str, str], str]
) -> None:
    place.write("datasync.toml", TOML).chmod(0)
    answer = place.do("config", before=without_override(program))
    assert answer.code == 3
    assert "datasync.toml cannot be read (Permission denied): make it a readable file" in answer.err


def test_a_read_only_folder_is_told_and_its_data_stays(
    place: Place, program: Callable[[str, str], str]
) -> None:
    """Ends put with 1 and run with 3, and dump reads afterwards what was stored before."""
    place.install("greet", GREET)
    place.do("put", "hello/kept", "still here", "--store", "sqlite:data.db")
    place.write("datasync.toml", TOML)
    place.folder.chmod(0o555)
    before = without_override(program)
    try:
        made = place.do("put", "k", "v", "--store", "sqlite:new.db", before=before)
        ran = place.do("run", before=before)
    finally:
        place.folder.chmod(0o755)
    assert (made.code, made.out) == (1, "")
    assert "make it and its folder readable and writable" in made.err
    assert ran.code == 3
    assert "the state directory" in ran.err
    assert "Permission denied" in ran.err
    assert place.do("dump", "--store", "sqlite:data.db").out == KEPT


def test_a_full_disk_is_told_and_loses_nothing(place: Place, program: Callable[[str, str], str]) -> None:
    place.write("big.json", '{"big": "%s"}' % ("x" * 3_000_000))
    disk = place.folder / "disk"
    disk.mkdir()
    command = " ".join(COMMAND)
    script = place.write(
        "script.sh",
        f"""
        mount -t tmpfs -o size=2m tmpfs {disk} || exit 99
        {command} put hello/kept 'still here' --store sqlite:disk/data.db >/dev/null || exit 98
        {command} load big.json --store sqlite:disk/data.db
        echo "code $?"
        {command} dump --store sqlite:disk/data.db
        {command} load big.json --store sqlite:big.db
        {command} dump --store sqlite:big.db -o disk/dump.jsonl
        echo "code $?"
        ls disk | grep dump
        exit 0
        """,
    )
    answer = in_a_namespace(place, program, script)
    assert answer.code == 0, answer
    kept = KEPT.rstrip()
    assert answer.lines == ["code 1", kept, "1 key written", "code 1"]
    assert "the disk is full; nothing was written" in answer.err
    assert "No space left on device" in answer.err
    assert "Traceback" not in answer.err


def test_a_full_disk_under_the_state_directory_ends_run_with_3(place: Place) -> None:
    """Reports it as an error of the configuration, without a traceback."""
    place.install("greet", GREET)
    place.write("datasync.toml", TOML + '[host]\nname = "vm"\n')
    lock = place.folder / ".datasync" / "vm" / "lock"
    lock.parent.mkdir(parents=True)
    lock.symlink_to("/dev/full")
    answer = place.do("run")
    assert answer.code == 3
    assert f"the state directory {lock.parent} cannot be used (" in answer.err
    assert "Traceback" not in answer.err


def test_a_state_directory_that_others_may_write_ends_run_with_3(place: Place) -> None:
    """Another user could rename what the host makes in it."""
    place.install("greet", GREET)
    place.write("datasync.toml", TOML + '[host]\nname = "vm"\n')
    base = place.folder / ".datasync"
    base.mkdir()
    base.chmod(0o777)
    answer = place.do("run")
    assert answer.code == 3
    assert f"the state directory {base} cannot be used (every user may write in it, mode 0777)" in answer.err
    assert list(base.iterdir()) == []


def keep(file: Path) -> None:
    """Make a database that holds one key."""
    transport = SqliteTransport(Url.parse(f"sqlite:{file}"))
    with closing(transport), closing(transport.writer()) as writer:
        writer.commit([Put("hello/kept", b"still here")])


def held(file: Path) -> dict[str, bytes]:
    """What a database holds."""
    transport = SqliteTransport(Url.parse(f"sqlite:{file}"), create=False)
    with closing(transport), closing(transport.subscribe([""])) as subscription:
        return {entry.key: entry.value for chunk in subscription.snapshot() for entry in chunk}


def without_override(program: Callable[[str, str], str]) -> list[str]:
    """Runs a command as one whom permissions concern, root too."""
    if os.geteuid() != 0:
        return []
    return [program("setpriv", "util-linux"), "--bounding-set=-dac_override,-dac_read_search"]


def in_a_namespace(place: Place, program: Callable[[str, str], str], script: Path) -> Answer:
    """Run a script that may mount."""
    how = "-m" if os.geteuid() == 0 else "-rm"
    command = [program("unshare", "util-linux"), how, "sh", str(script)]
    patience = 2 * PATIENCE  # it runs several commands
    done = subprocess.run(
        command, cwd=place.folder, env=place.env, capture_output=True, timeout=patience, check=False
    )
    return Answer(done)
