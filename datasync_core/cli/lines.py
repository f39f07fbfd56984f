"""What ``load`` takes: JSON lines as ``dump`` writes them, or one JSON mapping of key → value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeAlias

import msgspec

from datasync_core.model.duplicates import name_twice
from datasync_core.model.errors import UsageError
from datasync_core.model.keys import check_key
from datasync_core.transport import Delete, Put

Ops: TypeAlias = "list[Put | Delete]"
_RIGHT = 'write {"key": ..., "text": ...} a line, or one JSON mapping of key to value'
_AT = re.compile(r" \(byte (\d+)\)\Z")


class Line(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One line of a dump; exactly one of ``text`` and ``base64`` is there."""

    key: str
    text: str | msgspec.UnsetType = msgspec.UNSET
    base64: bytes | msgspec.UnsetType = msgspec.UNSET

    def put(self) -> Put:
        """The write that it stands for; raises ValueError."""
        if isinstance(self.text, str) and self.base64 is msgspec.UNSET:
            return Put(self.key, self.text.encode())
        if isinstance(self.base64, bytes) and self.text is msgspec.UNSET:
            return Put(self.key, self.base64)
        raise ValueError("a line has either text or base64")


def parse(content: bytes, name: str) -> Ops:
    """Return the writes in a file called ``name``; of a key that comes in two lines the later one.

    Raises `UsageError` with the line and what would be right.
    """
    content = content.removeprefix(b"\xef\xbb\xbf")
    ops: dict[str, Put | Delete] = {}
    for op in _lines(content, name) if _has_lines(content) else _mapping(content, name):
        ops.pop(op.key, None)
        ops[op.key] = op
    return list(ops.values())


def _has_lines(content: bytes) -> bool:
    """Whether the first line that is not empty is a line of a dump by itself; an empty file has none, and is fine."""
    start = content.lstrip()
    try:
        fields = msgspec.json.decode(start.split(b"\n", 1)[0], type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return not start
    return "key" in fields and not {"text", "base64"}.isdisjoint(fields)


def _lines(content: bytes, name: str) -> Iterator[Put]:
    decoder = msgspec.json.Decoder(Line)
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            put = decoder.decode(line).put()
            check_key(put.key)
            _check_names(line)
        except (msgspec.MsgspecError, UsageError, ValueError, RecursionError) as error:
            raise UsageError(f"{name}:{number}: {_AT.sub('', str(error))}; {_RIGHT}") from None
        yield put


def _mapping(content: bytes, name: str) -> Iterator[Put | Delete]:
    try:
        fields = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
        _check_names(content)
    except _Twice as twice:
        raise UsageError(f"{name}:{twice.line}: {twice}") from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        place = _AT.search(str(error))
        line = content.count(b"\n", 0, int(place[1])) + 1 if place else 1
        raise UsageError(f"{name}:{line}: {_AT.sub('', str(error))}; {_RIGHT}") from None
    for key, raw in fields.items():
        try:
            yield _op(check_key(key), bytes(raw))
        except (msgspec.MsgspecError, UsageError, ValueError, RecursionError) as error:
            raise UsageError(f"{name}: {error} (at key {key!r}); {_RIGHT}") from None


class _Twice(ValueError):
    """A name is there twice; ``line`` says where the second one is, from 1."""

    line = 1


def _check_names(content: bytes) -> None:
    text = content.decode(errors="replace")  # what is no UTF-8 is refused elsewhere
    if found := name_twice(text):
        twice = _Twice(f"the name {found[0][:60]!r} is there twice; remove one of the two")
        twice.line = text.count("\n", 0, found[1]) + 1
        raise twice


def _op(key: str, raw: bytes) -> Put | Delete:
    """Text as it is, ``null`` deletes, anything else as compact JSON with its numbers as they are written."""
    if raw == b"null":
        return Delete(key)
    if raw.startswith(b'"'):
        return Put(key, msgspec.json.decode(raw, type=str).encode())
    return Put(key, msgspec.json.format(raw, indent=-1))
