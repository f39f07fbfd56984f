"""What a host wrote is waited for until its copy has been told all up to it, and costs no memory by the write."""

from __future__ import annotations

import pytest

from datasync_core.model.entries import Batch, Delete, Entry, Gone, Put
from datasync_core.model.runtime import RealRuntime
from datasync_core.sync.expected import Expected
from datasync_core.sync.inbox import Inbox
from datasync_core.sync.replica import Replica

PUT = [Put("a/1", b"v")]


class Feed:
    """A copy that is fed by hand."""

    def __init__(self) -> None:
        runtime = RealRuntime()
        self.inbox = Inbox(runtime, runtime.doorbell())
        self.replica = Replica(["a/"])
        self.expected = Expected(self.inbox, self.replica, runtime)

    def read(self, told: int) -> None:
        """A snapshot of this revision."""
        self.inbox.begin()
        self.inbox.complete(told)
        self.take()

    def tell(self, told: int, *changes: Entry | Gone, cleared: bool = False) -> None:
        """A batch of the stream, taken into the copy."""
        self.inbox.put(Batch(list(changes), cleared), told)
        self.take()

    def take(self) -> None:
        self.replica.apply(self.inbox.take())
        self.replica.settle()
        self.inbox.settle()


@pytest.fixture
def feed() -> Feed:
    feed = Feed()
    feed.read(1)
    return feed


def test_a_write_is_expected_until_the_copy_has_its_revision(feed: Feed) -> None:
    """The copy must have been told everything up to the revision of the write."""
    assert feed.expected.is_empty()
    feed.expected.wrote(PUT, 5)
    feed.tell(4, Entry("a/x", b"v", 4))
    assert not feed.expected.is_empty()
    feed.inbox.put(Batch([Entry("a/1", b"v", 5)]), 5)
    assert not feed.expected.is_empty(), "it waits in the inbox"
    feed.take()
    assert feed.expected.is_empty()


def test_an_entry_newer_than_a_write_does_not_end_the_wait(feed: Feed) -> None:
    """A newer entry does not prove that everything before it was told."""
    feed.expected.wrote(PUT, 5)
    feed.tell(4, Entry("a/x", b"v", 6))
    assert not feed.expected.is_empty()


def test_writes_answered_out_of_order_are_expected_up_to_the_newest(feed: Feed) -> None:
    feed.expected.wrote([Put("a/2", b"v")], 6)
    feed.expected.wrote([Put("a/1", b"v")], 5)
    feed.tell(5)
    assert not feed.expected.is_empty()
    feed.tell(6)
    assert feed.expected.is_empty()


@pytest.mark.parametrize("ops", [PUT, [Delete("a/1")]], ids=["put", "delete"])
def test_G11_a_write_that_was_undone_is_read_with_its_revision(feed: Feed, ops: list[Put | Delete]) -> None:
    """Another client has undone the write; the wait ends when the copy was told up to its revision."""
    feed.expected.wrote(ops, 5)
    feed.tell(6, cleared=True)
    assert feed.expected.is_empty()
    feed.expected.wrote(ops, 7)
    feed.inbox.put(Batch([Entry("a/1", b"v", 7)]), 7)
    feed.inbox.put(Batch([], cleared=True), 8)
    feed.take()
    assert feed.expected.is_empty()


def test_G11_a_write_that_is_read_before_its_answer_is_not_waited_for(feed: Feed) -> None:
    """The snapshot is read between the write and its answer.

    After such a snapshot no stream tells of the write again.
    """
    feed.read(5)
    feed.expected.wrote(PUT, 5)
    assert feed.expected.is_empty()


def test_G11_a_write_missing_from_an_earlier_snapshot_is_waited_for(feed: Feed) -> None:
    """The snapshot was begun before the write and does not show it."""
    feed.inbox.begin()
    feed.expected.wrote([Put("a/1", b"new"), Delete("a/2")], 5)
    feed.inbox.chunk([Entry("a/1", b"old", 1), Entry("a/2", b"v", 2), Entry("a/3", b"v", 6)])
    feed.inbox.complete(4)
    feed.take()
    assert not feed.expected.is_empty()
    feed.tell(6, Entry("a/1", b"new", 5), Gone("a/2", 5))
    assert feed.expected.is_empty()


