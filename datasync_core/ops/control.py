"""The control socket: how `datasync-host status`, `explain`, `resync` and `release` ask a running host.

A Unix socket in the state directory, for its owner alone (mode 0600), served by a thread of its own, so that it
answers also while a hook hangs; the thread never waits for one client, so that it answers the others. One JSON line
in, one out: ``{"command": …, …}`` → ``{"result": …}`` or ``{"error": sentence}``, with ``"kind": "usage"`` where the
request is wrong rather than the host. A path too long for a socket's address is reached through the folder's
descriptor.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from datasync_core.model.errors import DatasyncError, HostError, UsageError
from datasync_core.model.runtime import Runtime, Thread
from datasync_core.ops.commands import Commands
from datasync_core.ops.conversation import Conversation
from datasync_core.ops.forks import forget_in_children
from datasync_core.ops.statedir import unusable

log = logging.getLogger("datasync")

NAME = "control"
PATIENCE = 5.0
"""Seconds that one client may take for all, its line and the answer."""
MOST = 64
"""Clients at once; the oldest makes room for one more."""


class ControlSocket:
    """Serves one host's commands. `start` and `stop` belong to whoever starts and stops the host."""

    def __init__(self, folder: Path, commands: Commands, runtime: Runtime) -> None:
        self._folder = folder
        self._commands = commands
        self._runtime = runtime
        self._sockets: tuple[
            socket.socket, ...
        ] = ()  # the one that listens, and the two ends of what wakes its thread
        self._thread: Thread | None = None

    def start(self) -> None:
        """Open the socket and begin to answer. Raises `ConfigError` where it cannot be opened."""
        forget_in_children(self)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with suppress(FileNotFoundError):  # left by a host that was killed; the lock says that it is gone
                (self._folder / NAME).unlink()
            with _address(self._folder) as address:
                # Linux takes the mode of the unbound socket over to its file, so that it is never open to others and
                # the process's umask stays; elsewhere the second call closes it a moment later.
                os.fchmod(listener.fileno(), 0o600)
                listener.bind(address)
                os.chmod(address, 0o600)
            listener.listen(MOST)
            listener.setblocking(False)
            self._sockets = (listener, *socket.socketpair())
        except OSError as error:
            listener.close()
            raise unusable(self._folder, error) from error
        self._thread = self._runtime.start(self._serve, "datasync-control")

    def stop(self) -> None:
        """End the thread, whatever its clients do, and remove the socket; any number of times."""
        if self._sockets:
            with suppress(OSError):
                self._sockets[1].send(b"x")
            if self._thread is not None:
                self._thread.join()
            with suppress(OSError):
                (self._folder / NAME).unlink()
            self.forget()

    def forget(self) -> None:
        """Close the sockets and leave the rest to whom it belongs: in a forked child the parent still serves."""
        sockets, self._sockets = self._sockets, ()
        for each in sockets:
            each.close()

    def _serve(self) -> None:
        listener, _, woken = self._sockets
        talks: list[Conversation] = []
        with selectors.DefaultSelector() as ready, ExitStack() as last:
            last.callback(_end, talks)
            ready.register(listener, selectors.EVENT_READ)
            ready.register(woken, selectors.EVENT_READ)
            while True:
                now = self._runtime.monotonic()
                for talk in [*talks]:
                    if talk.is_over(now) or len(talks) > MOST:
                        talks.remove(talk)
                        ready.unregister(talk.client)
                        talk.client.close()
                soonest = min((talk.deadline - now for talk in talks), default=None)
                for key, _ in ready.select(soonest):
                    if key.fileobj is woken:
                        return
                    if key.fileobj is listener:
                        with suppress(OSError):  # a client that went away again
                            client, _ = listener.accept()
                            until = self._runtime.monotonic() + PATIENCE  # not from before the wait
                            talks.append(Conversation(client, partial(self._answer, _asker(client)), until))
                            ready.register(client, talks[-1].waits_for, talks[-1])
                    else:
                        key.data.go_on()
                        ready.modify(key.fileobj, key.data.waits_for or selectors.EVENT_READ, key.data)

    def _answer(self, by: str, line: bytes) -> bytes:
        return json.dumps(self._answered(line, by)).encode() + b"\n"

    def _answered(self, line: bytes, by: str) -> dict[str, Any]:
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise UsageError("a request is a JSON object")
            return {"result": self._do(request, by)}
        except ValueError as error:
            return {"error": f"a request is one line of JSON: {error}", "kind": "usage"}
        except UsageError as error:
            return {"error": str(error), "kind": "usage"}
        except DatasyncError as error:
            return {"error": str(error)}
        except Exception as error:  # the answering must outlive a mistake of ours
            log.exception("the control socket made a mistake")
            return {"error": f"a mistake of datasync itself: {type(error).__name__}: {error}"}

    def _do(self, request: Mapping[str, Any], by: str) -> Any:
        match request:
            case {"command": "status"}:
                return self._commands.status()
            case {"command": "explain", "key": str(key)}:
                return self._commands.explain(key)
            case {"command": "resync", "plugins": list(plugins)}:
                return list(self._commands.resync(*plugins, by=by))
            case {"command": "release", "plugin": str(plugin)}:
                return self._commands.release(plugin, by=by)
        raise UsageError("the commands are status, explain (key), resync (plugins) and release (plugin)")


def _asker(client: socket.socket) -> str:
    """Who is at the other end, as the system knows it where it tells."""
    if not hasattr(socket, "SO_PEERCRED"):
        return "the control socket"
    pid, uid, _ = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return f"uid {uid}, pid {pid}"


def _end(talks: Iterable[Conversation]) -> None:
    for talk in talks:
        talk.client.close()


def ask(folder: Path, request: Mapping[str, Any], timeout: float = 10.0) -> Any:
    """Ask the host whose state is in ``folder``; its result.

    Raises `HostError` where none runs or none answers within ``timeout`` seconds, `UsageError` for what it refuses.
    """
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as client:
        client.settimeout(timeout)
        try:
            with _address(folder) as address:
                client.connect(address)
            client.sendall(json.dumps(request).encode() + b"\n")
            line = _line(client)
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            raise HostError(
                f"no host answers in {folder}: start one with datasync-host run, or give the -c and --name of its start"
            ) from None
        except PermissionError:
            raise HostError(f"the host in {folder} belongs to another user: ask as that one") from None
        except OSError as error:
            raise HostError(f"the host in {folder} does not answer: {error}") from error
    if not line.endswith(b"\n"):
        raise HostError(f"the host in {folder} ended while it was asked")
    answer = json.loads(line)
    if "error" in answer:
        raise (UsageError if answer.get("kind") == "usage" else HostError)(answer["error"])
    return answer["result"]


@contextmanager
def _address(folder: Path) -> Iterator[str]:
    """An address of the socket that is short enough, whatever the folder's path: about a hundred bytes fit."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        proxy = f"/proc/self/fd/{descriptor}"
        yield f"{proxy}/{NAME}" if os.path.isdir(proxy) else str(folder / NAME)
    finally:
        os.close(descriptor)


def _line(connection: socket.socket) -> bytes:
    """One line; what came where the other side closed before."""
    received = bytearray()
    while not received.endswith(b"\n") and (part := connection.recv(1 << 16)):
        received += part
    return bytes(received)
