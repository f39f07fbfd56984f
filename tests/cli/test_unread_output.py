"""Outputs that are not read: neither delivery nor the end of a host waits for them (G12, G15)."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.cli.command import COMMAND, GREET, HANG, PATIENCE, Place

pytestmark = pytest.mark.slow

SIZE = 4096
TALKS = """
    from datasync_core import Watch, hookimpl

    watches = [Watch("hello/", str)]

    @hookimpl
    def on_start(context):
        global log
        log = context.log

    @hookimpl
    def on_resync(event):
        for number in range(int(event[watches[0]].get("lines", 0))):
            log.warning("line %d of a device", number)
        print("done", flush=True)

    @hookimpl
    def on_stop():
        print("on_stop", flush=True)
"""
NOTICE = re.compile(r"log: ([\d,]+) lines dropped: standard error was not read")


class Pipe:
    """A small pipe; ``write`` is for a process. The test reads it, or lets it be full."""

    def __init__(self, stack: ExitStack) -> None:
        self.read, self.write = os.pipe()
        stack.callback(os.close, self.read)
        self._open = stack.enter_context(ExitStack())
        self._open.callback(os.close, self.write)
        fcntl.fcntl(self.write, fcntl.F_SETPIPE_SZ, SIZE)

    def fill(self) -> None:
        """Fill it by another opening, which alone does not wait."""
        other = os.open(f"/proc/self/fd/{self.read}", os.O_WRONLY | os.O_NONBLOCK)
        with suppress(BlockingIOError):
            while True:
                os.write(other, b"-" * SIZE)
        with suppress(BlockingIOError):
            while True:
                os.write(other, b"-")
        os.close(other)

    def hand_over(self) -> None:
        """The process has it: its end here is closed."""
        self._open.close()

    def rest(self) -> str:
        """Read until whoever writes has closed it."""
        parts = []
        while part := os.read(self.read, 1 << 16):
            parts.append(part)
        return b"".join(parts).decode()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    with ExitStack() as stack:
        yield Pipe(stack)


@contextmanager
def running(
    place: Place, *args: str, stdout: int | None = None, stderr: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A host with its output in the file ``out``, or where the arguments say."""
    with (place.folder / "out").open("wb") as out:
        host = subprocess.Popen(
            [*COMMAND, "run", *args],
            cwd=place.folder,
            env=place.env,
            stdout=out if stdout is None else stdout,
            stderr=subprocess.DEVNULL if stderr is None else stderr,
        )
    try:
        yield host
    finally:
        host.kill()
        host.wait()


def until(place: Place, text: str) -> None:
    """Wait until the plugin has printed it, by asking the host for its state meanwhile."""
    file = place.folder / "out"
    for _ in range(300):
        if text in file.read_text():
            return
        place.do("status")
    raise AssertionError(f"{text!r} is not in {file.read_text()!r}")


def settings(place: Place, **host: object) -> None:
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in host.items())
    place.write("datasync.toml", f'[stores]\nmain = "sqlite:data.db"\n[host]\n{lines}')


def test_G15_delivery_and_stop_go_on_where_the_log_is_not_read(place: Place, pipe: Pipe) -> None:
    place.install("talks", TALKS)
    place.install("greet", GREET)
    settings(place)
    pipe.fill()
    with running(place, stderr=pipe.write) as host:
        until(place, "done")
        place.do("put", "hello/lines", "500")
        place.do("put", "hello/ada", "hi")
        until(place, "change CREATE ada hi")
        host.terminate()
        assert host.wait(PATIENCE) == 0
    assert (place.folder / "out").read_text().count("on_stop") == 2


