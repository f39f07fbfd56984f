from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator, Sized
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasync_core.model.entries import Batch, Entry, Gone
from datasync_core.model.runtime import RealRuntime
from datasync_core.sync.inbox import ABORT, AUDIT, BEGIN, COMPLETE, Changes, Chunk, Inbox, Segment
from datasync_core.sync.replica import Replica

KEYS = ["a", "b", "c/1", "c/2", "d/1"]


def changes(*items: Entry | Gone, cleared: bool = False) -> Changes:
    made = Changes()
    made.cleared = cleared
    made.latest = {item.key: item for item in items}
    return made


def snapshot(*entries: Entry) -> list[Segment]:
    return [BEGIN, Chunk(entries), COMPLETE]


def replica_of(*entries: Entry, counts: bool = False) -> Replica:
    replica = Replica([""], counts=counts)
    replica.apply(snapshot(*entries))
    replica.settle()
    return replica


def held(replica: Replica) -> dict[str, bytes]:
    return {
        key: entry.value for shelf in replica.shelves.all.values() for key, entry in shelf.entries.items()
    }


def entries(replica: Replica, field: str) -> list[int]:
    return [
        getattr(shelf.entries[key], field)
        for shelf in replica.shelves.all.values()
        for key in sorted(shelf.entries)
    ]


def delta(replica: Replica) -> dict[str, Entry | None]:
    assert all(shelf.delta or shelf.renewed for shelf in replica.touched)
    assert len(set(replica.touched)) == len(replica.touched)
    return {key: old for shelf in replica.touched for key, old in shelf.delta.items()}


class Model:
    """A store, a reader that follows the protocol of an inbox, and what the replica must show of it."""

    def __init__(self, counts: bool) -> None:
        self.counts = counts
        self.inbox = Inbox(RealRuntime(), RealRuntime().doorbell())
        self.replica = Replica(["", "c/"], counts=counts)
        self.truth: dict[str, tuple[bytes, int]] = {}
        self.explicit: dict[str, bool] = {}
        self.before: dict[str, Entry] = {}
        self.snapshot: dict[str, tuple[bytes, int]] | None = None
        self.read = False
        self.revision = 0

    def batch(self, items: list[tuple[str, bytes | None]], cleared: bool) -> None:
        if not self.read or self.snapshot is not None:
            return
        made: list[Entry | Gone] = []
        if cleared:
            self.truth = {}
        self.revision += 1
        for key, value in dict(items).items():
            if value is None:
                made.append(Gone(key, 0 if self.counts else self.revision))
                self.truth.pop(key, None)
                self.explicit[key] = True
            else:
                made.append(Entry(key, value, 0 if self.counts else self.revision))
                self.truth[key] = (value, self.revision)
                self.explicit[key] = False
        self.inbox.put(Batch(made, cleared))

    def chunk(self, items: list[tuple[str, bytes | None]]) -> None:
        """A part of a snapshot; None stands for the value that the store had before."""
        if self.snapshot is None:
            self.snapshot = {}
            self.inbox.begin()
        made = []
        self.revision += 1
        for key, value in items:
            known = self.truth.get(key)
            found = known if value is None and known is not None else (value or b"new", self.revision)
            self.snapshot[key] = found
            made.append(Entry(key, found[0], 0 if self.counts else found[1]))
        self.inbox.chunk(made)

    def end(self, whole: bool) -> None:
        if self.snapshot is None:
            return
        if whole:
            self.truth, self.read = self.snapshot, True
            for key in self.truth:
                self.explicit[key] = False
            self.inbox.complete()
        else:
            self.inbox.abort()
        self.snapshot = None

    def take(self) -> None:
        synced = self.replica.synced
        self.replica.apply(self.inbox.take())
        assert self.replica.synced == self.read
        if not self.read:
            return
        assert held(self.replica) == {key: value for key, (value, _) in self.truth.items()}
        assert len(self.replica) == len(self.truth)
        for key in KEYS:
            entry = self.replica.get(key)
            assert (None if entry is None else entry.value) == self.truth.get(key, (None,))[0]
            if entry is not None and not self.counts:
                assert entry.revision == self.truth[key][1]
        if synced:
            self.check_delta()
        self.replica.settle()
        self.before = {key: entry for key in KEYS if (entry := self.replica.get(key)) is not None}
        assert self.replica.touched == []
        assert self.replica.inferred == set()

    def check_delta(self) -> None:
        noted = delta(self.replica)
        renewed = {key: old for shelf in self.replica.touched for key, old in shelf.renewed.items()}
        assert not noted.keys() & renewed.keys()
        for key in KEYS:
            old, new = self.before.get(key), self.replica.get(key)
            if key in noted:
                assert noted[key] is old
                assert old is not None or new is not None
            elif old is not new:
                assert old is not None
                assert new is not None
                assert renewed[key] is old
                assert old.value == new.value
        for shelf in self.replica.touched if self.replica.plain else ():
            there = [shelf.entries[key] for key in shelf.delta if key in shelf.entries]
            assert list(map(id, shelf.fresh)) == list(map(id, there))
            assert shelf.deletes == len(shelf.delta) - len(there)
        absent = {key for key in self.before if self.replica.get(key) is None}
        assert self.replica.inferred == {key for key in absent if not self.explicit.get(key)}


