"""`status`, `explain`, `resync`, `release`: a running host is asked from another shell."""

from __future__ import annotations

import json
import re

import pytest

from datasync_core.cli.status import lines
from tests.cli.command import GREET, HANG, Place, Running, requiring

pytestmark = pytest.mark.slow

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
MANY = json.dumps({f"hello/{number}": "hi" for number in range(20)}).encode()


def agent(place: Place, *args: str) -> Running:
    """A host named agent whose plugin greet is in sync."""
    host = place.start("run", "--name", "agent", *args)
    host.until("greet: in sync")
    return host


def until(place: Place, text: str) -> list[str]:
    """Ask for the status until one of its lines holds the text; its lines."""
    said: list[str] = []
    for _ in range(100):
        said = place.do("status", "--name", "agent").lines
        if any(text in line for line in said):
            return said
    raise AssertionError(f"{text!r} is not in {said}")


@pytest.mark.parametrize("command", ["status", "status --json", "explain a/key", "resync", "release greet"])
def test_where_no_host_runs_it_says_so_and_ends_with_1(place: Place, command: str) -> None:
    answer = place.do(*command.split(), "--name", "agent")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == (
        f"datasync-host: no host answers in {place.folder}/.datasync/agent, where -c, --name, [host] state_dir and "
        "STATE_DIRECTORY lead: give those of its start (systemd sets STATE_DIRECTORY for the service alone)\n"
    )
    assert place.names() == set()


def test_a_host_with_a_state_directory_of_its_own_is_found_by_the_same(place: Place) -> None:
    """Of systemd's, which only the service has; the sentence names the folder, and proposes no second host."""
    place.install("greet", GREET)
    place.env["STATE_DIRECTORY"] = str(place.folder / "service")
    agent(place)
    del place.env["STATE_DIRECTORY"]
    answer = place.do("status", "--name", "agent")
    assert answer.code == 1
    assert f"{place.folder}/.datasync/agent, where" in answer.err
    assert "run" not in answer.err.split()
    place.write("datasync.toml", '[host]\nstate_dir = "service"\n')
    assert place.do("status", "--name", "agent").lines[0] == "host agent"


def test_status_tells_of_stores_plugins_and_faults(place: Place) -> None:
    """Ends with 0, whatever the states of stores and plugins are."""
    place.install("greet", GREET)
    place.install("broken", "import nowhere\n")
    place.install("typed", GREET.replace("str)", "int)").replace("hello/", "typed/"))
    place.write("datasync.toml", '[stores]\nmain = "sqlite:data.db"\nspare = "memory:"\n')
    place.do("load", "-", stdin=b'{"hello/ada": "hi", "typed/one": ["text"]}')
    agent(place)
    said = until(place, "1 invalid or rejected")
    assert said[0] == "host agent"
    assert re.fullmatch(
        rf"store main: connected since {TIME}, 2 keys at revision \d+, sqlite:data.db", said[1]
    )
    assert said[2] == "store spare: watched by no plugin, memory:"
    assert "greet: in sync (startup), 1 key" in said
    assert any(re.match(r"broken: failed \(.*No module named 'nowhere'", line) for line in said)
    assert "typed: in sync (startup), 1 of 1 key not applied, 1 invalid or rejected" in said
    assert any(re.match(rf"{TIME} value invalid: typed: typed/one", line) for line in said)
    answer = place.do("status", "--name", "agent", "--json")
    assert answer.code == 0
    status = answer.json()
    assert (status["host"], status["running"], status["hanging"]) == ("agent", None, None)
    assert {one["name"]: one["state"] for one in status["plugins"] if one["state"] != "disabled"} == {
        "broken": "failed",
        "greet": "in_sync",
        "typed": "in_sync",
    }


def test_people_are_shown_the_last_faults_and_how_many_there_are() -> None:
    faults = [{"time": number, "kind": "brake", "text": f"fault {number}"} for number in range(12)]
    status = {
        "host": "agent",
        "stores": [],
        "plugins": [],
        "running": None,
        "hanging": None,
        "faults": faults,
    }
    said = list(lines(status))
    assert said[:2] == ["host agent", "the last 10 of 12 faults:"]
    assert [line.rpartition("brake: ")[2] for line in said[2:]] == [
        f"fault {number}" for number in range(2, 12)
    ]
    assert list(lines({**status, "faults": faults[:1]}))[1].endswith(" brake: fault 0")


def test_status_check_ends_with_0_only_in_sync_and_complete(place: Place) -> None:
    place.install("typed", GREET.replace("str)", "int)").replace("hello/", "typed/"))
    place.write("datasync.toml", '[stores]\nmain = "sqlite:data.db"\n')
    place.do("put", "typed/one", "1")
    host = place.start("run", "--name", "agent")
    host.until("typed: in sync, 1 key (startup)")
    answer = place.do("status", "--check", "--name", "agent")
    assert (answer.code, answer.lines) == (0, [])
    place.do("put", "typed/two", "[]")
    until(place, "1 of 2 keys not applied")
    answer = place.do("status", "--check", "--name", "agent")
    assert answer.code == 1
    assert answer.lines[0] == "typed: in sync (startup), 1 of 2 keys not applied, 1 invalid or rejected"
    assert answer.lines[1].startswith("  typed/two invalid: typed/two (revision 2): expected int")
    assert place.do("status", "--name", "agent").code == 0
    [plugin] = place.do("status", "--name", "agent", "--json").json()["plugins"]
    assert [plugin[name] for name in ("in_sync", "complete", "not_applied", "of")] == [True, False, 1, 2]
    place.do("put", "typed/two", "2")
    until(place, "typed: in sync (startup), 2 keys")
    assert place.do("status", "--check", "--name", "agent").code == 0
    host.end()
    assert place.do("status", "--check", "--name", "agent").code == 1


