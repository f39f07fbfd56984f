"""Where the server is and how it is reached: addresses, credentials, TLS, Sentinel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from redis.backoff import NoBackoff
from redis.exceptions import ResponseError
from redis.retry import Retry

from datasync_core.transport import AuthenticationFailed, ConnectionLost, Misconfigured, StoreError, stranger
from datasync_transports.redis.failures import CLUSTER, explained, senseless
from datasync_transports.redis.link import Deadline, Line, TcpLink, TlsLink, UnixLink
from datasync_transports.redis.tls import Tls, arguments

SENTINEL_PORT = 26379
PORT = 6379


class Link(Protocol):
    """What is used of redis-py's connections, which have types for half of it."""

    handshake_metadata: Any
    deadline: Deadline

    def connect(self) -> None: ...
    def disconnect(self) -> None: ...
    def send_command(self, *command: str | bytes | int) -> None: ...
    def send_packed_command(self, packed: Sequence[bytes]) -> None: ...
    def read_response(self, *, push_request: bool = False) -> Any: ...
    def can_read(self, timeout: float) -> bool: ...


@dataclass(frozen=True)
class Account:
    """Who we say we are. Both None: nobody in particular."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    shown: str | None = None
    """The user as messages name it."""


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

    def connect(self, timeout: float, line: Line) -> Link:
        """A connection that speaks RESP3, logged in, in its database; nothing connects it again by itself.

        ``timeout``: seconds until a server that does not answer counts as lost, for the whole of it and for each
        step later on. ``line`` is what another thread cuts to end it.
        """
        try:
            return self._connect(timeout, line)
        finally:
            line.release()

    def _connect(self, timeout: float, line: Line) -> Link:
        server = ("", 0)
        if self.service is not None:
            server = self._master(self.service, timeout, line)
        elif self.hosts:
            server = self.hosts[0]
        with explained(self.where, self.account.shown, partial(self._hint, server, line)):
            connection = self._made(server, timeout, line, self.account, self.db)
            try:
                self._begin(connection)
            except BaseException:
                connection.disconnect()
                raise
        return connection

    def _begin(self, connection: Link) -> None:
        try:
            connection.connect()
            about = greeting(connection.handshake_metadata)
        except (AttributeError, LookupError, TypeError, ValueError) as error:  # the library expects a map
            raise Misconfigured(f"{self.where} does not answer HELLO as Redis does") from error
        if about.get("mode") == "cluster":
            raise Misconfigured(f"{self.where} {CLUSTER}")
        if about.get("mode") == "sentinel":
            raise Misconfigured(
                f"{self.where} is a Sentinel; name the master that it watches with service=NAME"
            )
        if self.service is not None and about.get("role") != "master":
            raise ConnectionLost(f"{self.where}: the Sentinels name a server that is no master now")

    def _master(self, service: str, timeout: float, line: Line) -> tuple[str, int]:
        """Ask the Sentinels, one after the other, where the master is now."""
        failed: list[str] = []
        refusal: StoreError | None = None
        for host, port in self.hosts:
            sentinel = f"{self.where}: the Sentinel {host}:{port}"
            try:
                address = (host, port)
                with explained(sentinel, self.sentinels.shown, partial(self._hint, address, line)):
                    found = self._asked(address, service, timeout / len(self.hosts), line)
            except AuthenticationFailed as error:
                refusal = AuthenticationFailed(f"{error}; its own are sentinel_user= and sentinel_password=")
                refusal.__cause__ = error
            except ConnectionLost as error:
                failed.append(str(error).removeprefix(f"{self.where}: "))
            except StoreError as error:
                refusal = error
            else:
                if found is not None:
                    return found
                refusal = Misconfigured(f"{sentinel} watches no master of the name {service}")
        raise refusal or ConnectionLost(f"{self.where}: {'; '.join(failed)}")

    def _asked(
        self, sentinel: tuple[str, int], service: str, timeout: float, line: Line
    ) -> tuple[str, int] | None:
        connection = self._made(sentinel, timeout, line, self.sentinels, 0)
        try:
            connection.connect()
            connection.send_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", service)
            found = connection.read_response()
            return None if found is None else (_text(found[0]), int(found[1]))
        except (LookupError, TypeError, ValueError) as error:
            raise senseless(f"{self.where}: {sentinel[0]}:{sentinel[1]}", "SENTINEL") from error
        except ResponseError as error:
            if "unknown command" not in str(error):
                raise
            raise Misconfigured(
                f"{self.where}: {sentinel[0]}:{sentinel[1]} is no Sentinel; without service= it is the server itself"
            ) from error
        finally:
            connection.disconnect()

    def _hint(self, server: tuple[str, int], line: Line, hung_up: bool) -> str:
        """What may be wrong with a server whose answer, or silence, makes no sense."""
        if line.is_cut:
            return ""  # we did that ourselves
        found = None if self.socket is not None else stranger(*server)
        if found not in (None, "Redis", "TLS"):
            return f"; it is no Redis: what is there speaks {found}"
        if self.tls is None:
            if found == "TLS":
                return "; it speaks TLS: write rediss://"
            return "; it hung up on HELLO 3: is it a proxy without RESP3?" if hung_up else ""
        if found == "Redis":
            return "; it speaks no TLS: write redis://, or name its TLS port"
        client = f"{'a' if self.tls.cert is None else 'another'} certificate of the client's (cert=, key=)"
        if found == "TLS":
            return f"; it may want {client}" if hung_up else ""
        return f"; it may speak no TLS (write redis://), or want {client}"

    def _made(self, server: tuple[str, int], timeout: float, line: Line, account: Account, db: int) -> Link:
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
        kind: Any = TcpLink  # whose arguments have no types
        if self.socket is not None:
            kind, common["path"] = UnixLink, self.socket
        else:
            common |= {"host": host, "port": port}
        if self.tls is not None:
            kind = TlsLink
            common |= arguments(self.where, self.tls)
        made = kind(**common)
        made.line, made.deadline = line, Deadline(timeout)
        made.driver_info = made.lib_name = made.lib_version = (
            None  # else it tells the server, which ACLs may refuse
        )
        return made  # type: ignore[no-any-return]


def greeting(answer: Any) -> dict[str, str]:
    """What a server says of itself to HELLO. Raises `TypeError` or `ValueError` where that is no map."""
    return {_text(k): _text(v) for k, v in dict(answer).items()}


def _text(value: object) -> str:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