def test_G11_a_delete_beside_a_snapshot_is_waited_for(feed: Feed) -> None:
    """The wait lasts until the copy has applied the delete.

    While a hook runs, the snapshot lies in the inbox, and the copy does not have the key yet.
    """
    feed.inbox.begin()
    feed.inbox.chunk([Entry("a/1", b"v", 3)])
    feed.inbox.complete(4)
    feed.expected.wrote([Delete("a/1")], 5)
    assert not feed.expected.is_empty()
    feed.take()
    assert not feed.expected.is_empty()
    feed.tell(5, Gone("a/1", 5))
    assert feed.expected.is_empty()


def test_G11_a_delete_of_what_the_copy_does_not_have_yet_is_waited_for(feed: Feed) -> None:
    feed.inbox.put(Batch([Entry("a/theirs", b"v", 4)]), 4)
    feed.expected.wrote([Delete("a/theirs")], 5)
    feed.take()
    assert not feed.expected.is_empty()


def test_G11_a_later_snapshot_ends_the_wait_of_another_history(feed: Feed) -> None:
    """A snapshot that was begun after the write shows what is left of it, whatever its revision."""
    feed.expected.wrote(PUT, 1000)
    feed.inbox.begin()
    feed.expected.wrote([Put("a/2", b"v")], 50)
    assert not feed.expected.is_empty()
    feed.inbox.complete(49)
    feed.take()
    assert not feed.expected.is_empty(), "the second was written while it was read"
    feed.tell(50)
    assert feed.expected.is_empty()


def test_what_was_told_of_an_old_history_is_no_measure_for_a_new_one(feed: Feed) -> None:
    feed.tell(1000)
    feed.read(40)
    feed.expected.wrote(PUT, 50)
    assert not feed.expected.is_empty()


def test_an_audit_takes_back_nothing_of_what_was_told(feed: Feed) -> None:
    feed.tell(9)
    feed.inbox.begin(audit=True)
    feed.inbox.complete(7)
    feed.take()
    feed.expected.wrote(PUT, 9)
    assert feed.expected.is_empty()


def test_what_the_stream_told_beside_a_snapshot_that_broke_off_counts(feed: Feed) -> None:
    feed.inbox.begin(audit=True)
    feed.inbox.put(Batch([Entry("a/1", b"v", 5)]), 5)
    feed.inbox.abort()
    feed.inbox.tell(6)
    feed.take()
    feed.expected.wrote(PUT, 6)
    assert feed.expected.is_empty()


def test_changes_told_beside_an_aborted_snapshot_count_when_joined(
    feed: Feed,
) -> None:
    """What the stream told before and beside the snapshot counts when both are joined."""
    feed.inbox.put(Batch([Entry("a/1", b"v", 5)]), 5)
    feed.inbox.begin(audit=True)
    feed.inbox.put(Batch([Entry("a/2", b"v", 7)]), 7)
    feed.inbox.abort()
    feed.take()
    feed.expected.wrote(PUT, 7)
    assert feed.expected.is_empty()


def test_what_nothing_watches_is_not_expected(feed: Feed) -> None:
    feed.expected.wrote([Put("b", b"v"), Delete("c")], 5)
    assert feed.expected.is_empty()
    feed.expected.wrote([Put("b", b"v"), Delete("a/1")], 5)
    assert not feed.expected.is_empty()


def test_G9_writes_that_are_never_read_back_take_no_memory(feed: Feed) -> None:
    """However many writes there are, the host does not remember them one by one."""
    for number in range(1, 20_000):
        feed.expected.wrote([Put(f"a/{number}", b"v"), Delete(f"a/{number}")], 5_000 + number)
        feed.expected.wrote([Put("a/x", b"v")], number)
        if number % 1000 == 0:
            feed.inbox.begin()
            feed.inbox.abort()
    assert feed.expected.remembered() <= 2
    assert not feed.expected.is_empty()
