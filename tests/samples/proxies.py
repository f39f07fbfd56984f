"""A place with the sample `proxy` installed, real HAProxies, real web servers, and a client that asks on and on."""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.cli.command import Place
from tests.packages import Packages

SAMPLE = Path(__file__).parents[2] / "sample_plugins" / "proxy"
PATIENCE = 60.0
RECENT = 30  # so many answers in a row say who serves

INSTANCE = """
[stores.{name}]
url = "{url}"
[plugins.{name}-backends]
use = "backends"
store = "{name}"
config = {{ file = "{name}/backends.cfg", haproxy = "{haproxy}" }}
[plugins.{name}]
use = "haproxy"
store = "{name}"
requires = ["{name}-backends"]
[plugins.{name}.config]
config = "{name}/haproxy.cfg"
backends = "{name}/backends.cfg"
pid_file = "{name}/haproxy.pid"
haproxy = "{haproxy}"
"""


class Web:
    """A web server that answers every request with its name."""

    def __init__(self, name: str) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(name)))
                self.end_headers()
                self.wfile.write(name.encode())

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.port: int = self._server.server_port
        self.value = json.dumps({"host": "127.0.0.1", "port": self.port})

    def close(self) -> None:
        """From now on a request that is sent here fails. Any number of times."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Client:
    """Asks on and on, each time on a connection of its own, and notes who answers."""

    def __init__(self, port: int) -> None:
        self.failures: list[str] = []
        self.answers = 0
        self._port = port
        self._recent: deque[str] = deque(maxlen=RECENT)
        self._more = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def sees(self, *names: str) -> None:
        """Wait until these servers, and no others, answer."""
        with self._more:
            self._recent.clear()
            there = self._more.wait_for(
                lambda: len(self._recent) == RECENT and set(self._recent) == set(names), PATIENCE
            )
        assert there, f"{set(self._recent)} answer and not {names}; failures: {self.failures[:3]}"

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.002):
            try:
                name = self._ask()
            except OSError as error:
                self.failures.append(repr(error))
                continue
            with self._more:
                self.answers += 1
                self._recent.append(name)
                self._more.notify()

    def _ask(self) -> str:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        try:
            connection.request("GET", "/")
            answer = connection.getresponse()
            body = answer.read().decode()
            if answer.status != 200:
                self.failures.append(f"{answer.status} {answer.reason}")
            return body
        finally:
            connection.close()


class Proxies:
    """A folder with the installed sample, its configuration, HAProxies, web servers and clients."""

    def __init__(self, place: Place, haproxy: str, stack: ExitStack, packages: Packages) -> None:
        self.place = place
        self._haproxy = haproxy
        self._stack = stack
        place.env["PYTHONPATH"] = str(packages.site("proxy"))
        place.env.pop("DATASYNC_HOST__DISABLE", None)

    def configure(self, *names: str, url: str = "sqlite:{name}.db") -> None:
        """Instances, each with a folder and a store of its own; nothing else that is installed here runs."""
        parts = [
            INSTANCE.format(name=name, haproxy=self._haproxy, url=url.format(name=name)) for name in names
        ]
        for name in names:
            self.place.write(f"{name}/haproxy.cfg", "")
        self.place.write("datasync.toml", f"[host]\nonly = {list(names)}\n" + "".join(parts))

    def web(self, name: str) -> Web:
        web = Web(name)
        self._stack.callback(web.close)
        return web

    def client(self, port: int) -> Client:
        """A client that begins once HAProxy listens."""
        until(lambda: listens(port), f"something listens on {port}")
        client = Client(port)
        self._stack.callback(client.close)
        return client

    def do(self, *args: str) -> None:
        answer = self.place.do(*args)
        assert answer.code == 0, answer

    def file(self, name: str, file: str = "haproxy.cfg") -> Path:
        return self.place.folder / name / file

    def start_haproxy(self, name: str, line: str = "") -> None:
        """Start a HAProxy as an operator would, once there is a configuration, if only an empty one."""
        folder = self.place.folder / name
        until((folder / "haproxy.cfg").exists, f"the host writes a file in {folder}")
        _, *arguments = shlex.split(line or "haproxy -W -f haproxy.cfg -p haproxy.pid")
        log = self._stack.enter_context((folder / "log").open("w"))
        process = subprocess.Popen([self._haproxy, *arguments], cwd=folder, stdout=log, stderr=log)
        self._stack.callback(process.wait)
        self._stack.callback(process.terminate)
        until((folder / "haproxy.pid").exists, f"HAProxy runs in {folder}")


def until(true: Callable[[], bool], what: str) -> None:
    """Look until it is true."""
    deadline = time.monotonic() + PATIENCE
    pause = threading.Event()
    while not true():
        assert time.monotonic() < deadline, f"waited {PATIENCE} s until {what}"
        pause.wait(0.01)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
