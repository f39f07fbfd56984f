"""The proxy does to connections what tests ask of it, and nothing before they ask."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.servers.proxy import Proxy
from tests.servers.server import HOST, free_port

SOON = 60.0
"""Seconds within which what must happen has happened, on a machine that is busy."""


class Echo:
    """A server that says what it hears, a thread for each connection."""

    def __init__(self) -> None:
        self._listener = socket.create_server((HOST, 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        self.ended: list[str] = []
        self.changed = threading.Condition()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if not self._threads:
                connection.close()
                return
            self._threads.append(threading.Thread(target=self._echo, args=(connection,)))
            self._threads[-1].start()

    def _echo(self, connection: socket.socket) -> None:
        how = "end"
        with connection:
            try:
                while data := connection.recv(65536):
                    connection.sendall(data)
            except ConnectionResetError:
                how = "reset"
        with self.changed:
            self.ended.append(how)
            self.changed.notify_all()

    def close(self) -> None:
        threads, self._threads = self._threads, []
        socket.create_connection(self.address).close()
        for thread in threads:
            thread.join()
        self._listener.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    with Proxy(echo.address) as proxy:
        yield proxy


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(proxy.address, SOON)


def say(client: socket.socket, text: bytes, timeout: float = SOON) -> bytes:
    client.settimeout(timeout)
    client.sendall(text)
    heard = b""
    while len(heard) < len(text):
        part = client.recv(len(text) - len(heard))
        if not part:
            break
        heard += part
    return heard


def test_everything_passes_both_ways_however_much_it_is(proxy: Proxy) -> None:
    with connect(proxy) as client:
        assert say(client, b"hello") == b"hello"
        text = bytes(range(256)) * 40_000
        sender = threading.Thread(target=client.sendall, args=(text,))
        sender.start()
        heard = b""
        while len(heard) < len(text):
            heard += client.recv(1 << 20)
        sender.join()
        assert heard == text


def test_what_one_side_ends_the_other_hears_the_end_of(proxy: Proxy, echo: Echo) -> None:
    with connect(proxy) as client:
        client.sendall(b"hello")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(10) == b"hello"
        assert client.recv(10) == b""
    with echo.changed:
        assert echo.changed.wait_for(lambda: echo.ended == ["end"], SOON)


@pytest.mark.parametrize("how", ["reset", "end"])
def test_a_cut_resets_and_a_close_ends_both_sides(proxy: Proxy, echo: Echo, how: str) -> None:
    with connect(proxy) as client:
        assert say(client, b"hello") == b"hello"
        if how == "reset":
            proxy.cut()
            with pytest.raises(ConnectionResetError):
                client.recv(10)
        else:
            proxy.close()
            assert client.recv(10) == b""
    with echo.changed:
        assert echo.changed.wait_for(lambda: echo.ended == [how], SOON)
    with connect(proxy) as client:
        assert say(client, b"again") == b"again"


def test_nothing_passes_a_stalled_proxy_until_it_flows(proxy: Proxy) -> None:
    with connect(proxy) as old:
        assert say(old, b"hello") == b"hello"
        proxy.stall()
        with connect(proxy) as fresh:
            for client in (old, fresh):
                with pytest.raises(TimeoutError):
                    say(client, b"stalled", timeout=0.1)
            proxy.flow()
            for client in (old, fresh):
                client.settimeout(SOON)
                assert client.recv(100) == b"stalled"


def test_a_delay_is_kept_and_ends(proxy: Proxy) -> None:
    with connect(proxy) as client:
        proxy.delay(0.1)
        start = time.monotonic()
        assert say(client, b"slow") == b"slow"
        assert time.monotonic() - start >= 0.2
        proxy.delay(2 * SOON)
        proxy.flow()
        start = time.monotonic()
        assert say(client, b"fast") == b"fast"
        assert time.monotonic() - start < SOON


def test_refused_connections_leave_the_others_alone(proxy: Proxy) -> None:
    with connect(proxy) as client:
        assert say(client, b"hello") == b"hello"
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            connect(proxy)
        assert say(client, b"still") == b"still"
        proxy.flow()
        with connect(proxy) as other:
            assert say(other, b"hello") == b"hello"


def test_a_server_that_is_not_there_is_a_reset() -> None:
    with Proxy((HOST, free_port())) as proxy, pytest.raises(ConnectionResetError), connect(proxy) as client:
        client.recv(10)
