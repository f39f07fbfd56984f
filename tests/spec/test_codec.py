from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import attrs
import msgspec
import pytest

from datasync_core.model.entries import Entry
from datasync_core.model.errors import InvalidValue, PluginError
from datasync_core.spec.codec import make_codec

AT = "Talkative.__attrs_post_init__ (test_codec.py:LINE)"


@attrs.frozen
class Route:
    via: str
    metric: int = attrs.field(default=100, validator=attrs.validators.gt(0))
    ports: list[int] = attrs.Factory(list)


@attrs.frozen
class Other:
    name: str


@dataclasses.dataclass
class Data:
    name: str


class Plain:
    name: str


class Typed(TypedDict):
    name: str


class Shape(msgspec.Struct):
    name: str


class Pair(NamedTuple):
    left: int
    right: int


class Colour(enum.Enum):
    RED = "red"


@attrs.frozen
class Node:
    name: str
    below: list[Node] = attrs.Factory(list)


@attrs.frozen
class WithPath:
    home: Path


@attrs.frozen
class Lost:
    other: Nowhere  # type: ignore[name-defined]  # noqa: F821 - what it is about


@attrs.frozen
class Talkative:
    name: str

    def __attrs_post_init__(self) -> None:
        raise ValueError("Limit - at most `5`")


@attrs.frozen
class Broken:
    name: str

    def __attrs_post_init__(self) -> None:
        raise RuntimeError("boom")


@pytest.mark.parametrize(
    ("type_", "value", "decoded"),
    [
        (bytes, b"\xff\x00", b"\xff\x00"),
        (str, "ü".encode(), "ü"),
        (str, b'"quoted"', '"quoted"'),
        (Any, b'{"a": [1, null]}', {"a": [1, None]}),
        (int, b"3", 3),
        (Route, b'{"via": "eth0", "unknown": 1}', Route("eth0")),
        (Data, b'{"name": "a"}', Data("a")),
        (Typed, b'{"name": "a"}', {"name": "a"}),
        (Shape, b'{"name": "a"}', Shape("a")),
        (Pair, b"[1, 2]", Pair(1, 2)),
        (Colour, b'"red"', Colour.RED),
        (str | None, b"null", None),
        (str | None, b'"a"', "a"),
        (Route | None, b"null", None),
        (list[Route], b'[{"via": "a"}]', [Route("a")]),
        (dict[str, int], b'{"a": 1}', {"a": 1}),
        (Node, b'{"name": "a", "below": [{"name": "b"}]}', Node("a", [Node("b")])),
        (Literal["a", "b"], b'"a"', "a"),
        (dt.date, b'"2024-02-29"', dt.date(2024, 2, 29)),
        (Annotated[int, msgspec.Meta(ge=1)], b"1", 1),
    ],
)
def test_a_value_is_decoded_into_its_type(type_: Any, value: bytes, decoded: Any) -> None:
    codec = make_codec(type_)
    assert codec.decode(value) == decoded
    codec.check(Entry("k", value), 1)


