"""The sample `flags` as an operator has it: real processes that share a socket, asked by HTTP, told by the command."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import PATIENCE, Place
from tests.documents import texts
from tests.packages import Packages
from tests.samples.proxies import listens, until

pytestmark = pytest.mark.slow

SAMPLE = Path(__file__).parents[2] / "sample_plugins" / "flags"
PROGRAM = ("-m", "datasync_flags")

WATCHED = """
import signal, sys, threading
from pathlib import Path
from datasync_flags import __main__ as program

def handlers():
    lines = Path("/proc/self/status").read_text().splitlines()
    of_process = [line for line in lines if line.startswith(("SigBlk", "SigIgn", "SigCgt"))]
    return of_process, [signal.getsignal(number) for number in signal.valid_signals()]

class Watched(program.Host):
    def start(self):
        threading.Thread(target=int).start()  # with a process's first thread glibc catches a signal of its own
        self.before = handlers()
        super().start()
        assert handlers() == self.before

    def stop(self, timeout=None):
        ended = super().stop(timeout)
        assert handlers() == self.before
        assert threading.enumerate() == [threading.main_thread()]
        print("untouched", flush=True)
        return ended

program.Host = Watched
sys.exit(program.main())
"""
"""The program, with a host that compares signal handlers before and after, and looks for threads at its end."""


class Application:
    """The running program; whatever of it is left at the end of a test is killed."""

    def __init__(self, command: Sequence[str], cwd: Path, env: Mapping[str, str], stack: ExitStack) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        stack.callback(self._kill)
        assert self.process.stdout is not None
        self.first = self.process.stdout.readline().decode()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", self.first)
        assert found, self.first
        self.port = int(found[1])

    def workers(self) -> set[int]:
        pid = self.process.pid
        return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}

    def ask(self, path: str = "/", at_once: int = 4) -> list[dict[str, Any]]:
        """The answers to requests that are made at once, so that each worker is likely to have some."""
        connections = [HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE) for _ in range(at_once)]
        try:
            for connection in connections:
                connection.request("GET", path)
            return [json.loads(connection.getresponse().read()) for connection in connections]
        finally:
            for connection in connections:
                connection.close()

    def says(self, *on: str) -> None:
        """Wait until both workers say that these flags are on."""
        seen: dict[int, list[str]] = {}

        def both() -> bool:
            seen.update((answer["worker"], answer["on"]) for answer in self.ask())
            pids = self.workers()
            return len(pids) == 2 and all(seen.get(pid) == list(on) for pid in pids)

        until(both, f"both workers say {on}")

    def end(self, how: signal.Signals) -> tuple[int, str]:
        """Send the parent a signal; its exit code, and what all said until the last of them let go of the pipe."""
        self.process.send_signal(how)
        out, _ = self.process.communicate(timeout=PATIENCE)
        assert not listens(self.port)
        return self.process.returncode, out.decode()

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()


class Flags:
    """A folder with a store, and programs that follow it."""

    def __init__(self, place: Place, stack: ExitStack) -> None:
        self.place = place
        self._stack = stack
        place.env |= {"PYTHONPATH": str(SAMPLE), "FLAGS_STORE": "sqlite:flags.db", "FLAGS_PORT": "0"}

    def start(self, *arguments: str) -> Application:
        command = [sys.executable, *(arguments or PROGRAM)]
        return Application(command, self.place.folder, self.place.env, self._stack)

    def put(self, name: str, on: bool) -> None:
        answer = self.place.do("put", f"flags/{name}", json.dumps({"on": on}), "--store", "sqlite:flags.db")
        assert answer.code == 0, answer


@pytest.fixture
def flags(tmp_path: Path) -> Iterator[Flags]:
    with ExitStack() as stack:
        yield Flags(Place(tmp_path, stack), stack)


def test_both_workers_follow_the_store(flags: Flags) -> None:
    flags.put("dark", True)
    application = flags.start()
    application.says("dark")
    for on in (True, False, True):
        flags.put("beta", on)
        application.says(*(["beta", "dark"] if on else ["dark"]))
    assert application.end(signal.SIGTERM) == (0, "")


def test_a_worker_that_is_killed_is_replaced(flags: Flags) -> None:
    flags.put("dark", True)
    application = flags.start()
    application.says("dark")
    before = application.workers()
    killed = before.pop()
    os.kill(killed, signal.SIGKILL)
    until(lambda: len(application.workers() - {killed}) == 2, "another worker is there")
    application.says("dark")
    assert before < application.workers()
    assert application.end(signal.SIGTERM) == (0, "")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_host_leaves_signals_alone_and_no_thread_behind(flags: Flags, how: signal.Signals) -> None:
    application = flags.start("-c", WATCHED)
    application.says()
    code, said = application.end(how)
    assert (code, said.splitlines()) == (0, ["untouched", "untouched"])


def test_workers_end_where_their_parent_is_gone(flags: Flags) -> None:
    application = flags.start()
    application.says()
    assert application.end(signal.SIGKILL) == (-signal.SIGKILL, "")


def test_what_cannot_work_is_said_and_not_tried_again(flags: Flags) -> None:
    flags.place.env["FLAGS_STORE"] = "sqlit:flags.db"
    application = flags.start()
    out, _ = application.process.communicate(timeout=PATIENCE)
    assert application.process.returncode == 1
    assert 1 <= out.decode().count("did you mean sqlite?") <= 2


def test_the_readme_does_what_it_says(flags: Flags, packages: Packages) -> None:
    readme = (SAMPLE / "README.md").read_text()
    (start,), (more,), (answer,) = (texts(readme, info) for info in ("sh try", "sh more", "text more"))
    setting, name = start.split()
    variable, value = setting.split("=")
    flags.place.env[variable] = value
    site = packages.site("flags")
    flags.place.env["PYTHONPATH"] = str(site)
    application = flags.start(str(site / "bin" / name))
    put, curl = more.splitlines()
    assert curl == "curl http://127.0.0.1:8000/"
    assert flags.place.do(*shlex.split(put)[1:]).code == 0
    application.says("dark-mode")
    (said,) = application.ask(at_once=1)
    assert json.dumps(said | {"worker": 4711}) == answer.strip()
    assert application.end(signal.SIGINT) == (0, "")