ITEMS = st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from([b"1", b"2", None])), max_size=4)
STEP = st.one_of(
    st.tuples(st.just("batch"), ITEMS, st.sampled_from([False, False, False, True])),
    st.tuples(st.just("chunk"), ITEMS),
    st.tuples(st.just("end"), st.sampled_from([True, True, False])),
    st.tuples(st.just("take")),
)


@pytest.mark.slow
@settings(max_examples=400)
@given(st.lists(STEP, min_size=6, max_size=25), st.booleans())
def test_G1_whatever_the_inbox_gives_the_replica_is_what_the_store_held(
    steps: list[tuple[Any, ...]], counts: bool
) -> None:
    """Batches, flushes and snapshots, whole and broken off, taken at any moment, against plain dicts."""
    model = Model(counts)
    for name, *arguments in steps:
        getattr(model, name)(*arguments)
    model.end(whole=True)
    model.take()
    model.take()


def test_nothing_is_shown_before_a_snapshot_was_whole() -> None:
    replica = Replica([""])
    synced = [replica.synced]
    replica.apply([BEGIN, Chunk([Entry("a", b"1", 1)])])
    synced.append(replica.synced)
    replica.apply([COMPLETE])
    assert [*synced, replica.synced] == [False, False, True]
    assert replica.snapshots == 1
    assert held(replica) == {"a": b"1"}


def test_G4_an_empty_snapshot_is_one_too() -> None:
    assert replica_of().synced


def test_G4_a_first_snapshot_that_breaks_off_leaves_no_trace() -> None:
    replica = Replica([""])
    replica.apply([BEGIN, Chunk([Entry("a", b"1", 900), Entry("b", b"1", 900)])])
    replica.apply([ABORT])
    assert (held(replica), replica.revision, replica.synced, replica.touched) == ({}, 0, False, [])
    replica.apply(snapshot(Entry("b", b"2", 3)))
    assert (held(replica), replica.revision) == ({"b": b"2"}, 3)


@pytest.mark.parametrize("end", [ABORT, BEGIN])
def test_G4_a_later_snapshot_that_breaks_off_leaves_no_trace(end: Segment) -> None:
    first = Entry("a", b"1", 1)
    replica = replica_of(first, Entry("b", b"1", 1))
    replica.apply([BEGIN, Chunk([Entry("a", b"2", 2), Entry("c", b"1", 2)]), end])
    assert replica.get("a") is first
    assert held(replica) == {"a": b"1", "b": b"1"}
    assert (delta(replica), replica.inferred, replica.revision) == ({}, set(), 1)
    replica.apply(snapshot(Entry("a", b"1", 1)))
    assert held(replica) == {"a": b"1"}


def test_what_nothing_watches_is_not_kept() -> None:
    replica = Replica(["a/", "b"])
    replica.apply(snapshot(Entry("a/x", b"1"), Entry("b", b"1"), Entry("b/x", b"1"), Entry("c", b"1")))
    replica.apply([changes(Entry("a/y", b"1"), Entry("c", b"2"), Gone("d"))])
    replica.apply(snapshot(Entry("a/x", b"1"), Entry("c", b"3")))
    assert held(replica) == {"a/x": b"1"}


