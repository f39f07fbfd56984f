"""Redis for tests: alone, with a password, ACL users, TLS, a unix socket or files; a replica; Sentinel."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from redis import Redis as Client
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from tests.servers.certificates import Certificates
from tests.servers.programs import find_program
from tests.servers.server import HOST, Server, free_port

AT_ONCE = Retry(NoBackoff(), 0)
"""Clients fail when something fails: redis-py would try again for seconds."""


class Redis(Server):
    """One Redis. It keeps nothing on the disk, unless ``persistent``: then each answered write outlives a kill -9.

    ``users`` maps a name to the rules that follow it in ``ACL SETUSER``: ``"on >secret ~app:* +@all"``. With
    ``certificates`` it has a port that speaks TLS as well, ``tls_port``, and asks clients for theirs unless told
    ``ask_certificate=False``. ``settings`` are lines of redis.conf: ``{"maxmemory": "10mb"}``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        persistent: bool = False,
        password: str | None = None,
        users: Mapping[str, str] | None = None,
        certificates: Certificates | None = None,
        ask_certificate: bool = True,
        unix_socket: bool = False,
        replica_of: Redis | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder)
        self.program = find_program("redis-server", "redis-server")
        self.password = password
        self.certificates = certificates
        self.tls_port = 0 if certificates is None else free_port()
        self.socket: Path | None = folder / "redis.sock" if unix_socket else None
        self._replica_of = replica_of
        self._ask_certificate = ask_certificate
        self._users = dict(users or {})
        self._settings = {
            "save": '""',
            "appendonly": "yes" if persistent else "no",
            "appendfsync": "no",  # written before it is answered: enough where the machine does not crash
            "repl-diskless-sync-delay": "0",
            **(settings or {}),
        }

    @property
    def url(self) -> str:
        """Where it is, without the password."""
        return f"redis://{HOST}:{self.port}"

    def client(self, **options: Any) -> Client:
        """A client of redis-py's; the default user's, where nothing else is said. The caller closes it."""
        given = {
            "host": HOST,
            "port": self.port,
            "password": self.password,
            "socket_timeout": 60.0,
            "retry": AT_ONCE,
            **options,
        }
        return Client(**given)

    def call(self, *command: Any) -> Any:
        """What it answers to one command of the default user."""
        with self.client() as client:
            return client.execute_command(*command)

    def command(self) -> list[str]:
        lines = {
            "bind": HOST,
            "port": str(self.port),
            "dir": str(self.folder),
            "daemonize": "no",
            "enable-debug-command": "local",
            **self._settings,
        }
        if self.password is not None:
            lines |= {"requirepass": self.password, "masterauth": self.password}
        if self._replica_of is not None:
            lines["replicaof"] = f"{HOST} {self._replica_of.port}"
        if self.socket is not None:
            lines["unixsocket"] = str(self.socket)
        if self.certificates is not None:
            server = self.certificates.issue("server")
            lines |= {
                "tls-port": str(self.tls_port),
                "tls-cert-file": str(server.certificate),
                "tls-key-file": str(server.key),
                "tls-ca-cert-file": str(self.certificates.ca),
                "tls-auth-clients": "yes" if self._ask_certificate else "no",
            }
        text = [f"{name} {value}" for name, value in lines.items()]
        text += [f"user {name} {rules}" for name, rules in self._users.items()]
        configuration = self.folder / "redis.conf"
        configuration.write_text("\n".join(text) + "\n")
        return [self.program, str(configuration)]

    def serves(self) -> bool:
        try:
            with self.client(socket_timeout=10.0) as client:
                status: dict[str, Any] = client.info()
        except RedisError:
            return False
        # Another server may have the port, and this one may end in a moment: only this one has this process id.
        return (
            status["process_id"] == self.pid
            and not status["loading"]
            and (self._replica_of is None or status["master_link_status"] == "up")
        )

    def wipe(self) -> None:
        shutil.rmtree(self.folder / "appendonlydir", ignore_errors=True)
        (self.folder / "dump.rdb").unlink(missing_ok=True)

    def move(self) -> None:
        super().move()
        if self.certificates is not None:
            self.tls_port = free_port()


class Sentinel(Server):
    """One Sentinel that watches ``master`` under ``name``, and fails over two seconds after it is gone."""

    def __init__(
        self, folder: Path, master: Redis, *, name: str = "mymaster", password: str | None = None
    ) -> None:
        super().__init__(folder)
        self.program = find_program("redis-server", "redis-server")
        self.name = name
        self.password = password
        self._master = master

    def client(self, **options: Any) -> Client:
        """A client of redis-py's. The caller closes it."""
        return Client(
            **{
                "host": HOST,
                "port": self.port,
                "password": self.password,
                "socket_timeout": 60.0,
                "retry": AT_ONCE,
                **options,
            }
        )

    def call(self, *command: Any) -> Any:
        """What it answers to one command."""
        with self.client() as client:
            return client.execute_command(*command)

    def command(self) -> list[str]:
        configuration = self.folder / "sentinel.conf"
        if not configuration.exists():  # it keeps there what it learns
            text = [
                f"bind {HOST}",
                f"port {self.port}",
                f"dir {self.folder}",
                f"sentinel monitor {self.name} {HOST} {self._master.port} 1",
                f"sentinel down-after-milliseconds {self.name} 2000",
                f"sentinel failover-timeout {self.name} 10000",
            ]
            if self._master.password is not None:
                text.append(f"sentinel auth-pass {self.name} {self._master.password}")
            if self.password is not None:
                text.append(f"requirepass {self.password}")
            configuration.write_text("\n".join(text) + "\n")
        return [self.program, str(configuration), "--sentinel"]

    def serves(self) -> bool:
        try:
            with self.client(socket_timeout=10.0) as client:
                return bool(client.info()["process_id"] == self.pid)
        except RedisError:
            return False

    def knows_replica(self) -> bool:
        """Whether it has found a replica that it could promote."""
        with self.client() as client:
            return any(int(master["num-slaves"]) > 0 for master in client.sentinel_masters().values())

    def wipe(self) -> None:
        (self.folder / "sentinel.conf").unlink(missing_ok=True)

    def move(self) -> None:
        super().move()
        self.wipe()
