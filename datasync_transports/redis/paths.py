"""Which keys a subscription watches, in Redis's words: prefixes to track, a pattern to scan by, names to ask for."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from datasync_core.transport import is_subtree, outermost

_FEW = 10  # paths that somebody may be asked to type
_MANY = 200  # prefixes: the server compares each with each, and serves nobody meanwhile


class Paths:
    """The watched paths; immutable."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._outermost = outermost(paths)
        self._subtrees = tuple(path.encode() for path in self._outermost if is_subtree(path))
        self.keys = [path.encode() for path in self._outermost if not is_subtree(path)]
        """Those that are one key."""
        apart: list[bytes] = []
        for path in sorted(path.encode() for path in self._outermost):  # what a prefix covers follows it
            if not (apart and path.startswith(apart[-1])):
                apart.append(path)
        few = apart if len(apart) <= _MANY else [_common(apart)]
        self._told_too_much = bool(self.keys) or few is not apart
        self.prefixes = [] if few == [b""] else few
        """What to track: none of them begins with another, as the server demands; empty for everything."""

    @property
    def example(self) -> str:
        """A key that is watched."""
        return self._outermost[0] if self._outermost else ""

    @property
    def pattern(self) -> bytes | None:
        """What all keys below the subtrees match; None where no subtree is watched."""
        if not self._subtrees:
            return None
        return escaped(_common(self._subtrees)) + b"*"

    @property
    def patterns(self) -> list[str]:
        """What an administrator lets somebody use who watches these paths."""
        if len(self._outermost) > _FEW:
            return [
                (escaped(_common([path.encode() for path in self._outermost])) + b"*").decode(errors="ignore")
            ]
        return [escaped(path.encode()).decode() + "*" * is_subtree(path) for path in self._outermost]

    @property
    def wanted(self) -> Callable[[bytes], bool] | None:
        """Whether a key that has one of the prefixes is watched; None: all are."""
        if not self._told_too_much:
            return None
        subtrees, keys = self._subtrees, frozenset(self.keys)
        return lambda key: key in keys or key.startswith(subtrees)

    def below(self, keys: list[bytes]) -> list[bytes]:
        """Those of the keys that lie below a watched subtree."""
        if len(self._subtrees) == 1:
            return keys  # the pattern says as much
        subtrees = self._subtrees
        return [key for key in keys if key.startswith(subtrees)]


def escaped(text: bytes) -> bytes:
    """A pattern that this text alone matches."""
    return re.sub(rb"([*?\[\]\\^])", rb"\\\1", text)


def _common(paths: Sequence[bytes]) -> bytes:
    """What all of them begin with."""
    first, last = min(paths), max(paths)
    return first[: next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))]
