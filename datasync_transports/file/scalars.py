"""Scalars of YAML: the core schema of 1.2, and nothing that 1.1 reads as another number.

In 1.1 a MAC address is a number to the base of 60, ``no`` is false, ``1_000`` is 1000 and ``0644`` is 420. In 1.2
the first three are text, as they stand; the fourth is 644, so it is refused until it says which it is.
"""

from __future__ import annotations

import re

import msgspec

from datasync_transports.file.broken import brief
from datasync_transports.file.numbers import NoNumber, decimal, integer

_YAML = "tag:yaml.org,2002:"
TEXT, MERGE, MAP, SEQ = f"{_YAML}str", f"{_YAML}merge", f"{_YAML}map", f"{_YAML}seq"
_NULL, _BOOL, _INT, _FLOAT = f"{_YAML}null", f"{_YAML}bool", f"{_YAML}int", f"{_YAML}float"
_OCTAL = f"{_YAML}number with a zero in front"
_IS = {
    _NULL: re.compile(r"(?:~|null|Null|NULL|)\Z"),
    _BOOL: re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"),
    _OCTAL: re.compile(r"(?:[-+]?0[0-9]+|0o[0-7]+)\Z"),
    _INT: re.compile(r"(?:[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+)\Z"),
    _FLOAT: re.compile(
        r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
    ),
    MERGE: re.compile(r"<<\Z"),
}
_HEX = 1_002  # letters of a hexadecimal number; what it costs grows with their square
_FIRST = {_NULL: ["~", "n", "N", ""], _BOOL: [*"tTfF"], MERGE: ["<"]}
PLAIN = [(tag, pattern, _FIRST.get(tag, [*"-+.0123456789"])) for tag, pattern in _IS.items()]
"""Tag, pattern and first letters of a plain scalar, in the order in which they are tried; other scalars are text."""


def scalar(tag: str, text: str) -> object:
    """Return the value of a scalar. Raises ValueError where the tag has no form in JSON, or does not fit."""
    if tag in (TEXT, f"{_YAML}timestamp", MERGE):
        return text
    if tag in (_OCTAL, _INT) and _IS[_OCTAL].match(text):
        raise ValueError(
            "a number with a zero in front, which YAML 1.1 and 1.2 read differently; "
            'quote it to have text ("0644"), or write it without the zero'
        )
    if tag not in _IS:
        raise ValueError(f"the tag {brief(tag)} has no form in JSON; remove it")
    if not _IS[tag].match(text) and not (tag == _FLOAT and _IS[_INT].match(text)):
        raise ValueError(f"what stands here is no {tag.removeprefix(_YAML)}; remove the tag, or correct it")
    if tag == _NULL:
        return None
    if tag == _BOOL:
        return text[0] in "tT"
    if text.startswith("0x"):
        if len(text) > _HEX:
            raise ValueError(f"a hexadecimal number with more than {_HEX - 2} digits; write it in decimal")
        return integer(str(int(text, 16)))
    number = decimal(text)
    return NoNumber(text.replace(".", "")) if number is None else number


def json_size(tag: str, text: str) -> int:
    """Return how many bytes a scalar takes in JSON, at most."""
    if tag != TEXT:
        return max(len(text), len("null"))
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return len(text) + 2
    try:
        return len(msgspec.json.encode(text))
    except UnicodeEncodeError:  # half of a surrogate pair, which is refused later
        return len(text) * len("\\ud800")
