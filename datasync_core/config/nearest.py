"""The nearest right name, for messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that ``name`` was probably meant to be, or None."""
    return next(
        iter(get_close_matches(name, list(known), n=1, cutoff=0.7)), None
    )  # 0.6 takes table for enabled


def did_you_mean(name: str, known: Iterable[str], spelt: Callable[[str], str] = str) -> str:
    """How a sentence about the unknown ``name`` ends; ``spelt`` writes a known name as the reader would."""
    names = sorted(known)
    right = nearest(name, names)
    if right is not None:
        return f"did you mean {spelt(right)}?"
    return f"known are {', '.join(map(spelt, names))}" if names else "none is known"
