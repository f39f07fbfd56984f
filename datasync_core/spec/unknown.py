"""Which fields of a value its type does not know: they are ignored when it is decoded, as JSON APIs do.

Looked for only where somebody asks (`ops.explain`): a misspelt name is a default that nobody wanted.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import inspect as shapes

if TYPE_CHECKING:
    from datasync_core.spec.watch import Watch

MOST = 10
"""Fields that are named of one value."""


def unknown_fields(watch: Watch[Any], value: bytes) -> list[str]:
    """Return the paths of the fields that the watch's type does not know, like ``$.ports[0].nmae``.

    Empty where the value is no JSON for the type, or a codec of the plugin's own reads it.
    """
    if not watch.is_typed:
        return []
    try:
        return list(islice(_unknown(shapes.type_info(watch.type), msgspec.json.decode(value), "$"), MOST))
    except (msgspec.MsgspecError, RecursionError):
        return []


def _unknown(info: shapes.Type, value: Any, path: str) -> Iterator[str]:
    match info:
        case shapes.UnionType():
            found = [one for one in info.types if _fits(one, value)]
            if len(found) == 1:  # of several nobody can tell which was meant
                yield from _unknown(found[0], value, path)
        case shapes.DataclassType() | shapes.TypedDictType() | shapes.StructType() if isinstance(value, dict):
            fields = {field.encode_name: field.type for field in info.fields}
            tag = info.tag_field if isinstance(info, shapes.StructType) else None
            for name, inner in value.items():
                if name in fields:
                    yield from _unknown(fields[name], inner, f"{path}.{name}")
                elif name != tag:
                    yield f"{path}.{name}"
        case shapes.DictType() if isinstance(value, dict):
            for inner in value.values():
                yield from _unknown(info.value_type, inner, f"{path}[...]")
        case shapes.TupleType() if isinstance(value, list):
            for number, (item, inner) in enumerate(zip(info.item_types, value, strict=False)):
                yield from _unknown(item, inner, f"{path}[{number}]")
        case shapes.CollectionType() if isinstance(value, list):
            for number, inner in enumerate(value):
                yield from _unknown(info.item_type, inner, f"{path}[{number}]")


def _fits(info: shapes.Type, value: Any) -> bool:
    """Whether a value may be of this one of several types."""
    if isinstance(value, list):
        return isinstance(info, shapes.CollectionType | shapes.TupleType)
    if not isinstance(value, dict):
        return False
    if isinstance(info, shapes.StructType) and info.tag_field is not None:
        return bool(value.get(info.tag_field) == info.tag)
    return isinstance(info, shapes.DataclassType | shapes.TypedDictType | shapes.StructType | shapes.DictType)
