"""TOML: what keys of many parts cost is bounded before the standard library's parser sees them.

For a key of n parts that one keeps n tuples of up to n parts, and walks each of them: 20,000 parts, a text of 40 kB,
take 1.5 GB. So the parts are counted first, outside of strings and comments, with the header's before them.
"""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from typing import Any

from datasync_transports.file.broken import Broken, end_of, place_of
from datasync_transports.file.numbers import NoNumber, decimal, integer

PARTS = 1_000
"""Parts of one key at most."""
_CHEAP = 1_000_000  # steps that any document may take for its keys; each keeps up to 8 bytes
_STEPS = 16  # for each of its bytes: beside that many a document's size counts, and that has a bound
_FEW = 60  # points in a document: no header is long enough to matter then, and no key
_PLACE = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)
_STRINGS = (
    r'"""[^"\\]*+(?:(?:\\[\s\S]|"(?!""))[^"\\]*+)*+"{3,5}'
    r"|'''[^']*+(?:'(?!'')[^']*+)*+'{3,5}"
    r'|(?!"""|\'\'\')(?:"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"'
    r"|'[^'\n]*+')"
)
_PART = rf"(?:[A-Za-z0-9_-]++|{_STRINGS})"
_KEY = rf"{_PART}(?:[ \t]*+\.[ \t]*+{_PART})*+"
_TOKEN = re.compile(
    rf"#[^\n]*+|(?P<header>^[ \t]*+\[[\[ \t]*+)?(?P<key>{_KEY})|(?P<open>[\"'])", re.MULTILINE
)
_ONE = re.compile(_PART)


def parse(text: str) -> Any:
    """Return the value of a TOML document. Raises `Broken`."""
    _check_keys(text)
    try:
        document = tomllib.loads(text, parse_float=_float)
    except tomllib.TOMLDecodeError as error:
        found = _PLACE.fullmatch(str(error))
        place = (int(found[2]), int(found[3])) if found and found[2] else end_of(text)
        raise Broken(f"expected TOML: {found[1] if found else error}", *place) from None
    _make_plain(document)
    return document


def _check_keys(text: str) -> None:
    """Raise `Broken` where keys have too many parts. What is no key, as ``1.5``, counts as a short one."""
    if text.count(".") <= _FEW:
        return
    header = steps = 0
    most = max(_CHEAP, _STEPS * len(text))
    for token in _TOKEN.finditer(text):
        key = token["key"]
        if key is None:
            if token["open"]:
                return  # a string without an end: the parser stops here, too
            continue
        parts = 1 if "." not in key else sum(1 for _ in _ONE.finditer(key))
        if parts > PARTS:
            raise Broken(f"a key has more than {PARTS} parts", *place_of(text, token.start("key")))
        if token["header"] is None:
            steps += (header + parts) * parts
        else:
            header = max(header, parts)  # the longest: an array in a value looks like one, too
            steps += header
        if steps > most:
            raise Broken("its keys have too many parts for its size", *place_of(text, token.start("key")))


def _float(text: str) -> object:
    number = decimal(text.replace("_", ""))
    return NoNumber(text) if number is None else number


def _make_plain(document: dict[str, Any]) -> None:
    """Put in place what JSON has no form for: dates, and numbers that are longer than the encoder takes."""
    pending: list[Any] = [document]
    while pending:
        outer = pending.pop()
        for at, value in outer.items() if isinstance(outer, dict) else enumerate(outer):
            if isinstance(value, dict | list):
                pending.append(value)
            elif isinstance(value, dt.date | dt.time):
                outer[at] = value.isoformat()
            elif isinstance(value, int) and not isinstance(value, bool):
                outer[at] = integer(str(value))
