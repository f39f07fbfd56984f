"""`watch`: what is there, then what changes, whatever happens to the connection."""

from __future__ import annotations

import json
import signal
import subprocess

import pytest

from tests.cli.command import COMMAND, PATIENCE, Place

pytestmark = pytest.mark.slow

DB = "--store=sqlite:data.db"


def test_watch_begins_with_what_is_there_and_goes_on_until_interrupted(place: Place) -> None:
    place.do("put", "b/old", "1", DB)
    place.do("put", "a", "elsewhere", DB)
    watching = place.start("watch", "b/", DB)
    watching.until("CREATE b/old 1")
    place.do("put", "b/new", "two\nlines", DB)
    watching.until("CREATE b/new two\\nlines")
    place.do("put", "b/new", "-", DB, stdin=b"\xff")
    watching.until("UPDATE b/new base64:/w==")
    place.do("delete", "b/old", DB)
    watching.until("DELETE b/old")
    assert watching.end(signal.SIGINT) == 0
    assert "elsewhere" not in watching.said
    assert "Traceback" not in watching.said


def test_only_changes_leaves_out_what_is_there(place: Place) -> None:
    place.do("put", "old", "1", DB)
    watching = place.start("watch", DB, "--only-changes", "--json")
    number = 0
    while "new" not in watching.said:  # it says nothing when it is ready, so change until it sees one
        number += 1
        place.do("put", "new", str(number), DB)
        place.do("put", "old", "1", DB)
        if number > 3:
            watching.until("new")
    place.do("delete", "old", DB)
    watching.until('"kind": "DELETE"')
    assert watching.end(signal.SIGINT) == 0
    changes = [json.loads(line) for line in watching.lines]
    assert changes[-1] == {"key": "old", "kind": "DELETE"}
    assert {"key": "old", "kind": "CREATE", "text": "1", "revision": 1} not in changes
    assert all(set(change) == {"key", "kind", "text", "revision"} for change in changes[:-1])


def test_a_lost_store_is_told_and_made_up_for(place: Place) -> None:
    watching = place.start("watch", DB)
    watching.until("datasync-host: store main: there is no")
    place.do("put", "a", "1", DB)
    watching.until("CREATE a 1")
    assert "datasync-host: store main answers again" in watching.said
    for file in place.folder.glob("data.db*"):
        file.rename(place.folder / f"away-{file.name}")
    watching.until("was removed or replaced")
    place.do("put", "b", "2", DB)
    watching.until("CREATE b 2")
    watching.until("DELETE a")
    assert watching.end(signal.SIGINT) == 0


def test_a_store_that_refuses_ends_it(place: Place) -> None:
    place.write("text.db", "this is no database, however long the text of it is" * 100)
    answer = place.do("watch", "--store", "sqlite:text.db")
    assert answer.code == 1
    assert "is no SQLite database" in answer.err


def test_a_reader_that_has_seen_enough_ends_it_quietly(place: Place) -> None:
    place.do("put", "a", "1", DB)
    watching = subprocess.Popen(
        [*COMMAND, "watch", DB],
        cwd=place.folder,
        env=place.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert watching.stdout is not None
    assert watching.stdout.readline() == b"CREATE a 1\n"
    watching.stdout.close()
    watching.stdout = None
    place.do("put", "a", "2", DB)
    _, err = watching.communicate(timeout=PATIENCE)
    assert (watching.returncode, err) == (1, b"")
