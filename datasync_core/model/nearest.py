"""The name that was probably meant, for messages about one that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, names: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The nearest of ``names``, or None where none is near; the first in the alphabet of equally near ones.

    ``cutoff`` is `difflib`'s: with its 0.6 `enabled` may be taken for `table`, with 0.7 it is not.
    """
    return next(iter(difflib.get_close_matches(name.lower(), sorted(names), 1, cutoff)), None)
