"""Why a value is refused: path and expectation, and never the value."""

from __future__ import annotations

import dataclasses
import enum
import ipaddress
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from attrs import Attribute, field, frozen, validators

from datasync_core import Event, Reject, Watch, hookimpl
from datasync_core.model.entries import Entry
from datasync_core.model.errors import LONGEST, InvalidValue
from datasync_core.spec.codec import make_codec
from datasync_core.testing import Harness

SECRET = "Tr0ub4dor"


@frozen
class Peer:
    name: str = field(default="aa", validator=[validators.max_len(8), validators.matches_re("[a-z]+")])
    level: int | None = field(default=None, validator=validators.optional(validators.ge(3)))
    ports: list[int] = field(factory=list, validator=validators.deep_iterable(validators.lt(100)))
    mode: str = field(default="on", validator=validators.in_(("on", "off")))
    other: str = field(default="", validator=validators.or_(validators.in_(("",)), validators.min_len(20)))
    own: str = field(default="")
    loud: str = field(default="")

    @own.validator
    def _check_own(self, attribute: Attribute[str], value: str) -> None:
        if value:
            raise TypeError(f"{value} is not for you")

    @loud.validator
    def _check_loud(self, attribute: Attribute[str], value: str) -> None:
        if value:
            raise LookupError(value)


@dataclasses.dataclass
class Data:
    text: str

    def __post_init__(self) -> None:
        ipaddress.ip_address(self.text)


class Colour(enum.Enum):
    RED = "red"

    @classmethod
    def _missing_(cls, value: object) -> Colour:
        raise ValueError(f"no colour: {value}")


class One(msgspec.Struct, tag="one"):
    x: int


class Two(msgspec.Struct, tag="two"):
    x: int


class Mute(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


def refusal(type_: Any, value: object, codec: Callable[[bytes], Any] | None = None) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    with pytest.raises(InvalidValue) as error:
        make_codec(type_, codec).check(Entry("k", data, 2), 1)
    text = str(error.value)
    assert SECRET not in text
    assert "Attribute(" not in text
    return text.removeprefix("k (revision 2): ")


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"name": SECRET}, "must have a length of at most 8 at $.name"),
        ({"name": SECRET[:4]}, "must match '[a-z]+' at $.name"),
        ({"level": 1}, "must be >= 3 at $.level"),
        ({"ports": [5, 500]}, "must be < 100 at $.ports"),
        ({"mode": SECRET}, "must be in ('on', 'off') at $.mode"),
    ],
)
def test_of_a_validator_of_attrs_path_and_expectation_are_told(value: object, sentence: str) -> None:
    assert refusal(Peer, value) == sentence
    assert refusal(dict[str, list[Peer]], {"a": [value]}) == sentence.replace("$", "$[...][0]")


def test_of_a_validator_of_several_all_is_told() -> None:
    text = refusal(Peer, {"other": SECRET})
    assert text.startswith("must pass <or validator wrapping (<in_ validator with options ('',)>, <min_len ")
    assert text.endswith(" at $.other")


def test_of_what_code_of_others_raises_only_name_and_place_are_told() -> None:
    own = refusal(Peer, {"own": SECRET})
    assert own.startswith("Peer._check_own (test_refusals.py:")
    assert own.endswith(") raised TypeError at $.own")
    assert refusal(Peer, {"loud": SECRET}).endswith(") raised LookupError in field loud")
    data = refusal(list[Data], [{"text": SECRET}])
    assert data.startswith("Data.__post_init__ (test_refusals.py:")
    assert data.endswith(") raised ValueError at $[0]")


@pytest.mark.parametrize("type_", [Colour, One | Two])
def test_a_value_that_is_none_of_several_is_not_quoted(type_: Any) -> None:
    text = refusal(type_, {"type": SECRET, "x": 1} if type_ is not Colour else SECRET)
    assert text.startswith("invalid ")


def _raises(error: BaseException) -> Callable[[bytes], Any]:
    def decode(value: bytes) -> Any:
        raise error

    return decode


@pytest.mark.parametrize(
    ("codec", "sentence"),
    [
        (int, "its codec raised ValueError"),
        (_raises(msgspec.ValidationError(f"no {SECRET}")), "_raises.<locals>.decode (test_refusals.py:"),
        (_raises(msgspec.DecodeError(f"no {SECRET}")), "_raises.<locals>.decode (test_refusals.py:"),
        (
            _raises(UnicodeDecodeError("ascii", b"", 5, 6, SECRET)),
            "_raises.<locals>.decode (test_refusals.py:",
        ),
        (_raises(KeyError(SECRET)), "_raises.<locals>.decode (test_refusals.py:"),
        (_raises(Mute(SECRET)), "_raises.<locals>.decode (test_refusals.py:"),
        (msgspec.json.Decoder(list[int]).decode, "expected array, got str at $"),
    ],
)
def test_what_a_codec_raises_is_told_without_its_text(codec: Callable[[bytes], Any], sentence: str) -> None:
    assert refusal(Any, SECRET, codec).startswith(sentence)


def test_a_reject_in_a_codec_says_why_in_its_own_words() -> None:
    assert refusal(Any, SECRET, _raises(Reject("a peer has two names"))) == "a peer has two names"
    long = refusal(Any, SECRET, _raises(Reject("x" * 100_000)))
    assert len(long) == LONGEST
    assert "100000 characters in all" in long


def test_no_value_is_told_in_a_fault_or_in_an_event() -> None:
    class Peers:
        watch = Watch("peers/", Peer)
        watches = [watch]
        invalid: dict[str, str] = {}

        @hookimpl
        def on_resync(self, event: Event) -> None:
            self.invalid = {str(key): why for key, why in event.invalid.items()}

    plugin = Peers()
    harness = Harness(p=plugin)
    harness.put("peers/a", {"mode": SECRET})
    harness.put("peers/b", {})
    [fault] = harness.faults()
    assert fault == "p: peers/a (revision 1): must be in ('on', 'off') at $.mode"
    assert plugin.invalid == {"peers/a": fault.removeprefix("p: ")}