def test_a_delta_has_the_entry_before_the_round_whatever_happened_in_it() -> None:
    first = Entry("a", b"1", 1)
    replica = replica_of(first, Entry("b", b"1", 1))
    replica.apply([changes(Entry("a", b"2", 2)), *snapshot(Entry("a", b"3", 3), Entry("c", b"1", 3))])
    noted = delta(replica)
    assert noted["a"] is first
    assert noted["c"] is None
    assert set(noted) == {"a", "b", "c"}


def test_what_came_and_went_within_a_round_was_never_there() -> None:
    replica = replica_of()
    replica.apply([changes(Entry("a", b"1", 1)), changes(Gone("a", 2)), changes(Entry("b", b"1", 3))])
    assert delta(replica) == {"b": None}
    replica.settle()
    replica.apply([changes(Entry("x", b"1", 4)), *snapshot(Entry("b", b"1", 3))])
    assert delta(replica) == {}
    assert replica.inferred == set()


def test_absence_is_told_from_an_explicit_delete() -> None:
    replica = replica_of(*(Entry(key, b"1", 1) for key in "abcd"))
    replica.apply([changes(Gone("a", 2)), *snapshot(Entry("d", b"1", 1)), changes(Gone("b", 3))])
    assert set(delta(replica)) == {"a", "b", "c"}
    assert replica.inferred == {"c"}


def test_a_flush_infers_all_but_what_it_names() -> None:
    replica = replica_of(*(Entry(key, b"1", 1) for key in "abc"))
    replica.apply([changes(Entry("a", b"2", 2), Gone("b", 2), cleared=True)])
    assert held(replica) == {"a": b"2"}
    assert replica.inferred == {"c"}


def test_a_key_that_is_back_in_the_same_round_is_not_inferred() -> None:
    replica = replica_of(Entry("a", b"1", 1))
    replica.apply([*snapshot(), changes(Entry("a", b"1", 2))])
    assert replica.inferred == set()
    replica.settle()
    replica.apply([changes(cleared=True), changes(Entry("a", b"1", 3))])
    assert replica.inferred == set()


@pytest.mark.parametrize("revision", [4, 5])
def test_what_is_delivered_twice_is_dropped(revision: int) -> None:
    kept = Entry("a", b"new", 5)
    replica = replica_of(kept)
    replica.apply([changes(Entry("a", b"old", revision))])
    replica.apply([changes(Gone("a", revision))])
    assert replica.get("a") is kept
    assert delta(replica) == {}


def test_a_snapshot_may_go_back_to_lower_revisions() -> None:
    """The stream goes on from the lower revisions."""
    replica = replica_of(Entry("a", b"new", 100), Entry("b", b"1", 100))
    replica.apply(snapshot(Entry("a", b"old", 5), Entry("b", b"1", 5)))
    assert held(replica) == {"a": b"old", "b": b"1"}
    replica.apply([changes(Entry("a", b"next", 6), Gone("b", 6))])
    assert held(replica) == {"a": b"next"}


def test_the_newest_revision_is_known() -> None:
    replica = replica_of(Entry("a", b"1", 3), Entry("b", b"1", 2))
    assert replica.revision == 3
    replica.apply([changes(Entry("a", b"2", 7), Entry("b", b"2", 6))])
    assert replica.revision == 7
    replica.apply([changes(Gone("a", 9))])
    assert replica.revision == 9
    replica.apply([changes(Gone("never-there", 11))])
    assert replica.revision == 11


def test_the_later_of_two_in_a_snapshot_counts() -> None:
    replica = replica_of(Entry("a", b"1", 1), Entry("b", b"1", 1))
    for first, second in [(b"1", b"2"), (b"1", b"3"), (b"2", b"3")]:
        replica.apply(snapshot(Entry("a", first, 1), Entry("b", b"1", 1), Entry("a", second, 1)))
        assert held(replica) == {"a": second, "b": b"1"}
    assert held(replica_of(Entry("a", b"1", 1), Entry("a", b"2", 1))) == {"a": b"2"}


def test_each_snapshot_goes_by_what_it_saw_itself() -> None:
    replica = replica_of(Entry("a", b"1", 1), Entry("b", b"1", 1))
    replica.apply(snapshot(Entry("a", b"1", 1), Entry("b", b"1", 1)))
    replica.apply([BEGIN, Chunk([Entry("b", b"1", 1)]), ABORT])
    replica.apply(snapshot(Entry("a", b"1", 1)))
    assert held(replica) == {"a": b"1"}
    assert replica.inferred == {"b"}