@pytest.mark.parametrize("form", ["text", "json"])
def test_lines_that_were_dropped_are_counted_and_the_rest_in_order(
    place: Place, pipe: Pipe, form: str
) -> None:
    total = 30_000
    place.install("talks", TALKS)
    settings(place)
    place.do("put", "hello/lines", str(total))
    with running(place, "--log-format", form, stderr=pipe.write) as host:
        pipe.hand_over()
        until(place, "done")  # without a reader so far
        host.terminate()
        said = pipe.rest()
        assert host.wait(PATIENCE) == 0
    if form == "json":
        said = "\n".join(json.loads(line)["message"] for line in said.splitlines())
    numbers = [int(number) for number in re.findall(r"line (\d+) of a device", said)]
    dropped = sum(int(number.replace(",", "")) for number in NOTICE.findall(said))
    assert numbers == sorted(set(numbers))
    assert 0 < dropped == total - len(numbers) + said_otherwise(said)


def said_otherwise(said: str) -> int:
    """Lines of the host's own that were dropped, too: none of those that are looked for came."""
    return sum(line not in said for line in ("talks: in sync", "stopping, because of SIGTERM"))


def test_G12_a_hook_that_hangs_ends_with_75_where_the_log_is_not_read(place: Place, pipe: Pipe) -> None:
    place.install("stuck", HANG)
    settings(place, hook_timeout=2.0, on_hang="restart")
    pipe.fill()
    with running(place, stderr=pipe.write) as host:
        assert host.wait(PATIENCE) == 75


def test_G12_a_locked_interpreter_is_ended_where_the_log_is_not_read(place: Place, pipe: Pipe) -> None:
    locks = HANG.replace("threading.Event().wait()", 're.match("(b+)+$", "b" * 60 + "a")')
    place.install("stuck", locks.replace("import threading", "import re"))
    settings(place, hook_timeout=2.0, on_hang="restart")
    pipe.fill()
    with running(place, stderr=pipe.write) as host:
        assert host.wait(PATIENCE) == 1


def test_G12_stop_timeout_holds_where_the_log_is_not_read(place: Place, pipe: Pipe) -> None:
    place.install("stuck", HANG)
    settings(place, stop_timeout=0.2)
    pipe.fill()
    with running(place, stderr=pipe.write) as host:
        until(place, "inside")
        host.terminate()
        assert host.wait(PATIENCE) == 1


def test_G12_what_a_plugin_printed_and_is_not_read_holds_up_no_end(place: Place, pipe: Pipe) -> None:
    """The text is in the interpreter's buffer until the end, and its pipe is full."""
    place.install("prints", GREET.replace(", flush=True", ""))
    settings(place)
    place.env.pop("PYTHONUNBUFFERED", None)
    pipe.fill()
    log = place.folder / "log"
    with log.open("wb") as err, running(place, stdout=pipe.write, stderr=err.fileno()) as host:
        while "in sync" not in log.read_text():
            place.do("status")
            assert host.poll() is None, log.read_text()
        host.terminate()
        assert host.wait(PATIENCE) == 0


def test_a_refusal_of_run_ends_it_where_stderr_is_not_read(place: Place, pipe: Pipe) -> None:
    pipe.fill()
    with running(place, "-c", "none.toml", stderr=pipe.write) as host:
        assert host.wait(PATIENCE) == 3


def test_lines_of_a_forked_child_are_there_once(place: Place) -> None:
    forks = TALKS.replace(
        "log = context.log",
        """log = context.log
        import os
        log.warning("from the parent")
        child = os.fork()
        if child == 0:
            for number in range(3):
                log.warning("child line %d", number)
            os._exit(0)
        os.waitpid(child, 0)
        print("child ended", flush=True)""",
    )
    place.install("talks", forks)
    settings(place)
    log: Path = place.folder / "log"
    with log.open("wb") as err, running(place, stderr=err.fileno()) as host:
        until(place, "child ended")
        host.terminate()
        assert host.wait(PATIENCE) == 0
    said = log.read_text()
    assert [said.count(f"child line {number}") for number in range(3)] == [1, 1, 1]
    assert said.count("from the parent") == 1
