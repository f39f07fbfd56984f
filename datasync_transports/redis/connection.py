"""Where the server is and how it is reached: addresses, credentials, TLS, Sentinel."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.retry import Retry

from datasync_core.transport import ConnectionLost, Misconfigured, StoreError
from datasync_transports.redis.failures import CLUSTER, explained

SENTINEL_PORT = 26379
PORT = 6379


class Link(Protocol):
    """What is used of redis-py's connections, which have types for half of it."""

    handshake_metadata: Any

    def connect(self) -> None: ...
    def disconnect(self) -> None: ...
    def send_command(self, *command: str | bytes | int) -> None: ...
    def send_packed_command(self, packed: Sequence[bytes]) -> None: ...
    def pack_commands(self, commands: Sequence[Sequence[str | bytes | int]]) -> Sequence[bytes]: ...
    def read_response(self, *, push_request: bool = False) -> Any: ...
    def can_read(self, timeout: float) -> bool: ...


@dataclass(frozen=True)
class Account:
    """Who we say we are. Both None: nobody in particular."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Tls:
    """What TLS is done with; files as absolute paths."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    key_password: str | None = field(default=None, repr=False)
    verify: bool = True


@dataclass(frozen=True)
class Place:
    """One database of one server, as settings name it. ``where`` is how messages do, and holds no secret."""

    where: str
    hosts: tuple[tuple[str, int], ...] = ()
    socket: str | None = None
    db: int = 0
    account: Account = Account()
    tls: Tls | None = None
    service: str | None = None
    sentinels: Account = Account()
    """Who we are to the Sentinels."""

    def connect(self, timeout: float) -> Link:
        """A connection that speaks RESP3, logged in, in its database; nothing connects it again by itself.

        ``timeout``: seconds until a server that does not answer counts as lost, at each step and later on.
        """
        with explained(self.where, self.account.user):
            connection = self._made(self._server(timeout), timeout, self.account, self.db)
            try:
                self._begin(connection)
            except BaseException:
                connection.disconnect()
                raise
        return connection

    def _begin(self, connection: Link) -> None:
        try:
            connection.connect()
            about = {_text(k): _text(v) for k, v in dict(connection.handshake_metadata).items()}
        except (
            AttributeError,
            TypeError,
            ValueError,
        ) as error:  # the library expects a map in answer to HELLO
            raise Misconfigured(f"{self.where} does not answer HELLO as Redis does") from error
        if about.get("mode") == "cluster":
            raise Misconfigured(f"{self.where} {CLUSTER}")
        if about.get("mode") == "sentinel":
            raise Misconfigured(
                f"{self.where} is a Sentinel; name the master that it watches with service=NAME"
            )
        if self.service is not None and about.get("role") != "master":
            raise ConnectionLost(f"{self.where}: the Sentinels name a server that is no master now")

    def _server(self, timeout: float) -> tuple[str, int]:
        if self.service is None:
            return self.hosts[0] if self.hosts else ("", 0)
        return self._master(self.service, timeout)

    def _master(self, service: str, timeout: float) -> tuple[str, int]:
        """Ask the Sentinels, one after the other, where the master is now."""
        failed: StoreError | None = None
        unknown = False
        for host, port in self.hosts:
            try:
                found = self._ask(f"{self.where} (Sentinel {host}:{port})", (host, port), service, timeout)
            except StoreError as error:
                failed = error
            else:
                if found is not None:
                    return found
                unknown = True
        if unknown:
            raise Misconfigured(f"{self.where}: the Sentinels watch no master of the name {service}")
        raise failed or ConnectionLost(f"{self.where} names no Sentinel")

    def _ask(
        self, where: str, sentinel: tuple[str, int], service: str, timeout: float
    ) -> tuple[str, int] | None:
        with explained(where, self.sentinels.user):
            connection = self._made(sentinel, timeout / len(self.hosts), self.sentinels, 0)
            try:
                connection.connect()
                connection.send_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", service)
                found = connection.read_response()
            finally:
                connection.disconnect()
        return None if found is None else (_text(found[0]), int(found[1]))

    def _made(self, server: tuple[str, int], timeout: float, account: Account, db: int) -> Link:
        common: dict[str, Any] = {
            "db": db,
            "username": account.user,
            "password": account.password,
            "protocol": 3,
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            "retry": Retry(NoBackoff(), 0),
        }
        host, port = server
        kind: Any = Connection  # whose arguments have no types
        if self.socket is not None:
            kind, common["path"] = UnixDomainSocketConnection, self.socket
        else:
            common |= {"host": host, "port": port}
        if self.tls is not None:
            kind = SSLConnection
            common |= _ssl(self.where, self.tls)
        made = kind(**common)
        made.driver_info = made.lib_name = made.lib_version = (
            None  # else it tells the server, which ACLs may refuse
        )
        return made  # type: ignore[no-any-return]


def _ssl(where: str, tls: Tls) -> dict[str, Any]:
    """The arguments of redis-py for TLS; raises `Misconfigured` for a file that cannot be used."""
    for name, file in (("ca", tls.ca), ("cert", tls.cert), ("key", tls.key)):
        if file is not None:
            try:
                file.open("rb").close()
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                raise Misconfigured(f"{where}: {name} cannot be read ({file}: {reason})") from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # to try the files; redis-py makes its own of them
    try:
        if tls.ca is not None:
            context.load_verify_locations(tls.ca)
    except (ssl.SSLError, ValueError) as error:
        raise Misconfigured(f"{where}: ca is no certificate in PEM ({tls.ca})") from error
    try:
        if tls.cert is not None:
            context.load_cert_chain(tls.cert, tls.key, tls.key_password or "")
    except (ssl.SSLError, ValueError) as error:
        raise Misconfigured(
            f"{where}: cert and key are no certificate with its key in PEM ({tls.cert}, {tls.key or tls.cert}),"
            " or key_password is wrong"
        ) from error
    return {
        "ssl_ca_certs": None if tls.ca is None else str(tls.ca),
        "ssl_certfile": None if tls.cert is None else str(tls.cert),
        "ssl_keyfile": None if tls.key is None else str(tls.key),
        "ssl_password": tls.key_password,
        "ssl_cert_reqs": "required" if tls.verify else "none",
        "ssl_check_hostname": tls.verify,
    }


def _text(value: object) -> str:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
