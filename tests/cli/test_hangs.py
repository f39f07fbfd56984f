"""Hooks that hang: what `run` makes of them where `on_hang` is `restart`, and when it is to stop."""

from __future__ import annotations

import json
import re
import signal
import subprocess

import pytest

from tests.cli.command import COMMAND, GREET, HANG, PATIENCE, Place

pytestmark = pytest.mark.slow

LOCKED = HANG.replace(
    "threading.Event().wait()", 're.match("(a+)+$", "a" * 60 + "b")  # keeps the interpreter'
).replace("import threading", "import re")
FULL = HANG.replace("threading.Event().wait()", '\n        while True: print("x" * 1000)')


def settings(place: Place, **host: object) -> None:
    lines = "".join(f"{name} = {value!r}\n".replace("'", '"') for name, value in host.items())
    place.write("datasync.toml", f'[stores]\nmain = "sqlite:data.db"\n[host]\n{lines}')


def test_a_hook_that_hangs_ends_the_host_with_75_where_on_hang_is_restart(place: Place) -> None:
    place.install("a-first", GREET)
    place.install("stuck", HANG)
    settings(place, hook_timeout=2.0, on_hang="restart")
    host = place.start("run")
    assert host.ended() == 75
    assert host.lines[-1] == (
        "error: stuck: on_resync hangs: it has not returned for 2 s (hook_timeout); "
        'ended, to be started anew (on_hang = "restart")'
    )
    assert re.search(r"^warning: stuck: on_resync is at .+ \(on_resync\)$", host.said, re.MULTILINE)
    assert "on_stop" not in host.lines


def test_a_hook_that_hangs_ends_a_host_without_stderr_too(place: Place) -> None:
    place.install("stuck", HANG)
    settings(place, hook_timeout=2.0, on_hang="restart")
    answer = place.do("run", before=["sh", "-c", 'exec "$0" "$@" 2>&-'])
    assert (answer.code, answer.out) == (75, "inside\n")


def test_a_hook_that_hangs_is_only_reported_by_default(place: Place) -> None:
    place.install("stuck", HANG)
    settings(place, hook_timeout=0.2, stop_timeout=0.1)
    host = place.start("run")
    host.until("stuck: on_resync hangs")
    with pytest.raises(subprocess.TimeoutExpired):
        host.process.wait(1.0)
    assert host.end() == 1


def test_G12_a_C_call_that_keeps_the_interpreter_lock_is_ended(place: Place) -> None:
    """The exit code is 1, and the traceback shows the line of the hook."""
    place.install("stuck", LOCKED)
    settings(place, hook_timeout=2.0, on_hang="restart")
    host = place.start("run")
    host.until("inside")
    assert host.ended() == 1
    assert re.search(r'acme_stuck.py", line \d+ in on_resync', host.said)


def test_a_host_whose_hooks_return_is_not_ended_by_on_hang(place: Place) -> None:
    place.install("greet", GREET)
    settings(place, hook_timeout=1.5, on_hang="restart")
    host = place.start("run")
    host.until("in sync")
    with pytest.raises(subprocess.TimeoutExpired):
        host.process.wait(6.0)  # the timer of 4.5 s was wound up again
    assert host.end() == 0


def test_G12_a_hook_that_hangs_while_the_host_stops_asks_for_no_restart(place: Place) -> None:
    place.install("stuck", HANG)
    settings(place, hook_timeout=4.0, stop_timeout=8.0, on_hang="restart")
    host = place.start("run")
    host.until("inside")
    assert host.end() == 1
    assert "stuck: on_resync hangs" in host.said
    assert "has not returned within 8 s (stop_timeout)" in host.lines[-1]


def test_the_end_without_a_hook_is_logged_as_all_else_is(place: Place) -> None:
    place.install("stuck", HANG)
    settings(place, stop_timeout=0.2)
    host = place.start("run", "--log-format", "json")
    host.until("inside")
    assert host.end() == 1
    last = json.loads(host.lines[-1])
    assert last["level"] == "error"
    assert last["message"] == (
        "on_resync of plugin stuck has not returned within 0.2 s (stop_timeout): ended without it"
    )


def test_G12_a_hook_that_hangs_on_a_full_pipe_is_named(
    place: Place,
) -> None:
    """Hangs because nobody reads what the hook prints; the exit code is 1."""
    place.install("stuck", FULL)
    settings(place, stop_timeout=0.2)
    place.env.pop("PYTHONUNBUFFERED", None)  # printing keeps the lock that flushing wants
    log = place.folder / "log"
    with log.open("wb") as err:
        host = subprocess.Popen(
            [*COMMAND, "run"], cwd=place.folder, env=place.env, stdout=subprocess.PIPE, stderr=err
        )
    try:
        assert host.stdout is not None
        assert host.stdout.readline() == b"inside\n"
        host.send_signal(signal.SIGTERM)
        assert host.wait(PATIENCE) == 1
    finally:
        host.kill()
        host.wait()
        if host.stdout is not None:
            host.stdout.close()
    assert "on_resync of plugin stuck has not returned within 0.2 s" in log.read_text()
