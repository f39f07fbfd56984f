"""What a plugin does to the process: its threads, and what it prints while it is imported."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.cli.command import GREET, PATIENCE, Place

pytestmark = pytest.mark.slow

THREADS = """
    import threading
    for name in ("second", "first"):
        threading.Thread(target=threading.Event().wait, name=name).start()
"""
POOL = """
    from concurrent.futures import ThreadPoolExecutor
    POOL = ThreadPoolExecutor(1)
    POOL.submit(print, "pooled", flush=True).result()
"""
LOUD = """
    import os, sys
    print("loud")
    os.write(1, b"louder\\n")
"""


def test_G12_threads_of_plugins_that_do_not_end_are_named(place: Place) -> None:
    """The host ends with 1 once stop_timeout is over, after `on_stop`."""
    place.install("greet", THREADS + GREET)
    place.write("datasync.toml", '[host]\nstop_timeout = 1.5\n[stores]\nmain = "sqlite:data.db"\n')
    host = place.start("run")
    host.until("in sync")
    assert host.end() == 1
    assert "on_stop" in host.lines
    assert host.lines[-1] == (
        "error: the threads first, second, begun by a plugin, have not ended within stop_timeout: "
        "ended without, as a daemon thread would be"
    )


def test_G12_threads_of_plugins_are_named_where_nothing_was_logged_before(place: Place) -> None:
    """The first line of the log is written when the interpreter is about to end."""
    place.install("greet", THREADS + GREET)
    place.write("datasync.toml", '[host]\nstop_timeout = 1.5\n[stores]\nmain = "sqlite:data.db"\n')
    place.do("put", "hello/ada", "hi")
    host = place.start("run", "-q")
    host.until("resync CREATE ada hi")
    assert host.end() == 1
    assert host.lines[-1].startswith(
        "error: the threads first, second, begun by a plugin, have not ended within stop_timeout"
    )


def test_a_command_that_looks_ends_whatever_threads_plugins_begin(place: Place) -> None:
    place.install("greet", THREADS + GREET)
    answer = place.do("plugins", "--json")
    assert answer.code == 0
    assert [row["state"] for row in answer.json() if row["name"] == "greet"] == ["ok"]
    assert "the threads first, second, begun by a plugin, have not ended" in answer.err


def test_idle_threads_of_a_pool_end_by_themselves(place: Place) -> None:
    place.install("greet", POOL + GREET)
    host = place.start("run")
    host.until("in sync")
    assert host.end() == 0
    assert "begun by a plugin" not in host.said


@pytest.mark.parametrize("line", ["plugins --json", "graph --json", "check --json", "graph --format mermaid"])
def test_what_a_plugin_prints_at_its_import_is_no_part_of_a_result(place: Place, line: str) -> None:
    place.install("greet", LOUD + GREET)
    place.do("put", "hello/ada", "hi", "--store", "sqlite:datasync.db")
    answer = place.do(*line.split())
    assert answer.code == 0
    assert answer.err.splitlines() == ["louder", "loud"] or answer.err.splitlines() == ["loud", "louder"]
    if "--json" in line:
        json.loads(answer.out)
    else:
        assert answer.out.startswith("graph LR\n")


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("import os; os._exit(0)", "with exit code 0"),
        ("import os; os._exit(75)", "with exit code 75"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "by signal 9"),
    ],
)
def test_a_plugin_that_ends_the_process_of_a_check_is_named(place: Place, code: str, how: str) -> None:
    place.install("a-greet", GREET)
    place.install("quits", code)
    place.do("put", "hello/ada", "hi", "--store", "sqlite:datasync.db")
    answer = place.do("check")
    assert (answer.code, answer.out) == (4, "")
    assert answer.err == (
        f"datasync-host: the process of this check ended {how} and without a verdict: "
        "quits (acme_quits (acme-quits 1.0)) ended it while it was imported\n"
    )


def test_an_import_that_takes_long_is_named_while_it_lasts(place: Place) -> None:
    place.write("slow.py", "import threading\nthreading.Event().wait()\n")
    place.write("datasync.toml", '[host]\nhook_timeout = 0.3\n[stores]\nmain = "sqlite:data.db"\n')
    host = place.start("run", "slow.py")
    assert host.until("has not ended") == (
        "warning: the import of slow (slow.py) has not ended for 0.3 s (hook_timeout): "
        "no plugin begins before it has"
    )
    assert host.end() == 0


def test_an_import_that_takes_too_long_for_a_check_is_named() -> None:
    """In a process of this test, with a shorter limit."""
    program = """
import threading
from datasync_core.cli import apart
apart.LIMIT = 0.3

def work(report):
    report("slow (slow.py)")
    threading.Event().wait()

try:
    apart.apart(work)
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.stdout == (
        "PluginError slow (slow.py) cannot be checked: its import has not ended within 0.3 s; "
        "do what takes long in on_start\n"
    )


def test_a_result_without_stdout_or_stderr_is_no_mistake(place: Place) -> None:
    place.install("greet", LOUD + GREET)
    for closed in ("2>&-", ">&-"):
        answer = place.do("plugins", before=["sh", "-c", f'exec "$0" "$@" {closed}'])
        assert "Traceback" not in answer.err
        assert "loud" not in answer.out