def test_a_store_that_numbers_nothing_is_counted() -> None:
    replica = replica_of(Entry("a", b"1"), Entry("b", b"1"), counts=True)
    first, second = replica.get("a"), replica.get("b")
    assert first is not None
    assert second is not None
    assert (first.revision, second.revision, replica.revision) == (1, 2, 2)
    replica.apply([changes(Entry("a", b"2"), Entry("b", b"1"))])
    assert entries(replica, "revision") == [3, 2]
    replica.apply(snapshot(Entry("a", b"2"), Entry("b", b"3"), Entry("c", b"1")))
    assert entries(replica, "revision") == [3, 4, 5]
    assert replica.revision == 5


def test_a_store_that_numbers_nothing_has_no_duplicates_to_drop() -> None:
    replica = replica_of(*(Entry(key, b"1") for key in "abc"), counts=True)
    replica.apply([changes(Entry("c", b"2", 1), Gone("b", 1))])
    assert held(replica) == {"a": b"1", "c": b"2"}


@pytest.mark.parametrize("counts", [False, True])
def test_what_was_checked_stays_so_for_equal_bytes(counts: bool) -> None:
    replica = replica_of(Entry("a", b"1", 1), Entry("b", b"1", 1), counts=counts)
    for shelf in replica.shelves.all.values():
        for entry in shelf.entries.values():
            entry._checked = 5  # noqa: SLF001  # what a codec notes on an entry
    replica.apply([changes(Entry("a", b"1", 2), Entry("b", b"2", 2))])
    assert entries(replica, "_checked") == [5, 0]
    replica.apply(snapshot(Entry("a", b"1", 3), Entry("b", b"2", 2)))
    assert entries(replica, "_checked") == [5, 0]


def test_what_could_not_be_read_and_now_can_is_a_change() -> None:
    broken = Entry("a", b"", 1, error="hidden")
    replica = replica_of(broken)
    broken._checked = 1  # noqa: SLF001  # what a codec notes on an entry
    replica.apply(snapshot(Entry("a", b"", 1)))
    entry = replica.get("a")
    assert entry is not None
    assert (entry.error, entry._checked) == (None, 0)  # noqa: SLF001  # what a codec notes on an entry
    assert delta(replica) == {"a": broken}


def chunks(count: int, *, later: bool = False) -> Iterator[list[Entry]]:
    """A snapshot a thousand at a time; later 1 % is changed, 0.5 % is new and 0.5 % gone."""
    for start in range(0, count, 1000):
        made = []
        for number in range(start, start + 1000):
            changed = later and number % 100 == 0
            key = f"routes/{number}" if not (later and number % 200 == 7) else f"routes/new{number}"
            made.append(Entry(key, b"%100d" % (number + changed), 1 + changed))
        yield made


@pytest.mark.property
@pytest.mark.slow
def test_W7_a_snapshot_needs_memory_for_what_differs_alone() -> None:
    count = 100_000
    replica = Replica(["routes/"])
    tracemalloc.start()
    try:
        replica.apply([BEGIN])
        for chunk in chunks(count):
            replica.apply([Chunk(chunk)])
        replica.apply([COMPLETE])
        replica.settle()
        chunk = []
        held_before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        replica.apply([BEGIN])
        for chunk in chunks(count, later=True):
            replica.apply([Chunk(chunk)])
        replica.apply([COMPLETE])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(delta(replica)) == count // 100 + 2 * (count // 200)
    assert peak <= 1.1 * held_before


@pytest.mark.property
@pytest.mark.slow
def test_W8_a_replica_is_no_larger_than_a_plain_dict() -> None:
    def measured(build: Callable[[], Sized]) -> int:
        tracemalloc.start()
        try:
            kept = build()
            size, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert len(kept) == 50_000
        return size

    def plain() -> dict[str, tuple[bytes, int]]:
        return {entry.key: (entry.value, entry.revision) for chunk in chunks(50_000) for entry in chunk}

    def ours() -> Replica:
        replica = Replica(["routes/"])
        replica.apply([BEGIN])
        for chunk in chunks(50_000):
            replica.apply([Chunk(chunk)])
        replica.apply([COMPLETE])
        return replica

    assert measured(ours) <= 1.1 * measured(plain)


