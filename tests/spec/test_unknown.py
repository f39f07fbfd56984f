"""The fields of a value that its type does not know are found, where somebody asks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, TypedDict

import msgspec
import pytest
from attrs import frozen

from datasync_core import Watch
from datasync_core.spec.unknown import MOST, unknown_fields
from datasync_core.testing import Harness
from tests.dispatch.recording import Recording


@frozen
class Lamp:
    colour: str
    level: int = 1


@dataclass
class Room:
    lamps: list[Lamp]
    above: Room | None = None


class Named(TypedDict):
    lamp: Lamp


class Red(msgspec.Struct, tag="red"):
    level: int = 0


class Blue(msgspec.Struct, tag="blue", rename="camel"):
    half_level: int = 0


@pytest.mark.parametrize(
    ("type_", "value", "found"),
    [
        (Lamp, {"colour": "x", "level": 2}, []),
        (Lamp, {"colour": "x", "levle": 2}, ["$.levle"]),
        (Lamp | None, {"colour": "x", "levle": 2}, ["$.levle"]),
        (Room, {"lamps": [{"colour": "x"}, {"colour": "x", "a": 1}]}, ["$.lamps[1].a"]),
        (Room, {"lamps": [], "above": {"lamps": [], "below": 1}}, ["$.above.below"]),
        (dict[str, Lamp], {"secret": {"colour": "x", "a": 1}}, ["$[...].a"]),
        (tuple[int, Lamp], [1, {"colour": "x", "a": 1}], ["$[1].a"]),
        (Named, {"lamp": {"colour": "x", "a": 1}, "b": 1}, ["$.lamp.a", "$.b"]),
        (Red | Blue, {"type": "blue", "halfLevel": 1, "level": 1}, ["$.level"]),
        (list[int] | str, [1], []),
        (Any, {"a": 1}, []),
        (int, 1, []),
    ],
)
def test_a_field_that_the_type_does_not_know_is_found(type_: Any, value: object, found: list[str]) -> None:
    assert unknown_fields(Watch("a/", type_), json.dumps(value).encode()) == found


def test_what_is_no_json_for_a_type_has_none() -> None:
    assert unknown_fields(Watch("a/", str), b"{") == []
    assert unknown_fields(Watch("a/", Lamp), b"{") == []
    assert unknown_fields(Watch("a/", Lamp, codec=lambda value: Lamp("x")), b'{"a": 1}') == []


def test_of_very_many_the_first_are_named() -> None:
    value = json.dumps({f"f{number}": 1 for number in range(100)}).encode()
    assert len(unknown_fields(Watch("a/", Lamp), value)) == MOST


def test_explain_names_what_was_ignored() -> None:
    harness = Harness(p=Recording(type=Lamp))
    harness.put("a/1", {"colour": "x", "levle": 2})
    harness.put("a/2", {"colour": "x", "level": 2})
    assert harness.explain("a/1")[1:] == [
        "p watches it by 'a/': applied",
        "  ignored, as its type has no such field: $.levle",
    ]
    assert harness.explain("a/2")[1:] == ["p watches it by 'a/': applied"]
