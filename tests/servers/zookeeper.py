"""ZooKeeper for tests: alone or three of them, with or without TLS and SASL; Debian's, or an old one from Maven."""

from __future__ import annotations

import re
import shutil
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kazoo.client import KazooClient

from tests.servers.certificates import Certificates
from tests.servers.maven import jars
from tests.servers.programs import find_file, find_program
from tests.servers.server import HOST, PATIENCE, NotServing, Server, ask, free_port, free_ports, is_taken

DEBIAN = ("zookeeper", "slf4j-simple", "netty-all", "netty-codec", "netty-resolver")
"""Of /usr/share/java: ZooKeeper's own jar names most of what it needs, but no logger, and not all that TLS takes."""
QUICK = (
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)
BESIDE = (
    "org.slf4j:slf4j-simple:1.7.36",
    "io.dropwizard.metrics:metrics-core:4.1.12.1",
    "org.xerial.snappy:snappy-java:1.1.10.5",
)
"""What ZooKeeper's releases bring along and its coordinates do not name."""
JAAS = """Server {{
  org.apache.zookeeper.server.auth.DigestLoginModule required
{users};
}};
"""


class ZooKeeper(Server):
    """One ZooKeeper. Each answered write outlives a kill -9.

    ``version`` takes one from Maven's central repository (3.5.10 knows no persistent watch). ``users`` may
    authenticate by SASL (DIGEST-MD5). With ``certificates`` it has a port that speaks TLS as well, ``tls_port``,
    and asks clients for theirs. ``settings`` are lines of zoo.cfg, ``flags`` are Java's: ``-Djute.maxbuffer=9999``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        version: str | None = None,
        users: Mapping[str, str] | None = None,
        certificates: Certificates | None = None,
        settings: Mapping[str, str] | None = None,
        flags: tuple[str, ...] = (),
    ) -> None:
        super().__init__(folder)
        self._java = find_program("java", "default-jre-headless")
        if version is None:
            find_file("/usr/share/java/zookeeper.jar", "libzookeeper-java")  # requires what the others are in
            self._jars = ":".join(f"/usr/share/java/{name}.jar" for name in DEBIAN)
        else:
            fetched = jars(f"org.apache.zookeeper:zookeeper:{version}", *BESIDE)
            self._jars = str(fetched / "*")
        self.certificates = certificates
        self.tls_port = 0 if certificates is None else free_port()
        self.data = folder / "data"
        self.users = dict(users or {})
        """Name → password; another one counts after a restart."""
        self._settings = dict(settings or {})
        self._flags = flags

    @property
    def hosts(self) -> str:
        """Where it is, as kazoo and URLs say it."""
        return f"{HOST}:{self.port}"

    @property
    def url(self) -> str:
        return f"zookeeper://{self.hosts}"

    def client(self, **options: Any) -> KazooClient:
        """A client of kazoo's, connected. The caller stops and closes it."""
        return connect(self.hosts, **options)

    def using(self, **options: Any) -> AbstractContextManager[KazooClient]:
        """A client of kazoo's, connected; it is stopped and closed at the end."""
        return using(self.hosts, **options)

    def ask(self, word: str, timeout: float = 20.0) -> str:
        """What it answers to one of the four letter words; ``""`` where it does not serve."""
        try:
            return ask(self.address, word.encode(), timeout).decode(errors="replace")
        except OSError:
            return ""

    @property
    def mode(self) -> str:
        """``standalone``, ``leader`` or ``follower``; ``""`` while it does not serve."""
        return self._mode(20.0)

    def _mode(self, timeout: float) -> str:
        found = re.search(r"^Mode: (\w+)$", self.ask("srvr", timeout), re.MULTILINE)
        return found[1] if found else ""

    def sessions(self) -> list[int]:
        """The sessions that clients have here now."""
        return [int(text, 16) for text in re.findall(r"[(,]sid=0x([0-9a-f]+)", self.ask("cons"))]

    def expire(self, session: int) -> None:
        """Let a client's session end, as if it had been away for too long."""
        with self.using(client_id=(session, session_password(session))):
            pass  # whoever takes a session up and closes it, ends it

    def command(self) -> list[str]:
        lines = {
            "dataDir": str(self.data),
            "clientPort": str(self.port),
            "clientPortAddress": HOST,
            "tickTime": "500",
            "admin.enableServer": "false",
            "forceSync": "no",
            "4lw.commands.whitelist": "*",
            "maxClientCnxns": "0",
            **self._settings,
        }
        flags = [*QUICK, "-Dzookeeper.forceSync=no", *self._flags]
        if self.users:
            users = "\n".join(f'  user_{name}="{password}"' for name, password in self.users.items())
            jaas = self.folder / "jaas.conf"
            jaas.write_text(JAAS.format(users=users))
            flags.append(f"-Djava.security.auth.login.config={jaas}")
            lines["authProvider.1"] = "org.apache.zookeeper.server.auth.SASLAuthenticationProvider"
        if self.certificates is not None:
            server = self.certificates.issue("server")
            lines |= {
                "secureClientPort": str(self.tls_port),
                "secureClientPortAddress": HOST,
                "serverCnxnFactory": "org.apache.zookeeper.server.NettyServerCnxnFactory",
                "ssl.keyStore.location": str(server.both),
                "ssl.trustStore.location": str(self.certificates.ca),
                "ssl.clientAuth": "need",
            }
        self.data.mkdir(exist_ok=True)
        configuration = self.folder / "zoo.cfg"
        configuration.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
        return [self._java, *flags, "-cp", self._jars, main, str(configuration)]

    def serves(self) -> bool:
        # Another server may have the port, and this one may end in a moment: only this one has this folder.
        # Asked again and again, so that one that says nothing need not be waited for.
        return bool(self._mode(1.0)) and f"dataDir={self.data}" in self.ask("conf")

    def wipe(self) -> None:
        shutil.rmtree(self.data / "version-2", ignore_errors=True)

    def move(self) -> None:
        super().move()
        if self.certificates is not None:
            self.tls_port = free_port()


