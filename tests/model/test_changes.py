from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from datasync_core.model.changes import Change, DeleteChange, Kind, PutChange
from datasync_core.model.entries import Entry
from datasync_core.model.errors import Reject, Retry


class Recorder:
    """Where the changes of a test come from."""

    def __init__(self, offset: int = 7) -> None:
        self.offset = offset
        self.said: list[tuple[Any, ...]] = []
        self.decoded: list[bytes] = []

    def decode(self, value: bytes) -> Any:
        self.decoded.append(value)
        return msgspec.json.decode(value)

    def retry(self, change: Any, reason: str, delay: float | None = None) -> None:
        self.said.append(("retry", change.key, reason, delay))

    def reject(self, change: Any, reason: str) -> None:
        self.said.append(("reject", change.key, reason))


def put(source: Recorder, value: bytes = b"2", applied: bytes | None = None) -> PutChange[Any]:
    before = None if applied is None else Entry("routes/a", applied, 1)
    return PutChange(source, "routes/a", Entry("routes/a", value, 5), before)


def delete(source: Recorder, applied: bytes | None = None) -> DeleteChange[Any]:
    return DeleteChange(source, "routes/a", 5, None if applied is None else Entry("routes/a", applied, 1))


def test_G7_a_key_that_was_not_applied_is_created() -> None:
    change = put(Recorder())
    assert (change.kind, change.value, change.previous) == (Kind.CREATE, 2, None)
    assert change.kind is Kind.CREATE, "asking for the previous value must not change the kind"
    assert (change.key, change.name, change.revision, change.deleted) == ("routes/a", "a", 5, False)


def test_G7_previous_is_what_this_plugin_applied() -> None:
    change = put(Recorder(), applied=b"1")
    assert (change.kind, change.value, change.previous) == (Kind.UPDATE, 2, 1)


def test_a_delete_has_the_applied_value_as_previous() -> None:
    change = delete(Recorder(), applied=b"1")
    assert (change.kind, change.value, change.previous) == (Kind.DELETE, None, 1)
    assert (change.key, change.name, change.revision, change.deleted) == ("routes/a", "a", 5, True)


def test_a_delete_of_what_was_never_applied_has_no_previous() -> None:
    assert delete(Recorder()).previous is None


def test_a_difference_carries_the_values_that_were_found() -> None:
    source = Recorder()
    change: PutChange[Any] = PutChange(source, "routes/a", Entry("routes/a", b"2", 5), None, 2, 9)
    assert (change.kind, change.value, change.previous) == (Kind.UPDATE, 2, 9)
    gone: DeleteChange[Any] = DeleteChange(source, "routes/a", 5, None, 9)
    assert gone.previous == 9
    assert source.decoded == []


def test_a_value_is_decoded_when_asked_for_and_once() -> None:
    source = Recorder()
    change = put(source, b"[2]", applied=b"[1]")
    assert source.decoded == []
    assert change.value is change.value
    assert change.previous is change.previous
    assert source.decoded == [b"[2]", b"[1]"]


def test_kinds_are_texts_that_can_be_compared_and_printed() -> None:
    assert f"{Kind.CREATE} {Kind.UPDATE} {Kind.DELETE}" == "CREATE UPDATE DELETE"


def test_a_change_that_is_printed_shows_no_value() -> None:
    assert repr(put(Recorder(), b'"hidden"')) == "<CREATE routes/a (revision 5)>"
    assert repr(put(Recorder(), b'"hidden"', b'"x"')) == "<UPDATE routes/a (revision 5)>"
    assert repr(delete(Recorder(), b'"hidden"')) == "<DELETE routes/a (revision 5)>"


@pytest.mark.parametrize("make", [put, delete])
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("bad gateway"), ("retry", "routes/a", "ValueError: bad gateway", None)),
        (Retry("busy", 3.0), ("retry", "routes/a", "busy", 3.0)),
        (Retry("busy"), ("retry", "routes/a", "busy", None)),
        (Reject("no such gateway"), ("reject", "routes/a", "no such gateway")),
    ],
)
def test_a_failure_with_a_change_stays_this_keys_own(
    make: Callable[[Recorder], Change[Any]], error: Exception, said: tuple[object, ...]
) -> None:
    source = Recorder()
    change: Change[Any] = make(source)
    with change:
        raise error
    assert source.said == [said]


def test_with_a_change_that_succeeds_nothing_is_said() -> None:
    source = Recorder()
    change = put(source)
    with change as entered:
        assert entered is change
    assert source.said == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_concerns_more_than_a_key_goes_through(error: type[BaseException]) -> None:
    source = Recorder()
    with pytest.raises(error), put(source):
        raise error
    assert source.said == []
