"""Keys with line ends and terminal codes in them forge no line of a log or of what a command prints."""

from __future__ import annotations

import json

import pytest

from tests.cli.command import GREET, Place

pytestmark = pytest.mark.slow

KEY = "hello/x\n12:00:00 error: forged \x1b[31m"
SHOWN = "hello/x\\n12:00:00 error: forged \\x1b[31m"
CONFIG = '[stores]\nmain = "sqlite:data.db"\n'
REJECT = """
    from datasync_core import Reject, Watch, hookimpl

    watches = [Watch("hello/", str)]

    @hookimpl
    def on_resync(event):
        for change in event.changes(watches[0]):
            with change:
                raise Reject(f"{change.key} is not wanted")
"""


def is_forged(text: str) -> bool:
    """Whether a line that begins with the key's second is there, or its terminal code."""
    return "\x1b" in text or any(line.startswith("12:00:00 error") for line in text.splitlines())


def test_a_key_is_listed_and_watched_on_one_line_and_exact_in_json(place: Place) -> None:
    place.write("datasync.toml", CONFIG)
    place.do("put", KEY, "1")
    assert place.do("list").lines == [SHOWN]
    assert place.do("list", "--values").lines == [f"{SHOWN}\t1"]
    assert place.do("list", "--json").json()["key"] == KEY
    watching = place.start("watch")
    watching.until(f"CREATE {SHOWN} 1")
    place.do("delete", KEY)
    watching.until(f"DELETE {SHOWN}")
    assert not is_forged(watching.said)
    assert not is_forged(place.do("get", KEY).err)


def test_a_key_forges_no_line_of_the_log_of_status_or_explain(place: Place) -> None:
    place.install("typed", GREET.replace("str)", "int)"))
    place.install("rejecting", REJECT)
    place.write("datasync.toml", CONFIG)
    place.do("put", KEY, "no number")
    host = place.start("run")
    host.until(f"{SHOWN} (revision 1)")
    host.until(f"{SHOWN} is rejected: {SHOWN} is not wanted")
    host.until("rejecting: in sync")
    status, explained = place.do("status"), place.do("explain", KEY)
    assert SHOWN in status.out
    assert SHOWN in explained.out
    for said in (host.said, status.out, explained.out):
        assert not is_forged(said)
    assert any(fault["key"] == KEY for fault in json.loads(place.do("status", "--json").out)["faults"])
    assert host.end() == 0
