"""Where each key of a TOML text stands: `tomllib` gives values without positions.

The scanner reads only what `tomllib` has accepted, so it needs no errors of its own: it steps over values and
notes the line of every key it passes. Where it meets what it does not know it gives up, and messages name the
file alone rather than a wrong line.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from collections.abc import Mapping

Path = tuple[str, ...]

_BLANK = re.compile(r"(?:\s|#[^\n]*)*")
_KEY = re.compile(r"""[ \t]*([A-Za-z0-9_-]+|"(?:\\.|[^"\\\n])*"|'[^'\n]*')[ \t]*(\.?)""")
_TEXT = re.compile(
    r'''"""(?:\\.|[^\\])*?"""(?:"{0,2})|\'\'\'.*?\'\'\'(?:'{0,2})|"(?:\\.|[^"\\\n])*"|'[^'\n]*\'''', re.DOTALL
)
_PLAIN = re.compile(r"[^\s,\]}#=]+(?: [0-9][^\s,\]}#]*)?")  # a date and its time may be parted by one space


def key_lines(text: str) -> Mapping[Path, int]:
    """The line (from 1) where each key or table of a valid TOML text is first named; ``{}`` when that is unsure.

    Keys inside arrays are left out; those of ``[[a]]`` tables count as one table.
    """
    scanner = _Scanner(text.replace("\r\n", "\n"))
    try:
        scanner.document()
    except _Unsure:
        return {}
    return scanner.found


class _Unsure(Exception):
    """The text holds what the scanner does not know."""


class _Scanner:
    """Walks one text; used once, by one thread."""

    def __init__(self, text: str) -> None:
        self.found: dict[Path, int] = {}
        self._text = text
        self._at = 0
        self._ends = [match.start() for match in re.finditer("\n", text)]

    def document(self) -> None:
        table: Path | None = ()
        while self._skip_blank() < len(self._text):
            if self._take("["):
                self._take("[")
                table = self._key(())
                self._expect("]")
                self._take("]")
            else:
                self._pair(table)

    def _pair(self, table: Path | None) -> None:
        path = self._key(table)
        self._expect("=")
        self._value(path)

    def _value(self, path: Path | None) -> None:
        self._skip_blank()
        if self._take("["):
            while not self._closed("]"):
                self._value(None)
        elif self._take("{"):
            while not self._closed("}"):
                self._pair(path)
        else:
            self._match(_TEXT if self._text[self._at : self._at + 1] in ('"', "'") else _PLAIN)

    def _closed(self, bracket: str) -> bool:
        self._skip_blank()
        if self._take(","):
            self._skip_blank()
        return self._take(bracket)

    def _key(self, table: Path | None) -> Path | None:
        """Step over a dotted key and note its line, unless ``table`` is None (inside an array)."""
        path = table
        dot = "."
        while dot:
            start = self._at
            match = self._match(_KEY)
            dot = match[2]
            if path is not None:
                path = (*path, _plain(match[1]))
                self.found.setdefault(path, bisect_left(self._ends, start) + 1)
        return path

    def _skip_blank(self) -> int:
        self._match(_BLANK)
        return self._at

    def _take(self, sign: str) -> bool:
        taken = self._text.startswith(sign, self._at)
        self._at += taken
        return taken

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            raise _Unsure

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str]:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise _Unsure
        self._at = match.end()
        return match


def _plain(key: str) -> str:
    return next(iter(tomllib.loads(f"{key} = 0"))) if key[0] in "\"'" else key
