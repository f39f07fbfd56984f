"""Why a value is refused, in words that hold no value: it may be a password.

Of msgspec's own errors the text is known: the quoted ones of its few that quote a value are left out. Any other text
is written by somebody else, and most quote what they refuse ("'number' must be > 0: -1"): it is never shown. In its
place stands where it was raised and, of attrs' validators, what they expect, which their own attributes tell. Who
wants a text of his own to be shown raises `Reject` with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import attr
import msgspec

from datasync_core.model.errors import InvalidValue, Reject, cut, said_reason

_WHERE = re.compile(r"(.*?)( - at ((?:`key` in )?`\$[^`]*`))?", re.DOTALL)
_OWN = re.compile(r"(?:Expected|Object|Invalid|Number|Integer|Out of range)\b")
"""How msgspec's own texts begin."""
_MALFORMED = re.compile(r"JSON is malformed: |Input data was truncated|Invalid UTF-8")
_QUOTED = re.compile(r"(Invalid (?:enum )?value) .*", re.DOTALL)
_LIBRARIES = tuple(str(Path(str(module.__file__)).parent) for module in (attr, msgspec))
_BOUND = 200
"""Characters of an expectation that are shown."""


def explain(error: BaseException) -> str:
    """Return why a value was refused, as an operator reads it: what was expected, what was there, and where."""
    try:
        return _explained(error)
    except BaseException:  # the text of somebody else's exception may fail, too
        return f"its codec raised {type(error).__name__}"


def _explained(error: BaseException) -> str:
    if isinstance(error, InvalidValue):
        return str(error)
    if isinstance(error, Reject):
        return said_reason(error)
    if isinstance(error, msgspec.ValidationError):
        text, _, path = _WHERE.fullmatch(str(error)).groups()  # type: ignore[union-attr]  # matches any text
        path = (path or "$").replace("`", "")
        if error.__cause__ is not None:  # a validator's, or a `__post_init__`'s
            return _raised(error.__cause__, path)
        if not _OWN.match(text):
            return _raised(error, path)
        text = _QUOTED.sub(r"\1", text).replace("`", "")
        return f"{text[:1].lower()}{text[1:]} at {path}"
    if isinstance(error, msgspec.DecodeError) and _MALFORMED.match(str(error)):
        return "expected JSON: " + str(error).removeprefix("JSON is malformed: ")
    if type(error) is UnicodeDecodeError and error.start < len(error.object):
        return f"expected UTF-8 text, got byte 0x{error.object[error.start]:02x} at position {error.start}"
    if isinstance(error, RecursionError):
        return "expected JSON: nested too deeply"
    return _raised(error, None)


def _raised(error: BaseException, path: str | None) -> str:
    """What code that is not ours raised; ``path`` is that of the object it looked at, None where nobody knows."""
    attribute, validator, where = None, None, None
    for frame in _frames(error):
        library = frame.f_code.co_filename.startswith((*_LIBRARIES, "<"))
        for value in list(frame.f_locals.values()):
            if isinstance(value, attr.Attribute):
                attribute = value
                validator = frame.f_locals.get("self") if library else None
        if where is None and not library:
            where = _place(frame.f_code, frame.f_lineno)
    at = "" if path is None else f" at {path}"
    if attribute is not None:
        at = f" in field {attribute.name}" if path is None else f"{at}.{attribute.name}"
    if validator is not None:
        return f"{cut(_expectation(validator), _BOUND)}{at}"
    return f"{where or 'its codec'} raised {type(error).__name__}{at}"


def _frames(error: BaseException) -> Iterator[FrameType]:
    """The frames that an error came through below ours, outermost first."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename != _CODEC:
            yield trace.tb_frame
        trace = trace.tb_next


def _place(code: CodeType, line: int) -> str:
    return f"{code.co_qualname} ({Path(code.co_filename).name}:{line})"


def _expectation(validator: Any) -> str:
    """What one of attrs' validators expects; its own `repr` holds no value either."""
    match validator:
        case attr.validators._InValidator():  # type: ignore[attr-defined]
            return f"must be in {validator.options!r}"
        case attr.validators._NumberValidator():  # type: ignore[attr-defined]
            return f"must be {validator.compare_op} {validator.bound!r}"
        case attr.validators._MatchesReValidator():  # type: ignore[attr-defined]
            return f"must match {validator.pattern.pattern!r}"
        case attr.validators._MaxLengthValidator():  # type: ignore[attr-defined]
            return f"must have a length of at most {validator.max_length}"
        case attr.validators._MinLengthValidator():  # type: ignore[attr-defined]
            return f"must have a length of at least {validator.min_length}"
    return f"must pass {validator!r}"


_CODEC = str(Path(__file__).with_name("codec.py"))
