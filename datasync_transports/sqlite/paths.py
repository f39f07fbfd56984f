"""Which keys a subscription watches, for SQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from datasync_core.transport import is_subtree, outermost

_LAST = chr(0x10FFFF)
_AT_ONCE = 200  # SQLite takes expressions that are 1000 deep, and from 999 arguments on
_SURROGATES = range(0xD800, 0xE000)  # no characters of their own: UTF-8 has none of them


class Paths:
    """The watched paths; immutable."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._outermost = outermost(paths)

    def conditions(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """A condition on ``key`` and its arguments for each path; together they select no key twice."""
        for path in self._outermost:
            if not is_subtree(path):
                yield "key = ?", (path,)
            elif end := _end(path):
                yield "key >= ? AND key < ?", (path, end)
            else:
                yield "key >= ?", (path,)

    def alternatives(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """The same with several paths in one condition, as many as a statement takes."""
        conditions = iter(self.conditions())
        while several := list(islice(conditions, _AT_ONCE)):
            yield (
                " OR ".join(condition for condition, _ in several),
                tuple(argument for _, arguments in several for argument in arguments),
            )


def _end(prefix: str) -> str:
    """The first text after all that begin with ``prefix``, by code points as SQLite compares; "" for none."""
    bare = prefix.rstrip(_LAST)
    if not bare:
        return ""
    following = ord(bare[-1]) + 1
    return bare[:-1] + chr(_SURROGATES.stop if following in _SURROGATES else following)