@pytest.mark.parametrize(
    ("type_", "sentence"),
    [
        (Plain, "Plain'>: use an attrs class, a dataclass, a TypedDict"),
        (Path, "Path'>: use an attrs class"),
        (WithPath, "Path'>: use an attrs class"),
        (list[Plain], "Plain'>: use an attrs class"),
        (dict[str, tuple[Plain, ...]], "Plain'>: use an attrs class"),
        (object, "object'>: use an attrs class"),
        (Callable, "Callable'>: use an attrs class"),
        (Route | Other, "more than one dataclass or attrs type"),
        (Lost, "'Nowhere' is not defined"),
        ("Route", "'Route'"),
        (3, "3"),
    ],
)
def test_a_type_that_can_never_be_filled_is_refused(type_: Any, sentence: str) -> None:
    with pytest.raises(PluginError) as error:
        make_codec(type_)
    assert str(error.value).startswith("values cannot be decoded into ")
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("type_", "value", "sentence"),
    [
        (Route, b'{"via": "a", "metric": "x"}', "expected int, got str at $.metric"),
        (Route, b'{"via": "a", "ports": [1, "x"]}', "expected int, got str at $.ports[1]"),
        (Route, b'{"metric": 1}', "object missing required field via at $"),
        (Route, b"[]", "expected object, got array at $"),
        (Route, b'{"via": "a", "metric": -1}', "must be > 0 at $.metric"),
        (list[Route], b'[{"via": "a", "metric": -1}]', "must be > 0 at $[0].metric"),
        (dict[int, int], b'{"a": 1}', "expected int, got str at key in $"),
        (Annotated[int, msgspec.Meta(ge=1)], b"0", "expected int >= 1 at $"),
        (Literal["a"], b'"b - at c"', "invalid enum value at $"),
        (
            Talkative,
            b'{"name": "a"}',
            "Talkative.__attrs_post_init__ (test_codec.py:LINE) raised ValueError at $",
        ),
        (
            list[Talkative],
            b'[{"name": "a"}]',
            "Talkative.__attrs_post_init__ (test_codec.py:LINE) raised ValueError at $[0]",
        ),
        (Broken, b'{"name": "a"}', "Broken.__attrs_post_init__ (test_codec.py:LINE) raised RuntimeError"),
        (int, b"", "expected JSON: Input data was truncated"),
        (Any, b"{]", "expected JSON: object keys must be strings (byte 1)"),
        (str, b"ab\xff", "expected UTF-8 text, got byte 0xff at position 2"),
        (Any, b"[" * 200_000, "expected JSON: nested too deeply"),
        (Node, b'{"name":"a","below":[' * 200_000, "expected JSON: nested too deeply"),
    ],
)
def test_an_error_names_key_revision_expectation_and_place(type_: Any, value: bytes, sentence: str) -> None:
    entry = Entry("routes/a", value, 17)
    with pytest.raises(InvalidValue) as error:
        make_codec(type_).check(entry, 1)
    text = re.sub(r"\.py:\d+", ".py:LINE", str(error.value))
    assert text == f"routes/a (revision 17): {sentence}"
    assert error.value.__cause__ is not None
    assert entry._checked == 0


def test_any_callable_from_bytes_is_a_codec() -> None:
    codec = make_codec(int, lambda value: int(value, 16))
    assert codec.decode(b"ff") == 255
    with pytest.raises(InvalidValue, match=r"^k \(revision 1\): \S*<lambda> .* raised ValueError$"):
        codec.check(Entry("k", b"x", 1), 1)


def test_what_is_no_callable_is_no_codec() -> None:
    with pytest.raises(PluginError, match=r"^codec= takes a callable from bytes to a value, got 3$"):
        make_codec(Any, 3)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("type_", [bytes, str, Any])
def test_an_entry_that_cannot_be_read_is_invalid_for_every_type(type_: Any) -> None:
    entry = Entry("k", b"1", 3, error="hidden by the ACL")
    with pytest.raises(InvalidValue, match=r"^k \(revision 3\): hidden by the ACL$"):
        make_codec(type_).check(entry, 1)


def test_one_check_serves_all_that_decode_alike() -> None:
    calls: list[bytes] = []

    def decode(value: bytes) -> bytes:
        calls.append(value)
        return value

    entry = Entry("k", b"v")
    first, second = make_codec(Any, decode), make_codec(Any, decode)
    assert first.kind == second.kind
    first.check(entry, 2)
    second.check(entry, 2)
    assert calls == [b"v"]
    assert entry._checked == 2
    second.check(entry, 4)
    assert calls == [b"v", b"v"]
    assert entry._checked == 6


def test_only_what_decodes_alike_is_of_one_kind() -> None:
    kinds = [make_codec(type_).kind for type_ in (bytes, str, Any, int, Route, list[Route], Route | None)]
    assert len(set(kinds)) == len(kinds)
    assert make_codec(list[Route]).kind == make_codec(list[Route]).kind
    assert make_codec(Any, int).kind != make_codec(int).kind


def test_a_type_that_cannot_be_hashed_is_of_a_kind_of_its_own() -> None:
    first, second = Annotated[int, []], Annotated[int, []]
    assert make_codec(first).kind == make_codec(first).kind
    assert make_codec(first).kind != make_codec(second).kind


def test_only_raw_bytes_need_no_check() -> None:
    assert make_codec(bytes).raw
    assert not any(make_codec(type_).raw for type_ in (str, Any, Route))


def test_deep_json_leaves_the_interpreter_as_it_was() -> None:
    limit = sys.getrecursionlimit()
    with pytest.raises(InvalidValue):
        make_codec(Any).check(Entry("k", b"[" * 1_000_000), 1)
    assert sys.getrecursionlimit() == limit
    assert make_codec(Any).decode(b"[[1]]") == [[1]]
