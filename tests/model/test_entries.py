from __future__ import annotations

import gc
import sys

import pytest
from msgspec import Struct

from datasync_core.model.entries import Batch, Capabilities, Cursor, Delete, Entry, Gone, Put


def test_an_entry_is_small_and_unseen_by_the_collector() -> None:
    entry, gone = Entry("k", b"v", 1), Gone("k", 1)
    assert sys.getsizeof(entry) <= 64
    assert sys.getsizeof(gone) <= 32
    assert not gc.is_tracked(entry)
    assert not gc.is_tracked(gone)
    assert not gc.is_tracked(Batch([entry]))
    assert not hasattr(entry, "__dict__")


def test_entries_and_deletes_are_told_apart_by_gone() -> None:
    assert [change.gone for change in Batch([Entry("k", b"v"), Gone("k")]).changes] == [False, True]


@pytest.mark.parametrize("frozen", [Put("k", b"v"), Delete("k"), Cursor("e", "1"), Capabilities()])
def test_what_is_passed_around_cannot_be_changed(frozen: Struct) -> None:
    with pytest.raises(AttributeError):
        setattr(frozen, frozen.__struct_fields__[0], "x")
    assert isinstance(hash(frozen), int)


def test_a_store_can_nothing_that_it_does_not_declare() -> None:
    able = Capabilities()
    assert able.key_bytes is None
    assert not any(
        getattr(able, name) for name in able.__struct_fields__ if name not in {"key_bytes", "empty"}
    )
    assert able.empty, "where any bytes are kept, none are, too"
