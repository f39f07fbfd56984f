"""From bytes to the type of a watch: `str` is text, `bytes` raw, everything else JSON.

msgspec decodes into attrs classes, dataclasses, TypedDicts, Structs, builtins and unions, runs attrs validators,
and names the path of what is wrong. Some types it accepts and then never fills (a plain class, a `Path`):
they are refused when the codec is made, not a million times at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import inspect as shapes

from datasync_core.model.entries import Entry
from datasync_core.model.errors import InvalidValue, PluginError, cut, error_text
from datasync_core.model.keys import shown
from datasync_core.spec.refusals import explain

T_co = TypeVar("T_co", covariant=True)


class Codec(Generic[T_co]):
    """How one watch reads values. ``kind``: codecs with equal kinds decode alike, so one check serves all."""

    __slots__ = ("decode", "kind", "raw")

    def __init__(self, decode: Callable[[bytes], T_co], kind: Hashable, *, raw: bool = False) -> None:
        self.decode = decode
        self.kind = kind
        self.raw = raw
        """Whether every value is valid: nothing needs to be checked."""

    def check(self, entry: Entry, bit: int) -> None:
        """Raise `InvalidValue` unless ``entry`` decodes; a success is noted in the entry under ``bit``."""
        if entry._checked & bit:
            return
        try:
            if entry.error is not None:
                raise InvalidValue(entry.error)
            self.decode(entry.value)
        except BaseException as error:  # a codec is the plugin's code: whatever leaves it says "invalid"
            where = f"{cut(shown(entry.key))} (revision {entry.revision})"
            raise InvalidValue(f"{where}: {cut(explain(error))}") from error
        entry._checked |= bit

    def check_all(self, entries: Iterable[Entry], bit: int) -> list[T_co]:
        """The same for several that can be read, at once: their values. Raises what the codec raises, for any."""
        decode = self.decode
        values = [decode(entry.value) for entry in entries]
        for entry in entries:
            entry._checked |= bit
        return values


def make_codec(type_: Any, decode: Callable[[bytes], Any] | None = None) -> Codec[Any]:
    """The codec for a type, or for a callable that takes bytes. Raises `PluginError` for what cannot be decoded."""
    if decode is not None:
        if not callable(decode):
            raise PluginError(f"codec= takes a callable from bytes to a value, got {decode!r}")
        return Codec(decode, _kind("codec", decode))
    if type_ is bytes:
        return Codec(bytes, bytes, raw=True)
    if type_ is str:
        return Codec(_text, str)
    if type_ is Any:
        return Codec(msgspec.json.Decoder().decode, Any)
    try:
        unfilled = _unfilled(shapes.type_info(type_))
        decoder = msgspec.json.Decoder(type_)
    except Exception as error:
        raise PluginError(f"values cannot be decoded into {type_!r}: {error_text(error)}") from error
    if unfilled is not None:
        raise PluginError(
            f"values cannot be decoded into {unfilled!r}: use an attrs class, a dataclass, a TypedDict, a Struct, "
            "a builtin or a union of those, or give codec= a callable from bytes"
        )
    return Codec(decoder.decode, _kind("type", type_))


def _text(value: bytes) -> str:
    return value.decode()


def _kind(how: str, what: object) -> Hashable:
    try:
        hash(what)
    except TypeError:
        return (how, id(what), "identity")
    return (how, what)


def _unfilled(info: Any, seen: set[int] | None = None) -> Any:
    """The first type inside ``info`` that msgspec accepts and cannot fill, or None."""
    seen = set() if seen is None else seen
    if isinstance(info, shapes.CustomType):
        return info.cls
    if not isinstance(info, shapes.Type | shapes.Field) or id(info) in seen:
        return None
    seen.add(id(info))
    for name in info.__struct_fields__:
        part = getattr(info, name)
        for item in part if isinstance(part, tuple) else (part,):
            if (found := _unfilled(item, seen)) is not None:
                return found
    return None
