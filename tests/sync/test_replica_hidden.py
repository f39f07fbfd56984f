"""An entry that cannot be read may have no revision; that is no other history of the store."""

from __future__ import annotations

from datasync_core.model.entries import Entry
from datasync_core.sync.inbox import BEGIN, COMPLETE, Chunk
from datasync_core.sync.replica import Replica


def read(replica: Replica, *entries: Entry) -> None:
    replica.settle()
    replica.apply([BEGIN, Chunk(entries), COMPLETE])


def test_an_entry_without_a_revision_is_no_step_back() -> None:
    replica = Replica([""])
    read(replica, Entry("a", b"1", 7), Entry("b", b"1", 9))
    read(replica, Entry("a", b"", 0, "hidden"), Entry("b", b"1", 9))
    assert replica.went_back is None
    assert (hidden := replica.get("a")) is not None
    assert hidden.error == "hidden"
    read(replica, Entry("a", b"1", 7), Entry("b", b"1", 9))
    assert (shown := replica.get("a")) is not None
    assert (shown.value, shown.error, shown.revision) == (b"1", None, 7)
    read(replica, Entry("a", b"2", 6), Entry("b", b"1", 9))
    assert replica.went_back == ("a", 7, 6)