class Ensemble:
    """Three ZooKeepers that elect a leader. ``with`` starts and ends them."""

    def __init__(self, folder: Path, *, settings: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._settings = dict(settings or {})
        self.servers = self._made(0)

    def _made(self, attempt: int) -> list[ZooKeeper]:
        """Three servers with ports of their own; they are not started."""
        ports = free_ports(9)
        peers = {
            f"server.{number}": f"{HOST}:{ports.pop()}:{ports.pop()}:participant" for number in (1, 2, 3)
        }
        common = {
            "initLimit": "30",
            "syncLimit": "8",
            "standaloneEnabled": "false",
            **peers,
            **self._settings,
        }
        servers = [ZooKeeper(self._folder / f"{attempt}.{number}", settings=common) for number in (1, 2, 3)]
        for number, server in enumerate(servers, 1):
            server.port = ports.pop()
            server.data.mkdir()
            (server.data / "myid").write_text(f"{number}\n")
        return servers

    @property
    def hosts(self) -> str:
        """Where they are, as kazoo and URLs say it."""
        return ",".join(server.hosts for server in self.servers)

    @property
    def url(self) -> str:
        return f"zookeeper://{self.hosts}"

    def client(self, **options: Any) -> KazooClient:
        """A client of kazoo's, connected. The caller stops and closes it."""
        return connect(self.hosts, **options)

    def using(self, **options: Any) -> AbstractContextManager[KazooClient]:
        """A client of kazoo's, connected; it is stopped and closed at the end."""
        return using(self.hosts, **options)

    def leader(self) -> ZooKeeper:
        """The one that leads; waits until there is one."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for server in self.servers:
                if server.running and server.mode == "leader":
                    return server
        raise TimeoutError(f"none of {self.servers} leads")

    def __enter__(self) -> Self:
        for attempt in range(1, 6):
            try:
                for server in self.servers:
                    server.spawn()
                for server in self.servers:
                    server.await_serving()
            except NotServing:
                self.__exit__(None, None, None)
                if attempt == 5 or not any(is_taken(server.said()) for server in self.servers):
                    raise
                self.servers = self._made(attempt)
            except BaseException:
                self.__exit__(None, None, None)
                raise
            else:
                break
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self.servers:
            server.kill()


def connect(hosts: str, **options: Any) -> KazooClient:
    """A client of kazoo's, connected. The caller stops and closes it."""
    client = KazooClient(hosts, **{"timeout": 10.0, **options})
    try:
        client.start(timeout=PATIENCE)
    except BaseException:
        client.stop()
        client.close()
        raise
    return client


@contextmanager
def using(hosts: str, **options: Any) -> Iterator[KazooClient]:
    """A client of kazoo's, connected; it is stopped and closed at the end."""
    client = connect(hosts, **options)
    try:
        yield client
    finally:
        client.stop()
        client.close()


def session_password(session: int) -> bytes:
    """What a server gives its client for this session, so that it may be taken up again: Java's random numbers."""
    state = ((session ^ 0xB3415C00) ^ 0x5DEECE66D) & (1 << 48) - 1
    words = b""
    for _ in range(4):
        state = (state * 0x5DEECE66D + 0xB) & (1 << 48) - 1
        words += struct.pack("<I", state >> 16)
    return words
