"""How kazoo gets its thread and its sockets from us: so that it ends when told, and says why it could not connect."""

from __future__ import annotations

import math
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from kazoo.handlers.threading import SequentialThreadingHandler

_AGAIN = 5.0  # seconds until a lasting connection is begun again of which kazoo has given up
_GREETING = 1_000_000  # bytes; a sound one has some forty


class Handler(SequentialThreadingHandler):  # type: ignore[misc]  # kazoo ships no types
    """One thread, which serves the connection; callbacks have none, for nothing here uses any.

    ``ended`` is called by that thread when it ends, with what it ended of. Unless it is ``lasting``, what was
    connected once is never connected again (rule 1). Where it is, kazoo's thread begins again when kazoo gives up,
    which it does of a server that refuses who we are.
    """

    def __init__(self, connect_timeout: float, ended: Callable[[BaseException | None], None]) -> None:
        super().__init__()
        self.lasting = False
        self.connected = False
        """Whether there was a session; set by who hears of it."""
        self.before: Callable[[], None] | None = None
        """Called before each attempt to connect."""
        self.chore: Callable[[], None] = lambda: None
        """Called when the time is ``due``, on the handler's thread while it waits for the server."""
        self.due: float | None = None
        self.refusals: dict[str, OSError] = {}
        """Why there was no connection, by server."""
        self.tried: dict[str, tuple[str, int]] = {}
        """The servers that were to be reached."""
        self.reached: set[str] = set()
        """The servers that a connection was made with."""
        self.silent = False
        """Whether a server let us connect and then said nothing."""
        self.starved: float | None = None
        """Seconds for which the server had said nothing when it was waited for last; None where it answered."""
        self.over = threading.Event()
        self._finished = threading.Event()
        self._heard = 0.0
        self._where = ""
        self._connect_timeout = connect_timeout
        self._ended = ended
        self._socket: socket.socket | None = None

    def start(self) -> None:
        """No threads for callbacks."""

    def stop(self) -> None:
        """Nothing to end."""

    def spawn(self, func: Callable[..., object], *args: Any, **kwargs: Any) -> threading.Thread:
        def run() -> None:
            while True:
                error: BaseException | None = None
                try:
                    func(*args, **kwargs)
                except Exception as caught:  # told by who waits, not by a traceback on stderr
                    error = caught
                if not (self.lasting and self.connected) or self._finished.wait(_AGAIN):
                    break
            self.over.set()
            self._ended(error)

        thread = threading.Thread(target=run, name="datasync-zookeeper", daemon=True)
        thread.start()
        return thread

    def create_connection(self, address: tuple[str, int], *args: Any, **kwargs: Any) -> Any:
        if self.connected and not self.lasting:
            raise ConnectionAbortedError("lost once is lost")
        if self.before is not None:
            self.before()
        kwargs["timeout"] = min(kwargs.get("timeout") or self._connect_timeout, self._connect_timeout)
        where = f"{kwargs.get('hostname') or address[0]}:{address[1]}"
        self.tried[where] = address
        try:
            made = super().create_connection(address, *args, **kwargs)
        except OSError as error:
            self.refusals[where] = error
            raise
        self._socket = made
        self._where = where
        self._heard = time.monotonic()
        self.reached.add(where)
        return made

    def select(
        self, reads: Sequence[Any], writes: Sequence[Any], errors: Sequence[Any], timeout: float | None = None
    ) -> tuple[list[Any], list[Any], list[Any]]:
        """As kazoo's, which makes an epoll for each call; this is what bounds the rate of events."""
        poll = select.poll()
        for one in reads:
            poll.register(one, select.POLLIN)
        for one in writes:
            poll.register(one, select.POLLOUT)
        ready = self._wait(poll, timeout)
        if not ready and not self.connected:
            self.silent = True
        if reads and not self.connected and reads[0].fileno() in ready:
            self._check_greeting(reads[0])
        now = time.monotonic()
        if reads and reads[0].fileno() in ready:
            self._heard = now
        self.starved = None if ready else now - self._heard
        return (
            [one for one in reads if one.fileno() in ready],
            [one for one in writes if one.fileno() in ready],
            [],
        )

    def _wait(self, poll: Any, timeout: float | None) -> set[int]:
        """The sockets that are ready within that time; does the chore in between."""
        if self.due is not None:
            began = time.monotonic()
            pause = max(0.0, self.due - began)
            if timeout is None or pause < timeout:
                ready = _ready(poll, pause)
                spent = time.monotonic() - began
                if spent >= pause or not ready:
                    self.due = None
                    self.chore()
                if ready:
                    return ready
                timeout = None if timeout is None else max(0.0, timeout - spent)
        return _ready(poll, timeout)

    def _check_greeting(self, reader: Any) -> None:
        """Raise where an answer begins with what is no length of any: kazoo would wait for all of it."""
        if type(reader) is socket.socket:  # TLS lets nobody look ahead
            begins = reader.recv(4, socket.MSG_PEEK)
            if len(begins) == 4 and int.from_bytes(begins, "big", signed=True) not in range(_GREETING):
                error = OSError("it does not answer as ZooKeeper does")
                self.refusals[self._where] = error
                raise error

    def finish(self) -> None:
        """Connect no more. Any thread."""
        self.lasting, self.connected = False, True
        self._finished.set()

    def cut(self) -> None:
        """End the connection at once, whatever the server does. Any thread."""
        found = self._socket
        if found is not None:
            with suppress(OSError):
                found.shutdown(socket.SHUT_RDWR)


def _ready(poll: Any, timeout: float | None) -> set[int]:
    return {number for number, _ in poll.poll(None if timeout is None else math.ceil(timeout * 1000))}
