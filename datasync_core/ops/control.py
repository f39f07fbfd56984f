"""The control socket: how `datasync-host status`, `explain`, `resync` and `release` ask a running host.

A Unix socket in the state directory, for its owner alone (mode 0600), served by a thread of its own, so that it
answers also while a hook hangs; the thread never waits for one client, so that it answers the others. One JSON line
in, one out: ``{"command": …, …}`` → ``{"result": …}`` or ``{"error": sentence}``, with ``"kind": "usage"`` where the
request is wrong rather than the host. A path too long for a socket's address is reached through the folder's
descriptor.

The same thread looks every few seconds whether the state directory is still this host's (`ops.statedir`).
"""

from __future__ import annotations

import errno
import json
import logging
import os
import selectors
import socket
import struct
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

from datasync_core.dispatch.dispatcher import Dispatcher
from datasync_core.model.errors import DatasyncError, HostError, UsageError, error_text, said
from datasync_core.model.faults import Fault, FaultKind
from datasync_core.model.runtime import Runtime, Thread
from datasync_core.ops.commands import Commands
from datasync_core.ops.conversation import Conversation
from datasync_core.ops.forks import forget_in_children
from datasync_core.ops.ownership import unusable
from datasync_core.ops.statedir import StateDir

log = logging.getLogger("datasync")

NAME = "control"
PATIENCE = 5.0
"""Seconds that one client may take for all, its line and the answer."""
MOST = 64
"""Clients at once; the oldest makes room for one more."""
LOOK = 2.0
"""Seconds between looks at whether the state directory is still this host's."""
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
PAUSE = 1.0
"""Seconds for which no client is accepted where the process or the machine has no descriptor left for one."""


