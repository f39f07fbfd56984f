"""ZooKeeper as somebody else sees it: kazoo's own client, which knows nothing of keys."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from kazoo.client import KazooClient
from kazoo.exceptions import NoNodeError, NotEmptyError

from datasync_core.plugins.transports import make_transport
from datasync_core.transport import StoreError, Subscription, Transport, Url
from datasync_transports.zookeeper import ZookeeperTransport
from tests.transports.stores import Store

NEWEST = "3.9.3"
"""Of ZooKeeper, from Maven: the first that keeps to itself how large a hidden node is and what it has below."""
LIVENESS = 5.0
"""Seconds; what waits for it takes less."""


class Outside:
    """Keys below a chroot, through a client of its own. One thread at a time."""

    def __init__(self, client: KazooClient, root: str = "") -> None:
        self.client = client
        self.root = root
        self._known: set[str] = set()
        client.ensure_path(root or "/")

    def put(self, key: str, value: bytes) -> None:
        path = f"{self.root}/{key}"
        try:
            self.client.set(path, value)
        except NoNodeError:
            self._parents(path)
            self.client.create(path, value)

    def delete(self, key: str) -> None:
        path = f"{self.root}/{key}"
        try:
            self.client.delete(path)
        except NotEmptyError:
            self.client.set(path, b"")

    def commit(self, values: Mapping[str, bytes | None]) -> None:
        for key in values:
            self._parents(f"{self.root}/{key}")
        there = {key: self.client.exists_async(f"{self.root}/{key}") for key in values}
        multi = self.client.transaction()
        for key, value in values.items():
            path = f"{self.root}/{key}"
            stat = there[key].get()
            if value is None and stat is not None:
                multi.delete(path) if not stat.numChildren else multi.set_data(path, b"")
            elif value is not None and stat is None:
                multi.create(path, value)
            elif value is not None:
                multi.set_data(path, value)
        for result in multi.commit():
            if isinstance(result, Exception):
                raise result

    def vanish(self) -> None:
        """Remove the root and all below it in one transaction."""
        multi = self.client.transaction()
        for path in self._below(self.root):
            multi.delete(path)
        for result in multi.commit():
            if isinstance(result, Exception):
                raise result

    def _below(self, path: str) -> list[str]:
        children = self.client.get_children(path)
        return [found for name in children for found in self._below(f"{path}/{name}")] + [path]

    def _parents(self, path: str) -> None:
        parent = path.rpartition("/")[0]
        if parent not in self._known:
            self.client.ensure_path(parent or "/")
            self._known.add(parent)


class Zoo(Store):
    """A root of its own on a real server; each `transport` is another user of it, ``outside`` knows no keys."""

    def __init__(self, client: KazooClient, url: str, root: str, options: str = "") -> None:
        self.outside = Outside(client, root)
        self.url = f"{url}{root}{options}"
        super().__init__(self._make_transport)

    def _make_transport(self) -> ZookeeperTransport:
        made = make_transport(Url.parse(self.url), {})
        made.liveness = LIVENESS
        assert isinstance(made, ZookeeperTransport)
        return made

    def user(self, name: str, options: str = "") -> Transport:
        """A transport of somebody who gives ``name`` as user and as password."""
        made = make_transport(Url.parse(self.url.replace("://", f"://{name}:{name}@") + options), {})
        self.closing(made.close)
        return made

    def through(self, port: int) -> ZookeeperTransport:
        """A transport that comes to the same root through another port."""
        made = make_transport(Url.parse(re.sub(r":\d+", f":{port}", self.url, count=1)), {})
        made.liveness = LIVENESS
        self.closing(made.close)
        assert isinstance(made, ZookeeperTransport)
        return made


def until_lost(subscription: Subscription, seconds: float = 60.0) -> StoreError:
    """Poll until that raises; what it raises."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            subscription.poll(0.5)
        except StoreError as error:
            return error
    raise AssertionError(f"nothing was lost within {seconds} s")
