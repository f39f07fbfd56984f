"""redis-py's connections with one time limit for a whole step, and an end that any thread may make.

The library limits each system call: a server that sends a byte now and then would never be late. Here a step (to
connect with TLS and HELLO, to ask and be answered) has a `Deadline` that its sends and reads share. And the library
shows a socket when everything is done; here a `Line` has it from the first moment, so that `Line.cut` ends a connect.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection

T = TypeVar("T")
_SLOWEST = 65_536  # bytes a second: who sends large answers as slowly as this is not late with them
_HURRIED = 1.0  # seconds for a sound server to end what it is about
_LOOK = 0.2  # seconds between two looks whether the step is hurried


class Deadline:
    """When the step that is under way must be over; what arrives moves it on, as little as `_SLOWEST` says."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def begin(self) -> None:
        """Begin another step."""
        self._end = time.monotonic() + self._seconds

    def hurry(self) -> None:
        """Give the step that is under way no more than a second. Any thread; the next step has its whole time."""
        self._end = min(self._end, time.monotonic() + _HURRIED)

    def left(self) -> float:
        """Return the seconds that are left. Raises `TimeoutError` where there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the step took too long")
        return left

    def came(self, size: int) -> None:
        """Count bytes that arrived."""
        self._end += size / _SLOWEST


class Line:
    """The socket of a connection that is being made. Any thread may cut it, also before there is one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = (
            None  # under the lock; a duplicate, as TLS takes the first one away
        )
        self.is_cut = False

    def hold(self, made: socket.socket) -> None:
        """Take note of a socket that is to be connected. Raises `ConnectionAbortedError` where the line was cut."""
        with self._lock:
            if self.is_cut:
                raise ConnectionAbortedError("the connection was given up")
            self._forget()
            self._socket = made.dup()

    def release(self) -> None:
        """Forget the socket: it is connected, or was given up."""
        with self._lock:
            self._forget()

    def cut(self) -> None:
        """End what is under way, and what would come."""
        with self._lock:
            self.is_cut = True
            if self._socket is not None:
                with suppress(OSError):  # it is not connected yet, or not any more
                    self._socket.shutdown(socket.SHUT_RDWR)

    def _forget(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class Timed:
    """A socket whose reads and sends end with the step that they belong to."""

    def __init__(self, inner: socket.socket, deadline: Deadline) -> None:
        self.inner = inner
        self.deadline = deadline

    def recv_into(self, *arguments: Any) -> int:
        """Read, as `socket.socket.recv_into`."""
        size = self._read(self.inner.recv_into, *arguments)
        self.deadline.came(size)
        return size

    def recv(self, *arguments: Any) -> bytes:
        """Read, as `socket.socket.recv`."""
        data = self._read(self.inner.recv, *arguments)
        self.deadline.came(len(data))
        return data

    def sendall(self, data: bytes) -> None:
        """Send, as `socket.socket.sendall`, which takes its time limit for all of the data."""
        self.inner.settimeout(self.deadline.left() + len(data) / _SLOWEST)
        self.inner.sendall(data)
        self.deadline.came(len(data))

    def _read(self, read: Callable[..., T], *arguments: Any) -> T:
        if self.inner.gettimeout() == 0:  # it is asked for what is there
            return read(*arguments)
        while True:
            self.inner.settimeout(min(self.deadline.left(), _LOOK))
            try:
                return read(*arguments)
            except TimeoutError:
                continue  # unless the step is over

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class _Steps:
    """What `Place` gives a connection before it connects."""

    line: Line
    deadline: Deadline

    def _reach(self, made: socket.socket, address: Any) -> socket.socket:
        try:
            self.line.hold(made)
            made.settimeout(self.deadline.left())
            made.connect(address)
            made.settimeout(self.deadline.left())  # TLS takes it for its whole handshake
        except BaseException:
            made.close()
            raise
        return made


class _Tcp(Connection, _Steps):
    def _connect(self) -> Any:
        failed: OSError | None = None
        for family, kind, protocol, _, address in socket.getaddrinfo(
            self.host, self.port, 0, socket.SOCK_STREAM
        ):
            made = socket.socket(family, kind, protocol)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            try:
                return self._reach(made, address)
            except OSError as error:
                failed = error
        raise failed or OSError("the name has no address")


class TcpLink(_Tcp):
    """A connection through TCP."""

    def _connect(self) -> Any:
        return Timed(super()._connect(), self.deadline)


class TlsLink(SSLConnection, _Tcp):
    """A connection through TLS."""

    def _connect(self) -> Any:
        connect: Callable[[], Any] = super()._connect  # which has no types
        return Timed(connect(), self.deadline)


class UnixLink(UnixDomainSocketConnection, _Steps):
    """A connection through a socket of this machine."""

    def _connect(self) -> Any:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        return Timed(self._reach(made, self.path), self.deadline)