class ControlSocket:
    """Serves one host's commands. `start` and `stop` belong to whoever starts and stops the host."""

    def __init__(self, state: StateDir, commands: Commands, dispatcher: Dispatcher, runtime: Runtime) -> None:
        self._state = state
        self._commands = commands
        self._dispatcher = dispatcher
        self._runtime = runtime
        self.lost: HostError | None = None
        """Why the host is being stopped: another one holds its state directory. Any thread may read it."""
        self._sockets: tuple[
            socket.socket, ...
        ] = ()  # the one that listens, and the two ends of what wakes its thread
        self._bound: os.stat_result | None = None
        self._looked = 0.0
        self._resume: float | None = None  # when clients are accepted again, where none can be for the moment
        self._said: str | None = None  # the last warning
        self._thread: Thread | None = None

    def start(self) -> None:
        """Open the socket and begin to answer. Raises `ConfigError` where it cannot be opened."""
        forget_in_children(self)
        try:
            with ExitStack() as opened:
                listener = opened.enter_context(self._listener())
                self._sockets = (listener, *socket.socketpair())
                opened.pop_all()
        except OSError as error:
            raise unusable(self._state.folder, error) from error
        self._thread = self._runtime.start(self._serve, "datasync-control")

    def stop(self) -> None:
        """End the thread, whatever its clients do, and remove the socket; any number of times."""
        if self._sockets:
            with suppress(OSError):
                self._sockets[1].send(b"x")
            if self._thread is not None:
                self._thread.join()
            if self._is_bound():
                with suppress(OSError):
                    os.unlink(NAME, dir_fd=self._state.descriptor)
            self.forget()

    def forget(self) -> None:
        """Close the sockets and leave the rest to whom it belongs: in a forked child the parent still serves."""
        sockets, self._sockets = self._sockets, ()
        for each in sockets:
            each.close()

    def _listener(self) -> socket.socket:
        folder = self._state.descriptor
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with suppress(FileNotFoundError):  # left by a host that was killed; the lock says that it is gone
                os.unlink(NAME, dir_fd=folder)
            # Linux takes the mode of the unbound socket over to its file, so that it is never open to others and
            # the process's umask stays; elsewhere the second call closes it a moment later.
            os.fchmod(listener.fileno(), 0o600)
            listener.bind(_address(folder, self._state.folder))
            os.chmod(NAME, 0o600, dir_fd=folder)
            self._bound = os.stat(NAME, dir_fd=folder, follow_symlinks=False)
            listener.listen(MOST)
            listener.setblocking(False)
        except BaseException:
            listener.close()
            raise
        return listener

    def _is_bound(self) -> bool:
        """Return whether the socket in the folder is still the one that this host made."""
        try:
            found = os.stat(NAME, dir_fd=self._state.descriptor, follow_symlinks=False)
        except OSError:
            return False
        return self._bound is not None and os.path.samestat(found, self._bound)

    def _serve(self) -> None:
        talks: list[Conversation] = []
        woken = self._sockets[2]
        self._looked = self._runtime.monotonic()
        with selectors.DefaultSelector() as ready, ExitStack() as last:
            last.callback(_end, talks)
            ready.register(self._sockets[0], selectors.EVENT_READ)
            ready.register(woken, selectors.EVENT_READ)
            while True:
                now = self._runtime.monotonic()
                if self._looked + LOOK <= now:
                    self._looked = now
                    self._look(ready)
                if self._resume is not None and self._resume <= now:
                    self._resume = None
                    ready.register(self._sockets[0], selectors.EVENT_READ)
                for talk in [*talks]:
                    if talk.is_over(now) or len(talks) > MOST:
                        talks.remove(talk)
                        ready.unregister(talk.client)
                        talk.client.close()
                moments = [self._looked + LOOK, *(talk.deadline for talk in talks)]
                soonest = min(moments if self._resume is None else [*moments, self._resume])
                for key, _ in ready.select(max(soonest - now, 0.0)):
                    if key.fileobj is woken:
                        return
                    if key.fileobj is self._sockets[0]:
                        if client := self._accepted(ready):
                            until = self._runtime.monotonic() + PATIENCE  # not from before the wait
                            talks.append(Conversation(client, partial(self._answer, _asker(client)), until))
                            ready.register(client, talks[-1].waits_for, talks[-1])
                    else:
                        key.data.go_on()
                        ready.modify(key.fileobj, key.data.waits_for or selectors.EVENT_READ, key.data)

    def _accepted(self, ready: selectors.BaseSelector) -> socket.socket | None:
        """Accept a client; where there is no descriptor left for one, pause instead of asking again at once."""
        try:
            client, _ = self._sockets[0].accept()
        except OSError as error:
            if error.errno in _EXHAUSTED:
                ready.unregister(self._sockets[0])
                self._resume = self._runtime.monotonic() + PAUSE
                self._warn(f"status, explain, resync and release are not answered for now: {error.strerror}")
            return None  # else a client that went away again
        self._said = None
        return client

    def _look(self, ready: selectors.BaseSelector) -> None:
        """Look whether state directory and socket are still this host's; make again what is not, or stop the host."""
        if self.lost is not None:
            return
        try:
            what = self._state.check()
        except HostError as error:
            self.lost = HostError(f"this host lost its state directory, and is stopped: {error}")
            self._dispatcher.report(Fault(FaultKind.STATE_DIRECTORY, str(self.lost)))
            self._dispatcher.ask_stop()
            return
        if what is not None:
            self._dispatcher.report(Fault(FaultKind.STATE_DIRECTORY, what))
        if self._is_bound():
            return
        place = self._state.folder / NAME
        try:
            listener = self._listener()
        except OSError as error:
            self._warn(
                f"the socket {place} is not there any more, and cannot be made again: {error.strerror}"
            )
            return
        if what is None:
            log.warning("the socket %s was removed or replaced while this host ran: it was made again", place)
        self._said = None
        before, *others = self._sockets
        if self._resume is None:
            ready.unregister(before)
        self._resume = None
        ready.register(listener, selectors.EVENT_READ)
        self._sockets = (listener, *others)
        before.close()

    def _warn(self, sentence: str) -> None:
        """Log it, but not twice in a row."""
        if self._said != sentence:
            self._said = sentence
            log.warning("%s", sentence)

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
            return {"error": error_text(error), "kind": "usage"}
        except DatasyncError as error:
            return {"error": error_text(error)}
        except Exception as error:  # the answering must outlive a mistake of ours
            log.exception("the control socket made a mistake")
            return {"error": f"a mistake of datasync itself: {said(error)}"}

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
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                client.connect(_address(descriptor, folder))
            finally:
                os.close(descriptor)
            client.sendall(json.dumps(request).encode() + b"\n")
            line = _line(client)
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            raise HostError(
                f"no host answers in {folder}, where -c, --name, [host] state_dir and STATE_DIRECTORY lead: give those "
                "of its start (systemd sets STATE_DIRECTORY for the service alone)"
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


def _address(descriptor: int, folder: Path) -> str:
    """Return an address of the socket that is short enough, whatever the folder's path: about a hundred bytes fit."""
    proxy = f"/proc/self/fd/{descriptor}"
    return f"{proxy}/{NAME}" if os.path.isdir(proxy) else str(folder / NAME)


def _line(connection: socket.socket) -> bytes:
    """One line; what came where the other side closed before."""
    received = bytearray()
    while not received.endswith(b"\n") and (part := connection.recv(1 << 16)):
        received += part
    return bytes(received)
