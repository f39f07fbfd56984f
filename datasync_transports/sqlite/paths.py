"""Which keys a subscription watches, for SQL and for Python."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from datasync_core.transport import covers, is_subtree


class Paths:
    """The watched paths; immutable."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._outermost: list[str] = []
        for path in sorted(set(paths)):
            if not (self._outermost and covers(self._outermost[-1], path)):
                self._outermost.append(path)
        self._keys = frozenset(path for path in self._outermost if not is_subtree(path))
        self._prefixes = tuple(path for path in self._outermost if is_subtree(path))

    def covers(self, key: str) -> bool:
        """Whether a key is watched."""
        return key.startswith(self._prefixes) or key in self._keys

    def conditions(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """A condition on ``key`` and its arguments for each path; together they select no key twice."""
        for path in self._outermost:
            if not path:
                yield "TRUE", ()
            elif is_subtree(path):
                yield "key >= ? AND key < ?", (path, path[:-1] + chr(ord("/") + 1))
            else:
                yield "key = ?", (path,)
