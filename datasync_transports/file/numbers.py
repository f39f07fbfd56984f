"""Numbers of documents: each stays the digits that stand there, as far as JSON has that form."""

from __future__ import annotations

import re

import msgspec

_SHORT = 18  # digits of an integer that is the same number in every form
_PARTS = re.compile(r"(?=[-+]?\.?[0-9])([-+]?)0*([0-9]*)(\.[0-9]*)?([eE][-+]?[0-9]+)?")


class NoNumber:
    """NaN or an infinity, for which JSON has no form."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = str(float(text))


def literal(text: str) -> msgspec.Raw:
    """Return a number of JSON as it stands there."""
    return msgspec.Raw(text.encode())


def integer(text: str) -> int | msgspec.Raw:
    """Return an integer of JSON: a short one as what it is, which takes less memory than its text."""
    return int(text) if len(text) <= _SHORT and text != "-0" else literal(text)


def decimal(text: str) -> int | msgspec.Raw | None:
    """Return a decimal number of YAML or TOML with its digits; None for what is none.

    Changed is only what JSON does not allow: ``+``, zeros in front, a point that has no digit on both sides.
    """
    parts = _PARTS.fullmatch(text)
    if parts is None:
        return None
    sign, whole, fraction, exponent = parts.groups(default="")
    digits = f"{'-' if sign == '-' else ''}{whole or '0'}"
    if not fraction and not exponent:
        return integer(digits)
    if fraction == ".":
        fraction = ".0"
    return literal(f"{digits}{fraction}{exponent}")
