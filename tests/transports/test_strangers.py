"""Whoever names the wrong port, or forgets TLS, is told what answers there, as soon as it has answered."""

from __future__ import annotations

import gc
import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from datasync_core.plugins.transports import make_transport
from datasync_core.transport import StoreError, Url, stranger
from tests.servers.certificates import Certificates
from tests.servers.redis import Redis
from tests.servers.zookeeper import ZooKeeper

pytestmark = pytest.mark.server

SOON = 60.0
"""Seconds within which what must happen has happened, on a machine that is busy."""
SILENT = 2.0
"""The liveness of what is tried: who says nothing is waited for so long, and then asked who it is."""


class Quiet(BaseHTTPRequestHandler):
    """Refuses all, in HTTP."""

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def ports(
    tmp_path_factory: pytest.TempPathFactory, redis_server: Redis, zookeeper_server: ZooKeeper
) -> Iterator[dict[str, int]]:
    """Who speaks what, and where."""
    folder = tmp_path_factory.mktemp("strangers")
    certificates = Certificates(folder / "ca")
    with (
        Redis(folder / "redis", certificates=certificates) as secure_redis,
        ZooKeeper(folder / "zookeeper", certificates=certificates) as secure_zookeeper,
        ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as web,
        socket.create_server(("127.0.0.1", 0)) as shell,
        socket.create_server(("127.0.0.1", 0)) as mute,
        ExitStack() as stack,
    ):
        threads = [
            threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01}),
            threading.Thread(target=greet, args=(shell, stack)),
        ]
        for thread in threads:
            thread.start()
        yield {
            "redis": redis_server.port,
            "redis tls": secure_redis.tls_port,
            "zookeeper": zookeeper_server.port,
            "zookeeper tls": secure_zookeeper.tls_port,
            "web": web.server_address[1],
            "shell": shell.getsockname()[1],
            "mute": mute.getsockname()[1],
        }
        web.shutdown()
        shell.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()


def greet(listener: socket.socket, stack: ExitStack) -> None:
    """Say who one is, and wait."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        stack.enter_context(connection)
        connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")


def be_patient(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Wait longer for the answer of who answers: the machine may be busy."""
    if name != "mute":
        monkeypatch.setattr(sys.modules[stranger.__module__], "_PATIENCE", SOON / 2)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("redis", "Redis"),
        ("redis tls", "TLS"),
        ("zookeeper", "ZooKeeper"),
        ("zookeeper tls", "TLS"),
        ("web", "HTTP"),
        ("shell", "'SSH-2.0-OpenSSH_9.2'"),
        ("mute", None),
    ],
)
def test_who_answers_can_be_told(
    ports: dict[str, int], name: str, found: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    be_patient(monkeypatch, name)
    assert stranger("127.0.0.1", ports[name]) == found


def test_nobody_is_no_stranger() -> None:
    assert stranger("nobody.invalid", 1) is None


@pytest.mark.parametrize(
    ("url", "name", "said", "silent"),
    [
        ("redis://{}", "redis tls", "it speaks TLS: write rediss://", False),
        ("redis://{}", "web", "it is no Redis: what is there speaks HTTP", False),
        ("redis://{}", "shell", "it is no Redis: what is there speaks 'SSH-2.0-OpenSSH_9.2'", False),
        ("redis://{}", "zookeeper", "it is no Redis: what is there speaks ZooKeeper", False),
        ("redis://{}?service=mymaster", "zookeeper", "it is no Redis: what is there speaks ZooKeeper", False),
        ("redis://{}", "mute", "does not answer", True),
        ("rediss://{}", "redis", "it speaks no TLS: write redis://", True),
        ("rediss://{}", "web", "it is no Redis: what is there speaks HTTP", False),
        ("rediss://{}", "zookeeper", "it is no Redis: what is there speaks ZooKeeper", False),
        ("zookeeper://{}", "zookeeper tls", "{} speaks TLS: add tls=true", False),
        ("zookeeper://{}", "redis", "{} is no ZooKeeper: what is there speaks Redis", True),
        ("zookeeper://{}", "redis tls", "{} speaks TLS: add tls=true", False),
        ("zookeeper://{}", "web", "{} is no ZooKeeper: what is there speaks HTTP", True),
        ("zookeeper://{}", "shell", "{} is no ZooKeeper: what is there speaks 'SSH-2.0-OpenSSH_9.2'", False),
        ("zookeeper://{}", "mute", "does not answer within 2 s", True),
    ],
)
def test_who_is_not_the_store_is_told(
    ports: dict[str, int], url: str, name: str, said: str, silent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    be_patient(monkeypatch, name)
    place = f"127.0.0.1:{ports[name]}"
    transport = make_transport(Url.parse(url.format(place)), {})
    transport.liveness = SILENT if silent else 2 * SOON
    subscription = transport.subscribe(["a/"])
    began = time.monotonic()
    with pytest.raises(StoreError) as raised:
        list(subscription.snapshot())
    assert time.monotonic() - began < SOON
    assert said.format(place) in str(raised.value)
    subscription.close()
    transport.close()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("zookeeper", "{} speaks no TLS: leave out tls="),
        ("redis", "{} is no ZooKeeper: what is there speaks Redis"),
        ("web", "{} is no ZooKeeper: what is there speaks HTTP"),
    ],
)
def test_check_tells_who_does_not_speak_TLS(
    ports: dict[str, int], tmp_path: Path, name: str, said: str
) -> None:
    """In a process of its own: kazoo lets go of a socket that failed in TLS without closing it."""
    place = f"127.0.0.1:{ports[name]}"
    answer = subprocess.run(
        [
            sys.executable,
            "-m",
            "datasync_core",
            "check",
            "--store",
            f"zookeeper://{place}?tls=true&liveness=1",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.format(place) in answer.stdout


def test_a_peer_that_resets_each_connection_leaves_no_socket_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each connection is reset before anything is sent."""
    connect = socket.create_connection

    def connect_and_wait(address: tuple[str, int], timeout: float) -> socket.socket:
        connection = connect(address, timeout)
        assert select.select([connection], [], [], SOON)[0], "the reset arrives"
        return connection

    monkeypatch.setattr(socket, "create_connection", connect_and_wait)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def reset() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()

        thread = threading.Thread(target=reset)
        thread.start()
        opened = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            assert stranger("127.0.0.1", listener.getsockname()[1]) is None
        gc.collect()  # what was left open would be told as an unraisable warning, and fail this test
        assert len(os.listdir("/proc/self/fd")) == opened
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
