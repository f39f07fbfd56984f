"""What is wrong with a document, and where."""

from __future__ import annotations

_BRIEF = 60  # characters of a name in an error


class Broken(Exception):
    """A document is no value; the message says why, and ``line`` and ``column`` (from 1) where, if that is known."""

    def __init__(self, problem: str, line: int = 0, column: int = 0) -> None:
        place = f", line {line}, column {column}" if line else ""
        super().__init__(f"{place}: {problem}")


def brief(name: str) -> str:
    """Return a name as an error shows it: in quotes, and not longer than a line."""
    return repr(name if len(name) <= _BRIEF else f"{name[:_BRIEF]}…")


def end_of(text: str) -> tuple[int, int]:
    """Return line and column behind a text."""
    return text.count("\n") + 1, len(text) - text.rfind("\n")


def place_of(text: str, position: int) -> tuple[int, int]:
    """Return line and column of a position in a text."""
    return text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)
