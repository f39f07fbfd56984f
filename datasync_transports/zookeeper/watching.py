"""Which nodes are watched for which paths, and which keys of theirs are wanted."""

from __future__ import annotations

from collections.abc import Sequence

from datasync_core.transport import is_subtree, outermost
from datasync_transports.zookeeper.place import RESERVED, Place


class Watched:
    """The watched paths as ZooKeeper sees them; immutable. Raises `Misconfigured` for what no node can be called."""

    def __init__(self, place: Place, paths: Sequence[str]) -> None:
        self._place = place
        self._start = len(place.root) + 1
        self.top = place.root or "/"
        """The node below which everything lies."""
        self._skipped = None if place.root else f"/{RESERVED}"  # a directory that is none of ours
        outer = outermost(paths)
        self._keys = frozenset(path for path in outer if not is_subtree(path))
        self._prefixes = tuple(path for path in outer if is_subtree(path))
        for key in self._keys:
            place.check_watched(key)
        directories = {path.rpartition("/")[0] for path in self._prefixes}
        for directory in filter(None, directories):
            place.check_watched(directory)
        nodes = sorted(place.path(directory).rstrip("/") or "/" for directory in directories)
        self.trees = _without_those_inside(nodes)
        """Nodes that are watched with all below."""
        alone = (place.path(key) for key in self._keys)
        self.alone = [path for path in alone if not self.is_in_tree(path)]
        """Nodes that are watched for themselves."""

    def is_in_tree(self, path: str) -> bool:
        """Whether a watched tree has this node."""
        return any(tree in (path, "/") or path.startswith(f"{tree}/") for tree in self.trees)

    def leads(self, path: str) -> bool:
        """Whether a node, or some node below it, may be wanted."""
        if path == self._skipped:
            return False
        key = path[self._start :]
        if key.startswith(self._prefixes) or key in self._keys:
            return True
        directory = f"{key}/"
        return any(wanted.startswith(directory) for wanted in (*self._prefixes, *self._keys))

    def covers(self, path: str) -> bool:
        """Whether who reads the trees comes by this node."""
        return self.is_in_tree(path) and (path in self.trees or self.leads(path))

    def key(self, path: str) -> str | None:
        """The key of a node; None where it is not wanted."""
        key = path[self._start :]
        if not key or not (key.startswith(self._prefixes) or key in self._keys):
            return None
        skipped = self._skipped
        if skipped is not None and path.startswith(skipped) and path[len(skipped) :][:1] in ("", "/"):
            return None
        return key


def _without_those_inside(nodes: Sequence[str]) -> list[str]:
    """Sorted nodes without those that lie below another."""
    kept: list[str] = []
    known: set[str] = set()
    for node in nodes:
        above = node
        while above and above not in known:
            above = above.rpartition("/")[0]
        if not above and not (node != "/" and "/" in known):
            kept.append(node)
            known.add(node)
    return kept
