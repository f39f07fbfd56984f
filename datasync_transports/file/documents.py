"""From a document to JSON: one value, as its bytes. What is wrong with it is said with file, line and column."""

from __future__ import annotations

import codecs
import datetime as dt
import json
import math
import os
import re
import stat
import time
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from datasync_transports.file.tree import File

_FRESH = 100_000_000  # nanoseconds; clocks of file systems tick in up to 10 ms
_TOML_PLACE = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)


class Document(NamedTuple):
    """What a key's files held. ``fresh``: a write since may have left their signatures as they were."""

    files: Sequence[File]
    value: bytes
    error: str | None
    fresh: bool


class Broken(Exception):
    """A document is no value; the message says why, and ``line`` and ``column`` (from 1) where, if that is known."""

    def __init__(self, problem: str, line: int = 0, column: int = 0) -> None:
        place = f", line {line}, column {column}" if line else ""
        super().__init__(f"{place}: {problem}")


def read(files: Sequence[File]) -> Document | None:
    """A key's document, as it is now; None where a file is there no more."""
    now = time.time_ns()
    fresh = any(file.signature and abs(now - file.signature[-1]) < _FRESH for file in files)
    if len(files) > 1:
        names = " and ".join(sorted(file.name for file in files))
        return Document(files, b"", f"{names} are documents of one key; remove all but one", fresh)
    [file] = files
    if file.problem is not None:
        return Document(files, b"", f"{file.name} {file.problem}", fresh)
    try:
        return Document(files, to_json(file.name, _content(file.path)), None, fresh)
    except FileNotFoundError:
        return None
    except Broken as broken:
        return Document(files, b"", f"{file.name}{broken}", fresh)
    except OSError as error:  # what mends it may leave no trace in the file
        return Document(files, b"", f"{file.name} cannot be read: {error.strerror}", fresh=True)
    except Exception as error:  # whatever a parser makes of somebody's text, it concerns this key alone
        return Document(files, b"", f"{file.name}: {type(error).__name__}: {error}", fresh)


def to_json(name: str, content: bytes) -> bytes:
    """A document's content as compact JSON. Raises `Broken`; parsers may raise other errors, too."""
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start].decode()
        raise Broken(f"expected UTF-8 text, got byte 0x{content[error.start]:02x}", *_end(before)) from None
    if not text.strip():
        raise Broken("is empty; write a value", 1, 1)  # what is being written anew is empty for a moment
    try:
        return _dumped(_parsed(name, text))
    except RecursionError:
        raise Broken("is nested too deeply") from None


def _content(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe would be waited for
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Broken("is no regular file")
        return file.read()


def _parsed(name: str, text: str) -> Any:
    if name.endswith(".json"):
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise Broken(f"expected JSON: {error.msg}", error.lineno, error.colno) from None
    if name.endswith(".toml"):
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            found = _TOML_PLACE.fullmatch(str(error))
            place = (int(found[2]), int(found[3])) if found and found[2] else _end(text)
            raise Broken(f"expected TOML: {found[1] if found else error}", *place) from None
    try:
        from datasync_transports.file import yamltext
    except ImportError:
        raise Broken("YAML needs PyYAML: install datasync-host[file]") from None
    return yamltext.parse(text)


def _dumped(value: object) -> bytes:
    try:
        return json.dumps(
            value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_iso
        ).encode()
    except (ValueError, TypeError):
        for path, problem in _unfit(value):
            raise Broken(f"{problem} at {path}") from None
        raise


def _end(text: str) -> tuple[int, int]:
    """Line and column behind a text."""
    return text.count("\n") + 1, len(text) - text.rfind("\n")


def _iso(value: object) -> str:
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    raise TypeError


def _unfit(value: object, path: str = "$") -> Iterator[tuple[str, str]]:
    """Where a value cannot be JSON, and why."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _unfit(inner, f"{path}.{name}")
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from _unfit(inner, f"{path}[{position}]")
    elif isinstance(value, float) and not math.isfinite(value):
        yield path, f"{value} is no number in JSON"
    elif isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
        yield path, "half of a surrogate pair"
    elif not isinstance(value, str | int | float | dt.date | dt.time | None):
        yield path, f"{type(value).__name__} has no form in JSON"
