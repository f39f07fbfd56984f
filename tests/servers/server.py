"""A real server for tests: a process of this one's, on a free port of 127.0.0.1, with a folder and a log of its own.

Each kind says how it is started (`command`), how to tell that it serves (`serves`) and where its data is (`wipe`).
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

PATIENCE = 60.0
"""Seconds that a server has to begin, or to end by itself; they take far less."""

HOST = "127.0.0.1"


class NotServing(Exception):
    """A server that did not begin to serve; says what its log ends with."""


class Server(ABC):
    """One server. ``with`` starts and ends it; `restart`, `kill`, `freeze` and `thaw` are what may befall it.

    It ends with the thread that started it, where the system has `setpriv`.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.log = folder / "log"
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> tuple[str, int]:
        return HOST, self.port

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return None if self._process is None else self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @abstractmethod
    def command(self) -> list[str]:
        """What starts it, on the ports that it has now; writes its configuration."""

    @abstractmethod
    def serves(self) -> bool:
        """Whether it answers as it should; asked until it does."""

    @abstractmethod
    def wipe(self) -> None:
        """Remove its data; it does not run."""

    def move(self) -> None:
        """Take other ports: somebody else has one of these."""
        self.port = free_port()

    def start(self) -> Self:
        """Start it and wait until it serves; it has its port, which stays the same from the first start on."""
        for again in range(5):
            self.spawn()
            try:
                self.await_serving()
            except NotServing as error:
                self.kill()
                if again == 4 or not is_taken(str(error)):
                    raise
                self.move()
            except BaseException:
                self.kill()
                raise
            else:
                break
        return self

    def spawn(self) -> None:
        """Start it without waiting: of several that need each other."""
        assert not self.running, f"{self} runs already"
        command = self.command()
        if (setpriv := shutil.which("setpriv")) is not None:
            command = [
                setpriv,
                "--pdeathsig",
                "KILL",
                *command,
            ]  # tests may be killed: nothing of theirs stays
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0
            )

    def await_serving(self, patience: float = PATIENCE) -> None:
        """Wait until it serves. Raises `NotServing`."""
        assert self._process is not None
        deadline = time.monotonic() + patience
        while not self._serves():
            try:
                self._process.wait(0.02)
            except subprocess.TimeoutExpired:
                if time.monotonic() < deadline:
                    continue
                raise NotServing(f"{self} does not serve after {patience} s:\n{self.said()}") from None
            raise NotServing(f"{self} ended with {self._process.returncode}:\n{self.said()}")

    def _serves(self) -> bool:
        try:
            return self.serves()
        except OSError:
            return False

    def said(self) -> str:
        """The end of its log."""
        try:
            return self.log.read_text(errors="replace")[-3000:]
        except OSError:
            return ""

    def stop(self) -> None:
        """End it by SIGTERM, as an operator does."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(how)
            process.send_signal(signal.SIGCONT)  # a frozen one hears no SIGTERM
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def freeze(self) -> None:
        """Stop it where it is: its connections stay, nobody answers."""
        self._signal(signal.SIGSTOP)
        assert self._process is not None
        if self._process.returncode is not None:
            return  # it had ended before
        # A thread of it must take the signal up first; on a busy machine the others go on for so long.
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, which: signal.Signals) -> None:
        assert self._process is not None, f"{self} does not run"
        self._process.send_signal(which)

    def restart(self, *, keep_data: bool = True, kill: bool = False) -> None:
        """End it if it runs, and start it again on its port, with what it had or with nothing."""
        self._end(signal.SIGKILL if kill else signal.SIGTERM)
        if not keep_data:
            self.wipe()
        self.start()

    def __enter__(self) -> Self:
        return self if self.running else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {HOST}:{self.port}, pid {self.pid}>"


def is_taken(said: str) -> bool:
    """Whether that is how a server says that somebody else has its port."""
    return any(sign in said for sign in ("in use", "BindException"))


def free_port() -> int:
    """A port that nobody has now, below those that systems give to connections: none takes it between two starts."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """So many of them, each another one."""
    draw = random.Random()  # one seed for all workers would give all of them the same ports
    ports: list[int] = []
    for port in draw.sample(range(10_000, 32_000), 200 + count):
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        ports.append(port)
        if len(ports) == count:
            return ports
    raise OSError(f"no {count} ports of 10000 to 31999 are free on {HOST}")


def ask(address: tuple[str, int], question: bytes, timeout: float) -> bytes:
    """What a server that ends the connection afterwards answers to some bytes."""
    with socket.create_connection(address, timeout) as connection:
        connection.sendall(question)
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer
