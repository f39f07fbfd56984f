"""Names of plugins: how they are spelt, and which one was meant."""

from __future__ import annotations

import re
from collections.abc import Iterable

from datasync_core.model.nearest import nearest

_PLUGIN = re.compile(r"[a-z][a-z0-9_-]*\Z")


def bad_name(name: str) -> str | None:
    """What is wrong with a plugin's name, or None."""
    if not _PLUGIN.match(name):
        return f"{name!r} is no name for a plugin: use lower case letters, digits, - and _, and begin with a letter"
    if "__" in name:
        return f"{name!r} is no name for a plugin: __ separates the parts of environment variables"
    return None


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """``: did you mean redis?``, or nothing where no name is near."""
    found = nearest(name, names)
    return f": did you mean {found}?" if found else ""


def is_misspelling(name: str, right: str) -> bool:
    """Whether ``name`` can hardly be anything but a slip of the fingers for ``right``.

    Stricter than `nearest`, because this one refuses: the same first letter, and at most one letter (two in words
    of seven and more) inserted, left out, changed or swapped. So ``matches`` and ``requests`` are words of their own.
    """
    name = name.lower()
    return name[:1] == right[:1] and _distance(name, right) <= (2 if len(right) >= 7 else 1)


def _distance(one: str, other: str) -> int:
    """How many letters to insert, leave out, change or swap (the restricted Damerau-Levenshtein distance)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        last, before, row = before, row, [i]
        for j, its in enumerate(other, 1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != its)))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == its:
                row[j] = min(row[j], last[j - 2] + 1)
    return row[-1]