def test_status_tells_why_a_store_is_lost_and_since_when(place: Place) -> None:
    place.install("greet", GREET)
    place.write("datasync.toml", '[host]\nname = "agent"\n')
    host = place.start("run", "--store", "sqlite:later.db?create=false")
    host.until("there is no")
    answer = place.do("status")
    assert answer.code == 0
    tried = r"(tried again in \d+(\.\d)? s|being tried now)"
    assert re.fullmatch(
        rf"store main: never reached since {TIME} \(.*there is no .*\), {tried}, sqlite:later.db\?create=false",
        answer.lines[1],
    )
    [store] = place.do("status", "--json").json()["stores"]
    assert (store["connected"], store["reached"]) == (False, False)
    assert store["retry_in"] is None or 0 <= store["retry_in"] <= 60
    said = place.do("explain", "hello/ada").lines
    assert re.fullmatch(
        rf"store main: never reached, so nothing is known of hello/ada: .*there is no .*; {tried}", said[0]
    )
    assert any(line.startswith("greet: waiting (store main: not read yet)") for line in answer.lines)


def test_status_answers_while_a_hook_hangs_and_names_it(place: Place) -> None:
    place.install("stuck", HANG)
    place.write("datasync.toml", '[host]\nhook_timeout = 0.2\n[stores]\nmain = "sqlite:data.db"\n')
    host = place.start("run", "--name", "agent")
    host.until("hangs")
    said = place.do("status", "--name", "agent").lines
    assert any(re.match(rf"on_resync of plugin stuck hangs since {TIME}", line) for line in said)
    assert any(re.match(rf"{TIME} hook hangs: stuck: on_resync hangs", line) for line in said)


def test_explain_tells_the_way_of_a_key(place: Place) -> None:
    place.install("greet", GREET)
    place.do("put", "hello/ada", "hi", "--store", "sqlite:datasync.db")
    agent(place)
    assert place.do("explain", "hello/ada", "--name", "agent").lines == [
        "store main: hello/ada is there at revision 1 (2 bytes)",
        "greet watches it by 'hello/': applied",
    ]
    assert place.do("explain", "other", "--name", "agent").lines == [
        "store main: other is not there",
        "no plugin watches other; watched are 'hello/'",
    ]
    said = place.do("explain", "hello/ada", "--name", "agent", "--json").json()
    assert (said["key"], said["plugins"][0]["what"]) == ("hello/ada", "applied")
    wrong = place.do("explain", "/hello", "--name", "agent")
    assert (wrong.code, wrong.out) == (2, "")
    assert "starts or ends with a slash" in wrong.err


def test_resync_plans_it_and_says_whose(place: Place) -> None:
    place.install("greet", GREET)
    place.install("other", requiring("greet"))
    place.install("apart", GREET)
    host = agent(place)
    assert place.do("resync", "greet", "--name", "agent").out == "a resync is planned of greet, other\n"
    host.until("greet: in sync, 0 keys (request)")
    everybody = place.do("resync", "--name", "agent", "--json")
    assert everybody.json() == {"planned": ["apart", "greet", "other"]}
    unknown = place.do("resync", "greet", "gret", "--name", "agent")
    assert (unknown.code, unknown.out) == (2, "")
    assert unknown.err == "datasync-host: no plugin gret runs here; running are apart, greet, other\n"


def test_release_says_how_many_removals_were_held_and_lets_them_go(place: Place) -> None:
    place.install("greet", GREET)
    place.do("load", "-", "--store", "sqlite:datasync.db", stdin=MANY)
    host = agent(place)
    nothing = place.do("release", "greet", "--name", "agent")
    assert (nothing.code, nothing.out) == (0, "nothing of greet is held\n")
    unknown = place.do("release", "gret", "--name", "agent")
    assert (unknown.code, unknown.err) == (
        2,
        "datasync-host: no plugin gret runs here; running are greet\n",
    )
    assert host.end() == 0
    for file in place.folder.glob("datasync.db*"):
        file.unlink()
    again = place.start("run", "--name", "agent")
    again.until("20 of 20 keys are gone without having been deleted")
    assert "release greet" in until(place, "greet: held")[2]
    released = place.do("release", "greet", "--name", "agent")
    assert (released.code, released.out) == (0, "20 removals of greet and of what requires it go ahead\n")
    again.until("greet: in sync, 0 keys (startup)")


def test_the_names_of_running_plugins_are_completed(place: Place) -> None:
    place.install("greet", GREET)
    place.write("datasync.toml", '[host]\nname = "agent"\n[stores]\nmain = "sqlite:data.db"\n')
    words = {
        "_DATASYNC_HOST_COMPLETE": "bash_complete",
        "COMP_WORDS": "datasync-host release gr",
        "COMP_CWORD": "2",
    }
    agent(place)
    place.env |= words
    assert place.do().lines == ["plain,greet"]
