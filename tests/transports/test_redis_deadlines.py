"""A server that answers a byte now and then, or not at all: late as a whole, and no wait for whoever wants to end."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from datasync_core.plugins.transports import make_transport
from datasync_core.transport import ConnectionLost, Put, StoreError, Transport, Url
from tests.transports.test_junk import SOUND

pytestmark = pytest.mark.slow
SOON = 20.0  # seconds, on a slow machine
NEVER = 600.0  # of liveness, where something else is to end the wait


class Slow:
    """Answers soundly but for one command: that answer begins, and goes on by a byte each tenth of a second."""

    def __init__(self, command: bytes, *, frozen: bool = False) -> None:
        self.command = command
        self.frozen = frozen
        self.reached = threading.Event()
        self.ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def transport(self) -> Transport:
        port = self._listener.getsockname()[1]
        return make_transport(Url.parse(f"redis://127.0.0.1:{port}/0"), {})

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection, connection.makefile("rb") as stream:
            try:
                while line := stream.readline():
                    words = []
                    for _ in range(int(line[1:])):
                        size = int(stream.readline()[1:])
                        words.append(stream.read(size))
                        stream.read(2)
                    if words[0] == self.command:
                        self._trickle(connection)
                    connection.sendall(SOUND.get(words[0], b"+OK\r\n"))
            except (OSError, ValueError):
                return

    def _trickle(self, connection: socket.socket) -> None:
        self.reached.set()
        connection.sendall(b"*1\r\n$100000\r\n")
        while not self.ended.wait(0.1):
            if not self.frozen:
                connection.sendall(b"x")

    def close(self) -> None:
        self.ended.set()
        self._thread.join()
        self._listener.close()


@pytest.fixture
def slow() -> Iterator[Callable[..., Slow]]:
    made: list[Slow] = []

    def make(command: bytes, *, frozen: bool = False) -> Slow:
        made.append(Slow(command, frozen=frozen))
        return made[-1]

    yield make
    for one in made:
        one.close()


def loss(call: Callable[[], object]) -> tuple[StoreError, float]:
    began = time.monotonic()
    with pytest.raises(ConnectionLost) as caught:
        call()
    return caught.value, time.monotonic() - began


@pytest.mark.parametrize("command", [b"HELLO", b"CLIENT", b"PING", b"SCAN", b"MGET"])
def test_an_answer_that_trickles_is_late_as_a_whole(slow: Callable[..., Slow], command: bytes) -> None:
    transport = slow(command).transport
    transport.liveness = 1.0
    subscription = transport.subscribe([""])
    error, took = loss(lambda: list(subscription.snapshot()))
    subscription.close()
    assert "does not answer" in str(error)
    assert took < SOON


def test_a_commit_whose_answer_trickles_is_late_as_a_whole(slow: Callable[..., Slow]) -> None:
    transport = slow(b"SET").transport
    transport.liveness = 1.0
    writer = transport.writer()
    _, took = loss(lambda: writer.commit([Put("a", b"1")]))
    writer.close()
    assert took < SOON


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("command", [b"HELLO", b"MGET"])
@pytest.mark.parametrize("how", ["wake", "close"])
def test_a_snapshot_that_waits_is_ended_by_another_thread(
    slow: Callable[..., Slow], command: bytes, how: str, frozen: bool
) -> None:
    server = slow(command, frozen=frozen)
    transport = server.transport
    transport.liveness = NEVER
    subscription = transport.subscribe([""])

    def end() -> None:
        server.reached.wait(SOON)
        getattr(subscription, how)()

    thread = threading.Thread(target=end)
    thread.start()
    _, took = loss(lambda: list(subscription.snapshot()))
    thread.join()
    subscription.close()
    assert took < 2 * SOON


@pytest.mark.parametrize("command", [b"HELLO", b"SET"])
def test_a_commit_that_waits_is_ended_by_close(slow: Callable[..., Slow], command: bytes) -> None:
    server = slow(command)
    transport = server.transport
    transport.liveness = NEVER
    writer = transport.writer()

    def end() -> None:
        server.reached.wait(SOON)
        writer.close()

    thread = threading.Thread(target=end)
    thread.start()
    _, took = loss(lambda: writer.commit([Put("a", b"1")]))
    thread.join()
    assert took < 2 * SOON
