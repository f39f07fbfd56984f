"""From a document to JSON: one value, as its bytes. What is wrong with it is said with file, line and column.

A number stays the text that stands there (`numbers`), so that a ``Decimal`` sees the same digits as from any other
store. A document and what it stands for are bounded in bytes before anything of that size is made.
"""

from __future__ import annotations

import codecs
import json
import os
import stat
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from datasync_core.transport import name_twice
from datasync_transports.file.broken import Broken, brief, end_of, place_of
from datasync_transports.file.numbers import NoNumber, integer, literal
from datasync_transports.file.tree import File

MAX_DOCUMENT = 16 * 2**20
"""Bytes of a document, and of what it stands for."""
_FRESH = 100_000_000  # nanoseconds; clocks of file systems tick in up to 10 ms


class Document(NamedTuple):
    """What a key's files held. ``fresh``: a write since may have left their signatures as they were."""

    files: Sequence[File]
    value: bytes
    error: str | None
    fresh: bool


def read(files: Sequence[File], limit: int = MAX_DOCUMENT) -> Document | None:
    """Return a key's document of at most ``limit`` bytes, as it is now; None where a file is there no more."""
    now = time.time_ns()
    fresh = any(file.signature and abs(now - file.signature[-1]) < _FRESH for file in files)
    if len(files) > 1:
        names = " and ".join(sorted(file.name for file in files))
        return Document(files, b"", f"{names} are documents of one key; remove all but one", fresh)
    [file] = files
    if file.problem is not None:
        return Document(files, b"", f"{file.name} {file.problem}", fresh)
    try:
        return Document(files, to_json(file.name, _content(file.path, limit), limit), None, fresh)
    except FileNotFoundError as error:
        if os.path.lexists(file.path) or not os.path.isdir(os.path.dirname(file.path)):
            # a link that broke, or a folder that was moved: nobody removed this document
            return Document(files, b"", f"{file.name} cannot be read: {error.strerror}", fresh=True)
        return None
    except Broken as broken:
        return Document(files, b"", f"{file.name}{broken}", fresh)
    except OSError as error:  # what mends it may leave no trace in the file
        return Document(files, b"", f"{file.name} cannot be read: {error.strerror}", fresh=True)
    except Exception as error:  # whatever a parser makes of somebody's text, it concerns this key alone
        return Document(files, b"", f"{file.name}: {type(error).__name__}: {error}", fresh)


def to_json(name: str, content: bytes, limit: int = MAX_DOCUMENT) -> bytes:
    """Return a document's content as compact JSON. Raises `Broken`; parsers may raise other errors, too."""
    if len(content) > limit:
        raise Broken(f"has more than {limit} bytes; split it, or set the option max_document")
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start].decode()
        raise Broken(f"expected UTF-8 text, got byte 0x{content[error.start]:02x}", *end_of(before)) from None
    if not text.strip():
        raise Broken("is empty; write a value", 1, 1)  # what is being written anew is empty for a moment
    try:
        return _dumped(_parsed(name, text, limit))
    except RecursionError:
        raise Broken("is nested too deeply") from None


def _content(path: str, limit: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe would be waited for
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Broken("is no regular file")
        return file.read(limit + 1)  # whatever it grows to meanwhile


def _parsed(name: str, text: str, limit: int) -> Any:
    if name.endswith(".json"):
        return _parsed_json(text)
    if name.endswith(".toml"):
        from datasync_transports.file import tomltext

        return tomltext.parse(text)
    try:
        from datasync_transports.file import yamltext
    except ImportError:
        raise Broken("YAML needs PyYAML: install datasync-host[file]") from None
    return yamltext.parse(text, limit)


def _parsed_json(text: str) -> Any:
    try:
        return json.loads(
            text, parse_int=integer, parse_float=literal, parse_constant=NoNumber, object_pairs_hook=_once
        )
    except json.JSONDecodeError as error:
        raise Broken(f"expected JSON: {error.msg}", error.lineno, error.colno) from None
    except _Twice:
        name, position = name_twice(text) or ("", 0)
        raise Broken(f"the name {brief(name)} is there twice", *place_of(text, position)) from None


class _Twice(Exception):
    """A name is in an object twice."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Twice
    return found


def _dumped(value: object) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (ValueError, TypeError):
        for path, problem in _unfit(value):
            raise Broken(f"{problem} at {path}") from None
        raise


def _unfit(value: object, path: str = "$") -> Iterator[tuple[str, str]]:
    """Where a value cannot be JSON, and why."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _unfit(inner, f"{path}.{name}")
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from _unfit(inner, f"{path}[{position}]")
    elif isinstance(value, NoNumber):
        yield path, f"{value.text} is no number in JSON"
    elif isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
        yield path, "half of a surrogate pair"
