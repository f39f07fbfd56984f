"""Which keys a subscription watches, for SQL and for Python."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from datasync_core.transport import is_subtree, outermost

_LAST = chr(0x10FFFF)
_SURROGATES = range(0xD800, 0xE000)  # no characters of their own: UTF-8 has none of them


class Paths:
    """The watched paths; immutable."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._outermost = outermost(paths)
        self._keys = frozenset(path for path in self._outermost if not is_subtree(path))
        self._prefixes = tuple(path for path in self._outermost if is_subtree(path))

    def covers(self, key: str) -> bool:
        """Whether a key is watched."""
        return key.startswith(self._prefixes) or key in self._keys

    def conditions(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """A condition on ``key`` and its arguments for each path; together they select no key twice."""
        for path in self._outermost:
            if not is_subtree(path):
                yield "key = ?", (path,)
            elif end := _end(path):
                yield "key >= ? AND key < ?", (path, end)
            else:
                yield "key >= ?", (path,)


def _end(prefix: str) -> str:
    """The first text after all that begin with ``prefix``, by code points as SQLite compares; "" for none."""
    bare = prefix.rstrip(_LAST)
    if not bare:
        return ""
    following = ord(bare[-1]) + 1
    return bare[:-1] + chr(_SURROGATES.stop if following in _SURROGATES else following)