def test_G11_the_newest_revision_is_that_of_the_history_that_was_read_last() -> None:
    """A store that came back with other keys and lower revisions must not look as if it had shown later writes."""
    replica = replica_of(Entry("a", b"1", 20))
    replica.apply(snapshot(Entry("b", b"1", 3)))
    assert replica.revision == 3
    replica.apply(snapshot())
    assert replica.revision == 0


def test_G10_an_unseen_delete_of_a_key_that_came_back_is_explicit() -> None:
    """The key came back and was deleted again within one round.

    The brake may hold its removal from before: the delete ends that.
    """
    replica = replica_of()
    replica.apply([*snapshot(Entry("a", b"1", 1), Entry("b", b"1", 1)), changes(Gone("a", 2))])
    assert (delta(replica), [key for _, key in replica.buried]) == ({"b": None}, ["a"])


def test_audits_that_are_taken_together_are_counted_together() -> None:
    """They do not hide the new snapshot that was taken with them."""
    replica = replica_of(Entry("a", b"1", 1))
    audit: list[Segment] = [BEGIN, AUDIT, Chunk([Entry("a", b"2", 2)]), COMPLETE]
    replica.apply(
        [*snapshot(Entry("a", b"1", 1)), *audit, BEGIN, AUDIT, Chunk([Entry("a", b"2", 2)]), COMPLETE]
    )
    assert (replica.audited, replica.snapshots) == ((1, 0), 2)


def test_an_audit_with_a_later_revision_is_newer_than_the_stream() -> None:
    """What the stream told beside the audit does not replace the later revision of the audit's snapshot.

    A change was still on its way when somebody wrote the key again, of which the stream never told.
    """
    replica = replica_of(Entry("a", b"1", 1), Entry("b", b"1", 1))
    replica.apply([BEGIN, AUDIT, Chunk([Entry("a", b"3", 4), Entry("b", b"3", 4)])])
    replica.apply([changes(Entry("a", b"2", 2), Gone("b", 3)), COMPLETE])
    assert (held(replica), replica.audited) == ({"a": b"3", "b": b"3"}, (2, 0))


def test_G1_a_key_that_came_and_went_in_one_round_is_no_later_news() -> None:
    """A key that was created and deleted within one round is not told in the next."""
    replica = replica_of()
    replica.apply([*snapshot(Entry("a", b"1", 1)), changes(Gone("a", 2))])
    replica.settle()
    replica.apply([changes(Entry("a", b"2", 3))])
    [shelf] = replica.touched
    assert ([entry.value for entry in shelf.fresh], shelf.deletes) == ([b"2"], 0)


def test_G6_what_the_stream_told_beside_an_audit_is_not_told_again() -> None:
    """The stream that goes on begins with the audit's snapshot, before what the other one told meanwhile."""
    replica = replica_of(Entry("a", b"1", 1), Entry("b", b"1", 1))
    replica.apply([BEGIN, AUDIT, Chunk([Entry("a", b"1", 1), Entry("b", b"1", 1)])])
    replica.apply([changes(Entry("a", b"3", 3), Gone("b", 3), Gone("c", 3)), COMPLETE])
    replica.settle()
    replica.apply([changes(Entry("a", b"2", 2), Entry("b", b"2", 2), Entry("c", b"2", 2))])
    assert (held(replica), delta(replica)) == ({"a": b"3"}, {})
    replica.apply([changes(Gone("b", 3), Entry("c", b"4", 4))])
    assert held(replica) == {"a": b"3", "c": b"4"}


def test_entries_that_cannot_be_read_are_counted_on_their_shelf() -> None:
    replica = Replica([""])
    replica.apply([BEGIN, Chunk([Entry("a", b"1", 1), Entry("b", b"1", 1)]), COMPLETE])
    replica.settle()
    changes = Changes()
    changes.latest = {"a": Entry("a", b"2", 2, "it is hidden"), "b": Entry("b", b"2", 2)}
    replica.apply([changes])
    assert replica.shelves.all[""].errors == 1
    replica.settle()
    assert replica.shelves.all[""].errors == 0
