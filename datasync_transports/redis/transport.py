"""The transport: options, and what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from datasync_core.transport import Capabilities, Misconfigured, Subscription, Transport, Url, Writer
from datasync_transports.redis.connection import PORT, SENTINEL_PORT, Account, Place
from datasync_transports.redis.digest import digest
from datasync_transports.redis.subscription import RedisSubscription
from datasync_transports.redis.tls import Tls
from datasync_transports.redis.writer import RedisWriter


class RedisTransport(Transport):
    """One database of a server; any thread may use it. Each subscription and each writer has its own connection.

    ``db``: the database's number, where the URL's path does not say it. ``service``: the hosts are Sentinels, asked
    at each connect for the master that they watch under this name; ``sentinel_user`` and ``sentinel_password`` are
    for them, the URL's user and password for the master. For ``rediss``: ``ca``, ``cert``, ``key``,
    ``key_password`` are files in PEM (relative to the file that says so) and the key's password; ``verify=false``
    takes any certificate.
    """

    capabilities = Capabilities(transactions=True, expiry=True, compare=True, raw=True)

    def __init__(
        self,
        url: Url,
        *,
        db: int | None = None,
        service: str | None = None,
        sentinel_user: str | None = None,
        sentinel_password: str | None = None,
        ca: str | None = None,
        cert: str | None = None,
        key: str | None = None,
        key_password: str | None = None,
        verify: bool = True,
    ) -> None:
        super().__init__(url)
        tls = None
        if url.scheme == "rediss":
            if key is not None and cert is None:
                raise Misconfigured(f"{url}: key is the key of a certificate; name that as well (cert=FILE)")
            tls = Tls(self._file(ca), self._file(cert), self._file(key), key_password, verify)
        elif ca or cert or key or key_password or not verify:
            raise Misconfigured(f"{url}: ca, cert, key, key_password and verify are TLS's; write rediss://")
        if service is None and (sentinel_user or sentinel_password):
            raise Misconfigured(
                f"{url}: sentinel_user and sentinel_password are for Sentinels; name their service="
            )
        account = Account(url.user, url.password, url.shown_user)
        where = str(url)
        if url.scheme == "redis+unix":
            self._place = Place(where, socket=self._socket(service), db=db or 0, account=account)
        else:
            self._place = Place(
                where,
                self._hosts(service),
                db=self._database(db),
                account=account,
                tls=tls,
                service=service,
                sentinels=Account(
                    sentinel_user, sentinel_password, "<sentinel_user>" if sentinel_user else None
                ),
            )
        if self._place.db < 0:
            raise Misconfigured(f"{url}: db is the number of a database, from 0, got {self._place.db}")

    def subscribe(self, paths: Sequence[str]) -> Subscription:
        return RedisSubscription(self._place, paths, self.liveness)

    def writer(self) -> Writer:
        return RedisWriter(self._place, self.liveness)

    def revision_of(self, value: bytes) -> int:
        """What stands for a value in ``expect``, as Redis numbers no writes: 63 bits of its hash."""
        return digest(value)

    def _hosts(self, service: str | None) -> tuple[tuple[str, int], ...]:
        url = self.url
        if not url.hosts and url.path[:1] not in ("", "/"):
            raise Misconfigured(f"{url.scheme}:{url.path} lacks its slashes; write {url.scheme}://{url.path}")
        if len(url.hosts) > 1 and service is None:
            raise Misconfigured(
                f"{url} names several hosts; that is for Sentinels, whose service= is to be named"
            )
        port = PORT if service is None else SENTINEL_PORT
        return tuple((host.strip("[]"), number or port) for host, number in url.hosts) or (
            ("localhost", port),
        )

    def _database(self, db: int | None) -> int:
        path = self.url.path.strip("/")
        if not path:
            return db or 0
        if not (path.isascii() and path.isdigit()):
            raise Misconfigured(
                f"{self.url}: after the host comes the number of a database, as in redis://HOST:{PORT}/0;"
                " keys are chosen by prefix="
            )
        if db is not None and db != int(path):
            raise Misconfigured(f"{self.url}: db says {db} and the path {path}; give one of them")
        return int(path)

    def _socket(self, service: str | None) -> str:
        url = self.url
        if service is not None:
            raise Misconfigured(
                f"{url}: service is for Sentinels, which are reached by redis:// or rediss://"
            )
        if url.hosts or not url.path.strip("/"):
            raise Misconfigured(f"{url} names no socket; write redis+unix:///PATH/redis.sock?db=0")
        return str(url.file().absolute())

    def _file(self, name: str | None) -> Path | None:
        if name is None:
            return None
        path = Path(name).expanduser()
        return path if path.is_absolute() or self.url.base is None else self.url.base / path
