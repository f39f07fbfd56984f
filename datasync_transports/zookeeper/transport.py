"""The transport: options, and what its subscriptions and writers share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from datasync_core.transport import Capabilities, Misconfigured, Subscription, Transport, Url, Writer
from datasync_transports.zookeeper.lives import Lives
from datasync_transports.zookeeper.place import Place, place_of
from datasync_transports.zookeeper.subscription import ZookeeperSubscription
from datasync_transports.zookeeper.writer import ZookeeperWriter


class ZookeeperTransport(Transport):
    """A ZooKeeper, or several that are one; any thread may use it.

    ``acl``: new nodes are ``open`` to everybody, or belong to their ``creator`` alone. ``sasl``: the mechanism by which
    user and password are proven; none: as ``digest``, for ACLs. ``tls`` with ``ca``, ``cert``, ``key`` (PEM files; a
    certificate may have its key in the same one) and ``key_password``; ``verify``: the server's certificate and name.
    """

    capabilities = Capabilities(
        transactions=True, revisions=True, leases=True, compare=True, raw=True, empty=False
    )

    def __init__(
        self,
        url: Url,
        *,
        acl: Literal["open", "creator"] = "open",
        sasl: Literal["DIGEST-MD5", "GSSAPI"] | None = None,
        tls: bool = False,
        ca: str | None = None,
        cert: str | None = None,
        key: str | None = None,
        key_password: str | None = None,
        verify: bool = True,
    ) -> None:
        super().__init__(url)
        self._place = place = place_of(url)
        place.acl, place.sasl, place.tls, place.verify = acl, sasl, tls, verify
        place.ca, place.cert, place.key = self._file(ca), self._file(cert), self._file(key or cert)
        place.key_password = key_password
        known = url.user is not None and url.password is not None
        if sasl == "DIGEST-MD5" and not known:
            raise Misconfigured(
                f"{url}: sasl=DIGEST-MD5 needs a name; write {url.scheme}://USER:PASSWORD@HOST"
            )
        if acl == "creator" and not (known or sasl or cert):
            raise Misconfigured(
                f"{url}: acl=creator needs somebody whom nodes belong to; write {url.scheme}://USER:PASSWORD@HOST"
            )
        if not tls and (ca or cert or key):
            raise Misconfigured(f"{url}: ca, cert and key are for TLS; add tls=true")
        self._lives = Lives(place)

    def subscribe(self, paths: Sequence[str]) -> Subscription:
        return ZookeeperSubscription(self._agreed(), paths)

    def writer(self) -> Writer:
        return ZookeeperWriter(self._agreed(), self._lives)

    def close(self) -> None:
        self._lives.close()

    def _agreed(self) -> Place:
        self._place.liveness = self.liveness
        return self._place

    def _file(self, name: str | None) -> Path | None:
        if name is None:
            return None
        base = self.url.base
        return Path(name) if base is None else base / name
