"""ZooKeeper as somebody else sees it: kazoo's own client, which knows nothing of keys."""

from __future__ import annotations

from collections.abc import Mapping

from kazoo.client import KazooClient
from kazoo.exceptions import NoNodeError, NotEmptyError


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
