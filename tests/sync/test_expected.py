"""What a host wrote is waited for until its copy shows it, and costs no memory by the write."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from datasync_core.model.entries import Batch, Delete, Entry, Gone, Put
from datasync_core.model.runtime import RealRuntime
from datasync_core.sync.expected import Expected, Moment
from datasync_core.sync.inbox import Inbox
from datasync_core.sync.replica import Replica


class Feed:
    """A copy that is fed by hand."""

    def __init__(self, *keys: str) -> None:
        runtime = RealRuntime()
        self.inbox = Inbox(runtime, runtime.doorbell())
        self.replica = Replica(["a/"])
        self.inbox.knows = lambda key: self.replica.shelves.peek(key) is not None
        self.expected = Expected(self.inbox, self.replica, runtime)
        self.read(*keys)

    def read(self, *keys: str) -> None:
        self.inbox.begin()
        self.inbox.chunk([Entry(key, b"v", 1) for key in keys])
        self.inbox.complete()
        self.take()

    def wrote(self, ops: Sequence[Put | Delete], revision: int, since: Moment | None = None) -> None:
        """Written in no time, or since a moment."""
        self.expected.wrote(ops, revision, since or self.expected.moment())

    def tell(self, *changes: Entry | Gone) -> None:
        self.inbox.put(Batch(list(changes)))

    def take(self) -> None:
        self.replica.apply(self.inbox.take())
        self.replica.settle()
        self.inbox.settle()


@pytest.fixture
def feed() -> Feed:
    return Feed("a/here")


def test_a_put_is_expected_until_the_copy_has_its_revision(feed: Feed) -> None:
    assert feed.expected.is_empty()
    feed.wrote([Put("a/new", b"v")], 5)
    feed.tell(Entry("a/x", b"v", 4))
    feed.take()
    assert not feed.expected.is_empty()
    feed.tell(Entry("a/new", b"v", 5))
    feed.take()
    assert feed.expected.is_empty()


def test_writes_told_out_of_order_are_expected_up_to_the_newest(feed: Feed) -> None:
    feed.wrote([Put("a/2", b"v")], 6)
    feed.wrote([Put("a/1", b"v")], 5)
    feed.tell(Entry("a/1", b"v", 5))
    feed.take()
    assert not feed.expected.is_empty()


def test_a_put_that_another_deleted_unseen_is_not_waited_for(feed: Feed) -> None:
    feed.wrote([Put("a/new", b"v")], 5)
    feed.tell(Entry("a/new", b"v", 5))
    feed.tell(Gone("a/new", 6))
    feed.take()
    assert feed.expected.is_empty()


def test_a_delete_is_expected_where_there_is_something_to_delete(feed: Feed) -> None:
    feed.wrote([Delete("a/never")], 5)
    assert feed.expected.is_empty()
    feed.wrote([Delete("a/here")], 6)
    assert not feed.expected.is_empty()
    feed.tell(Gone("a/here", 3))
    feed.take()
    assert feed.expected.is_empty(), "another deleted it before: there will be no word of ours"


def test_a_delete_of_what_was_just_put_is_expected_though_the_copy_has_not_seen_the_put(feed: Feed) -> None:
    feed.wrote([Put("a/new", b"v")], 5)
    feed.wrote([Delete("a/new")], 6)
    feed.tell(Entry("a/new", b"v", 5))
    feed.take()
    assert not feed.expected.is_empty()
    feed.tell(Gone("a/new", 6))
    feed.take()
    assert feed.expected.is_empty()


def test_what_was_written_beside_a_snapshot_that_broke_off_is_not_waited_for_in_vain(feed: Feed) -> None:
    feed.inbox.begin(audit=True)
    feed.inbox.abort()
    feed.take()
    feed.wrote([Delete("a/never")], 5)
    assert feed.expected.is_empty()


def test_a_put_into_a_restored_store_counts_for_more_than_one_from_before(feed: Feed) -> None:
    feed.wrote([Put("a/x", b"v")], 1000)
    feed.read("a/here")
    feed.wrote([Put("a/y", b"v")], 50)
    assert not feed.expected.is_empty()
    feed.tell(Entry("a/y", b"v", 50))
    feed.take()
    assert feed.expected.is_empty()


def test_what_nothing_watches_is_not_expected(feed: Feed) -> None:
    feed.wrote([Put("b", b"v"), Delete("c")], 5)
    assert feed.expected.is_empty()


def test_a_snapshot_begun_later_shows_what_was_written(feed: Feed) -> None:
    feed.wrote([Put("a/new", b"v"), Delete("a/here")], 50)
    feed.read("a/here", "a/new")
    assert feed.expected.is_empty()


def test_G9_a_million_writes_that_nobody_reads_back_are_not_remembered_one_by_one(feed: Feed) -> None:
    for number in range(1, 20_000):
        feed.wrote([Put(f"a/{number}", b"v")], 2 * number)
        feed.wrote([Delete(f"a/{number}"), Delete("a/here")], 2 * number + 1)
    assert "a/here" in feed.expected._deletes
    assert len(feed.expected._deletes) + len(feed.expected._mine) <= 3000
    assert not feed.expected.is_empty()


def test_G9_deletes_that_were_seen_are_forgotten_though_nobody_asks() -> None:
    feed = Feed(*(f"a/{number}" for number in range(5000)))
    for number in range(5000):
        feed.wrote([Delete(f"a/{number}")], number + 2)
        feed.tell(Gone(f"a/{number}", number + 2))
        feed.take()
        assert len(feed.expected._deletes) <= 1001


def test_G11_a_snapshot_that_shows_later_writes_need_not_show_one_that_was_made_while_it_was_read() -> None:
    """Not every store shows one moment: it may read a key, then others that were written after it."""
    feed = Feed()
    feed.inbox.begin()
    feed.inbox.chunk([Entry("a/1", b"old", 1)])
    feed.wrote([Put("a/1", b"new"), Delete("a/2")], 5)
    feed.inbox.chunk([Entry("a/2", b"v", 2), Entry("a/3", b"v", 6)])
    feed.inbox.complete()
    feed.take()
    assert not feed.expected.is_empty()
    feed.tell(Entry("a/1", b"new", 5), Gone("a/2", 5))
    feed.take()
    assert feed.expected.is_empty()


def test_what_a_snapshot_shows_that_was_being_read_is_not_waited_for() -> None:
    """A store that does show one moment tells nothing of it again."""
    feed = Feed()
    feed.inbox.begin()
    feed.wrote([Put("a/1", b"new"), Delete("a/2")], 5)
    feed.inbox.chunk([Entry("a/1", b"new", 5)])
    assert not feed.expected.is_empty()
    feed.inbox.complete()
    feed.take()
    assert feed.expected.is_empty()


def test_G11_what_was_read_between_a_write_and_its_answer_is_not_waited_for(feed: Feed) -> None:
    """After such a snapshot no stream tells of the write again: a wait for it would not end."""
    since = feed.expected.moment()
    feed.read("a/here")
    feed.inbox.begin()
    feed.inbox.chunk([Entry("a/new", b"v", 5)])
    feed.inbox.complete()
    feed.take()
    feed.wrote([Put("a/new", b"v"), Delete("a/here")], 5, since)
    assert feed.expected.is_empty()


def test_G11_what_a_snapshot_between_a_write_and_its_answer_does_not_show_is_waited_for(feed: Feed) -> None:
    """It may have been begun before the write."""
    since = feed.expected.moment()
    feed.read("a/here")
    feed.wrote([Put("a/new", b"v"), Delete("a/here")], 5, since)
    feed.tell(Entry("a/other", b"v", 4))
    feed.take()
    assert not feed.expected.is_empty()
    feed.tell(Entry("a/new", b"v", 5), Gone("a/here", 5))
    feed.take()
    assert feed.expected.is_empty()


def test_of_the_writes_to_a_key_beside_a_snapshot_only_the_last_is_waited_for() -> None:
    """The snapshot shows it, and no stream tells of those before."""
    feed = Feed("a/left", "a/right")
    since = feed.expected.moment()
    feed.inbox.begin()
    feed.wrote([Put("a/1", b"v")], 5, since)
    feed.wrote([Delete("a/left")], 6, since)
    feed.wrote([Put("a/left", b"v")], 8, since)
    feed.wrote([Delete("a/1")], 7, since)
    feed.inbox.chunk([Entry("a/left", b"v", 8), Entry("a/right", b"v", 1)])
    assert not feed.expected.is_empty()
    feed.inbox.complete()
    feed.take()
    assert feed.expected.is_empty()


@pytest.mark.parametrize("last", ["put", "delete"])
def test_writes_to_a_key_beside_a_snapshot_may_be_answered_in_another_order(last: str) -> None:
    feed = Feed("a/here")
    feed.inbox.begin()
    put, delete = (8, 7) if last == "put" else (7, 8)
    writes = [([Put("a/here", b"v")], put), ([Delete("a/here")], delete)]
    for ops, revision in sorted(writes, key=lambda write: -write[1]):
        feed.wrote(ops, revision)
    feed.inbox.complete()
    feed.take()
    assert feed.expected.is_empty() is (last == "delete"), "the snapshot shows no put"
    feed.tell(Entry("a/here", b"v", 8) if last == "put" else Gone("a/here", 8))
    feed.take()
    assert feed.expected.is_empty()


def test_G11_a_put_that_another_deleted_before_a_snapshot_came_to_it_is_not_waited_for() -> None:
    """It shows no sign of it, and no stream tells of it: only its revision says that it was read."""
    feed = Feed()
    feed.inbox.begin()
    feed.wrote([Put("a/new", b"v")], 5)
    feed.inbox.chunk([Entry("a/x", b"v", 2)])
    feed.inbox.complete(6)
    feed.take()
    assert feed.expected.is_empty()
    feed.inbox.begin()
    feed.wrote([Put("a/new", b"v")], 7)
    feed.inbox.complete(6)
    feed.take()
    assert not feed.expected.is_empty(), "written after what the snapshot shows"


def test_a_delete_that_another_overtook_beside_a_snapshot_is_not_waited_for(feed: Feed) -> None:
    feed.inbox.begin()
    feed.wrote([Delete("a/here")], 5)
    feed.inbox.chunk([Entry("a/here", b"theirs", 6)])
    feed.inbox.complete()
    feed.take()
    assert feed.expected.is_empty()
