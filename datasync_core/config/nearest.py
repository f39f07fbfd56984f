"""The nearest right name, for messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from datasync_core.model.nearest import nearest

CUTOFF = 0.7


def did_you_mean(name: str, known: Iterable[str], spelt: Callable[[str], str] = str) -> str:
    """How a sentence about the unknown ``name`` ends; ``spelt`` writes a known name as the reader would."""
    names = sorted(known)
    right = nearest(name, names, CUTOFF)
    if right is not None:
        return f"did you mean {spelt(right)}?"
    return f"known are {', '.join(map(spelt, names))}" if names else "none is known"
