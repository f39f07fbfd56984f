"""A TCP proxy for tests: between a client and a server, it cuts, ends, stalls, delays and refuses connections.

One thread moves all bytes. What a test asks for is done by that thread and is done when the call returns.
"""

from __future__ import annotations

import selectors
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.servers.server import HOST

CHUNK = 1 << 16
MOST = 1 << 20
"""Bytes that one direction may hold back before its sender has to wait."""
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER so that close sends a reset."""


class Proxy:
    """Listens on ``port`` and passes what comes to ``target``. Use it as a context manager; any thread may call it."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self._listener = _listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._bell, self._ringer = socket.socketpair()
        self._wanted: deque[tuple[Callable[[], None], threading.Event]] = deque()
        self._links: set[_Link] = set()
        self._ends = False
        self._stalled = False
        self._delay = 0.0
        self._thread = threading.Thread(target=self._run, name=f"proxy-{self.port}")

    @property
    def address(self) -> tuple[str, int]:
        return HOST, self.port

    @property
    def connections(self) -> int:
        """How many there are now."""
        return len(self._links)

    def cut(self) -> None:
        """Reset every connection, on both sides."""
        self._do(lambda: self._drop(reset=True))

    def close(self) -> None:
        """End every connection as one does that has nothing more to say."""
        self._do(lambda: self._drop(reset=False))

    def stall(self) -> None:
        """Pass nothing more; connections are still taken, and get no further."""
        self._do(lambda: setattr(self, "_stalled", True))

    def delay(self, seconds: float) -> None:
        """Pass everything so much later."""
        self._do(lambda: setattr(self, "_delay", seconds))

    def refuse(self) -> None:
        """Refuse new connections, as where nobody listens; those that there are stay."""
        self._do(self._deafen)

    def flow(self) -> None:
        """Pass everything at once again, and take connections."""
        self._do(self._undo)

    def __enter__(self) -> Self:
        self._selector.register(self._bell, selectors.EVENT_READ, self._hear)
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(lambda: setattr(self, "_ends", True))
        self._thread.join()

    def _do(self, what: Callable[[], None]) -> None:
        done = threading.Event()
        self._wanted.append((what, done))
        self._ringer.send(b"!")
        assert done.wait(60), f"the proxy on port {self.port} does not answer"

    def _run(self) -> None:
        try:
            while not self._ends:
                for key, mask in self._selector.select(self._patience()):
                    key.data(mask)
                for link in list(self._links):
                    link.pass_on(time.monotonic())
        finally:
            self._drop(reset=True)
            self._deafen()
            self._selector.close()
            self._bell.close()
            self._ringer.close()

    def _patience(self) -> float | None:
        """Seconds until the first held back bytes are due."""
        dues = [due for link in self._links for due in link.dues()]
        return None if self._stalled or not dues else max(0.0, min(dues) - time.monotonic())

    def _hear(self, mask: int) -> None:
        self._bell.recv(CHUNK)
        while self._wanted:
            what, done = self._wanted.popleft()
            what()
            done.set()

    def _accept(self, mask: int) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:
            return
        server = socket.socket()
        server.setblocking(False)
        server.connect_ex(self.target)
        client.setblocking(False)
        self._links.add(_Link(self, client, server))

    def _undo(self) -> None:
        self._stalled, self._delay = False, 0.0
        if self._listener.fileno() < 0:
            self._listener = _listen(self.port)
            self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        for link in self._links:
            link.want()

    def _deafen(self) -> None:
        if self._listener.fileno() >= 0:
            self._selector.unregister(self._listener)
            self._listener.close()

    def _drop(self, *, reset: bool) -> None:
        for link in list(self._links):
            link.end(reset=reset)


class _Flow:
    """What one side of a connection has sent, and the other has yet to get."""

    def __init__(self, source: socket.socket, target: socket.socket) -> None:
        self.source, self.target = source, target
        self.held: deque[tuple[float, bytes]] = deque()  # b"": it has said all
        self.size = 0
        self.blocked = False  # the other side takes no more now
        self.ended = False


class _Link:
    """One connection through the proxy; only the proxy's thread calls it."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._flows = (_Flow(client, server), _Flow(server, client))
        self._flows[0].blocked = True  # until the server has taken the connection
        self.want()

    def want(self) -> None:
        """Wait for what can be done now."""
        for flow, back in (self._flows, self._flows[::-1]):
            reads = not (flow.ended or self._proxy._stalled or flow.size > MOST)
            writes = back.blocked and not self._proxy._stalled
            mask = selectors.EVENT_READ * reads | selectors.EVENT_WRITE * writes
            selector = self._proxy._selector
            if flow.source in selector.get_map():
                if mask:
                    selector.modify(flow.source, mask, self._ready(flow, back))
                else:
                    selector.unregister(flow.source)
            elif mask:
                selector.register(flow.source, mask, self._ready(flow, back))

    def dues(self) -> list[float]:
        return [flow.held[0][0] for flow in self._flows if flow.held and not flow.blocked]

    def pass_on(self, now: float) -> None:
        """Send what is due."""
        if self._proxy._stalled:
            self.want()
            return
        for flow in self._flows:
            while flow.held and not flow.blocked and flow.held[0][0] <= now:
                due, data = flow.held.popleft()
                try:
                    if not data:
                        flow.target.shutdown(socket.SHUT_WR)
                        continue
                    sent = flow.target.send(data)
                except BlockingIOError:
                    sent = 0
                except OSError:
                    self.end(reset=True)
                    return
                flow.size -= sent
                if sent < len(data):
                    flow.held.appendleft((due, data[sent:]))
                    flow.blocked = True
        if all(flow.ended and not flow.held for flow in self._flows):
            self.end(reset=False)
        else:
            self.want()

    def end(self, *, reset: bool) -> None:
        """Close both sides."""
        self._proxy._links.discard(self)
        for flow in self._flows:
            if flow.source in self._proxy._selector.get_map():
                self._proxy._selector.unregister(flow.source)
            if reset:
                flow.source.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            flow.source.close()

    def _ready(self, flow: _Flow, back: _Flow) -> Callable[[int], None]:
        def ready(mask: int) -> None:
            if self not in self._proxy._links:  # ended by what came before it in this turn
                return
            if mask & selectors.EVENT_WRITE:
                back.blocked = False
            if mask & selectors.EVENT_READ:
                try:
                    data = flow.source.recv(CHUNK)
                except BlockingIOError:
                    return
                except OSError:
                    self.end(reset=True)
                    return
                flow.held.append((time.monotonic() + self._proxy._delay, data))
                flow.size += len(data)
                flow.ended = not data

        return ready


def _listen(port: int) -> socket.socket:
    listener = socket.create_server((HOST, port), backlog=128)
    listener.setblocking(False)
    return listener
