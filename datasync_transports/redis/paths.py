"""Which keys a subscription watches, in Redis's words: prefixes to track, a pattern to scan by, names to ask for."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from datasync_core.transport import is_subtree, outermost


class Paths:
    """The watched paths; immutable."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._outermost = outermost(paths)
        self._subtrees = tuple(path.encode() for path in self._outermost if is_subtree(path))
        self.keys = [path.encode() for path in self._outermost if not is_subtree(path)]
        """Those that are one key."""

    @property
    def prefixes(self) -> list[str]:
        """What to track: none of them begins with another, as the server demands; empty for everything."""
        kept: list[str] = []
        for path in self._outermost:  # sorted, so that what a prefix covers follows it
            if not (kept and path.startswith(kept[-1])):
                kept.append(path)
        return [] if kept == [""] else kept

    @property
    def example(self) -> str:
        """A key that is watched."""
        return self._outermost[0] if self._outermost else ""

    @property
    def pattern(self) -> bytes | None:
        """What all keys below the subtrees match; None where no subtree is watched."""
        if not self._subtrees:
            return None
        first, last = min(self._subtrees), max(self._subtrees)
        same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
        return re.sub(rb"([*?\[\]\\^])", rb"\\\1", first[:same]) + b"*"

    @property
    def wanted(self) -> Callable[[bytes], bool] | None:
        """Whether a key that has one of the prefixes is watched; None: all are."""
        if not self.keys:
            return None
        subtrees, keys = self._subtrees, frozenset(self.keys)
        return lambda key: key in keys or key.startswith(subtrees)

    def below(self, keys: list[bytes]) -> list[bytes]:
        """Those of the keys that lie below a watched subtree."""
        if len(self._subtrees) == 1:
            return keys  # the pattern says as much
        subtrees = self._subtrees
        return [key for key in keys if key.startswith(subtrees)]
