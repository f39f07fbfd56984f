"""The application, and a server for a socket that was opened before the fork."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from datasync_core import Host
from datasync_flags.flags import Flags

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


def application(flags: Flags, host: Host) -> WSGIApplication:
    """``/``: the flags that are on; ``/healthz``: 503 until they were read once, and what the host says of itself."""

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        said: dict[str, object] = {"worker": os.getpid()}
        code = "200 OK"
        if environ["PATH_INFO"] == "/":
            said["on"] = sorted(flags.on)
        elif environ["PATH_INFO"] == "/healthz":
            status = host.status()
            said |= {"plugins": status["plugins"], "stores": status["stores"]}
            if any(plugin["state"] != "in_sync" for plugin in status["plugins"]):
                code = "503 Service Unavailable"
        else:
            code = "404 Not Found"
        start(code, [("Content-Type", "application/json")])
        return [json.dumps(said).encode()]

    return answer


class Server(WSGIServer):
    """Serves a listening socket that it shares with other processes, one request at a time."""

    def __init__(self, listener: socket.socket, app: WSGIApplication) -> None:
        super().__init__(listener.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_name, self.server_port = listener.getsockname()
        self.setup_environ()
        self.set_app(app)
        self._parent = os.getppid()
        self._ending = False

    def end(self, *_: object) -> None:
        """Leave `serve_forever` after the request that is served; may be called in a signal handler."""
        self._ending = True

    def service_actions(self) -> None:
        """Called between requests, and where none comes: end where asked to, or where the parent is gone."""
        if self._ending or os.getppid() != self._parent:
            raise SystemExit


class _Handler(WSGIRequestHandler):
    timeout = 5.0  # a client that says nothing keeps the others waiting no longer

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
