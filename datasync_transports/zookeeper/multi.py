"""From operations on keys to operations on nodes, all of which one multi does or none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kazoo.protocol.serialization import CheckVersion, Create, SetData
from kazoo.protocol.serialization import Delete as DeleteNode
from kazoo.security import CREATOR_ALL_ACL, OPEN_ACL_UNSAFE

from datasync_core.transport import Conflict, Delete, Put, Unsupported
from datasync_transports.zookeeper import failures
from datasync_transports.zookeeper.nodes import Node
from datasync_transports.zookeeper.place import Place
from datasync_transports.zookeeper.reading import Seen
from datasync_transports.zookeeper.requests import Reply

_ANY = -1  # whatever version a node has
EPHEMERAL = 1
_CONTAINER = -(1 << 63)  # what containers have for an owner; nodes with a TTL have 0xff as its highest byte


class Multi:
    """One attempt at a commit: first `look`, then `operations`."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._found: dict[str, Node | None] = {}
        self._acl = acl_of(place)
        self.moment = 0
        """The newest transaction that what was looked at shows."""

    def concerned(self, keys: Iterable[str]) -> list[str]:
        """The nodes to look at: those of the keys, and all between them and the root."""
        place = self._place
        paths: dict[str, None] = {place.root or "/": None}
        for key in keys:
            path = place.path(key)
            while len(path) > len(place.root) and path not in paths:
                paths[path] = None
                path = path.rpartition("/")[0]
        return list(paths)

    def covered(self, reply: Reply) -> None:
        """An answer was read."""
        self.moment = reply.zxid

    def look(self, seen: Iterable[Seen]) -> None:
        """What is there now. Raises `ConnectionLost` where the root is not."""
        self._found = {one.path: one.node for one in seen}
        if self._found[self._place.root or "/"] is None:
            raise failures.no_root(self._place)

    def operations(self, last: Mapping[str, Put | Delete], expect: Mapping[str, int]) -> list[Any]:
        """What does it. Raises `Conflict` where an expectation does not hold, `Unsupported` where nothing can."""
        expected = {self._expected(key, revision): None for key, revision in expect.items()}
        done: list[Any] = []
        for path in expected:
            if self._place.name(path) not in last:
                done += self._unchanged(path)
        made: set[str] = set()
        above = self._above(key for key, op in last.items() if isinstance(op, Put))
        for key, op in last.items():
            path = self._place.path(key)
            version = _ANY
            if path in expected and (node := self._found[path]) is not None:
                version = node.version
            if isinstance(op, Put):
                done += self._put(path, op, version, made)
            elif removed := self._delete(path, version, above):
                done += removed
            elif path in expected:
                done += self._unchanged(path)
        return done

    def _expected(self, key: str, revision: int) -> str:
        path = self._place.path(key)
        node = self._found[path]
        found = node.mzxid if node is not None and node.data else 0
        if found != revision:
            raise Conflict(f"{key} has revision {found} in {self._place}, expected {revision}")
        return path

    def _unchanged(self, path: str) -> Sequence[Any]:
        """That a node is as it was; that there is none is proven by making and removing the first that is missing."""
        node = self._found[path]
        if node is not None:
            return [CheckVersion(path, node.version)]
        while self._found[parent := path.rpartition("/")[0] or "/"] is None:
            path = parent
        return [Create(path, b"", self._acl, 0), DeleteNode(path, _ANY)]

    def _put(self, path: str, op: Put, version: int, made: set[str]) -> Sequence[Any]:
        node = self._found[path]
        flags = EPHEMERAL if op.alive else 0
        create = Create(path, op.value, self._acl, flags)
        if node is None or path in made:
            if op.alive and path in made:
                raise self._has_children(path)
            if path in made:
                return [SetData(path, op.value, _ANY)]
            made.add(path)
            return [*self._parents(path, made), create]
        if op.alive or _is_ephemeral(node):  # it is to end with us, or not to end with whoever it did
            if node.children:
                raise self._has_children(path)
            return [DeleteNode(path, version), create]
        return [SetData(path, op.value, version)]

    def _parents(self, path: str, made: set[str]) -> Sequence[Any]:
        missing: list[str] = []
        path = path.rpartition("/")[0]
        while path and path not in made and self._found.get(path, True) is None:
            missing.append(path)
            path = path.rpartition("/")[0]
        made.update(missing)
        return [Create(parent, b"", self._acl, 0) for parent in reversed(missing)]

    def _delete(self, path: str, version: int, above: set[str]) -> Sequence[Any]:
        node = self._found[path]
        if node is None or not node.data:
            return []
        keeps = node.children or path in above
        return [SetData(path, b"", version) if keeps else DeleteNode(path, version)]

    def _above(self, keys: Iterable[str]) -> set[str]:
        """The directories that these keys lie in."""
        above: set[str] = set()
        for key in keys:
            path = self._place.path(key).rpartition("/")[0]
            while path and path not in above:
                above.add(path)
                path = path.rpartition("/")[0]
        return above

    def _has_children(self, path: str) -> Unsupported:
        key = self._place.name(path)
        return Unsupported(f"{self._place}: {key} has keys below it, so it cannot live with the host")


def right(operation: Any) -> tuple[str, str]:
    """The node whose ACL decides on an operation, and what it must allow."""
    path: str = operation.path
    parent = path.rpartition("/")[0] or "/"
    match operation:
        case Create():
            return parent, "CREATE"
        case DeleteNode():
            return parent, "DELETE"
        case SetData():
            return path, "WRITE"
    return path, "READ"


def acl_of(place: Place) -> list[Any]:
    """What new nodes allow, and to whom."""
    acl: list[Any] = CREATOR_ALL_ACL if place.acl == "creator" else OPEN_ACL_UNSAFE
    return acl


def _is_ephemeral(node: Node) -> bool:
    return node.owner not in (0, _CONTAINER) and (node.owner >> 56) & 0xFF != 0xFF
