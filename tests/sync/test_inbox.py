from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest

from datasync_core.model.entries import Batch, Entry, Gone
from datasync_core.model.runtime import Doorbell, RealRuntime
from datasync_core.sync.inbox import ABORT, AUDIT, BEGIN, COMPLETE, Changes, Chunk, Inbox, Segment
from datasync_core.sync.replica import Replica

SOON = 60.0


@pytest.fixture
def bell() -> Doorbell:
    return RealRuntime().doorbell()


@pytest.fixture
def inbox(bell: Doorbell) -> Inbox:
    return Inbox(RealRuntime(), bell)


def put(*keys: str, revision: int = 1) -> Batch:
    return Batch([Entry(key, b"v", revision) for key in keys])


def gone(*keys: str, revision: int = 1) -> Batch:
    return Batch([Gone(key, revision) for key in keys])


def told(segments: Sequence[Segment]) -> list[object]:
    """Segments as they are easily compared: +key, -key, cleared, [keys of a chunk], marks."""
    shown: list[object] = []
    for segment in segments:
        if isinstance(segment, Changes):
            text = ["cleared"] if segment.cleared else []
            text += [f"{'-' if change.gone else '+'}{key}" for key, change in segment.latest.items()]
            shown.append(" ".join(text))
        elif isinstance(segment, Chunk):
            shown.append([entry.key for entry in segment.entries])
        else:
            shown.append(segment)
    return shown


def test_between_two_takes_the_latest_of_each_key_is_kept(inbox: Inbox) -> None:
    inbox.put(Batch([Entry("a", b"1", 1), Entry("b", b"1", 1)]))
    inbox.put(Batch([Entry("a", b"2", 2)]))
    inbox.put(Batch([Gone("b", 3)]))
    [changes] = inbox.take()
    assert isinstance(changes, Changes)
    assert changes.latest == {"a": Entry("a", b"2", 2), "b": Gone("b", 3)}
    assert not changes.cleared


def test_what_was_taken_is_not_taken_again_and_not_changed(inbox: Inbox) -> None:
    inbox.put(put("a"))
    taken = inbox.take()
    inbox.put(put("b"))
    assert told(taken) == ["+a"]
    assert told(inbox.take()) == ["+b"]
    assert inbox.take() == []


def test_an_inbox_says_whether_something_waits(inbox: Inbox) -> None:
    assert inbox.is_empty()
    inbox.put(put("a"))
    assert not inbox.is_empty()
    inbox.take()
    assert inbox.is_empty()


def test_what_counts_rings_the_bell(inbox: Inbox, bell: Doorbell) -> None:
    steps = [lambda: inbox.put(put("a")), lambda: inbox.chunk([]), inbox.complete, inbox.abort]
    for step in steps:
        step()
        assert bell.wait(0.0), step


def test_a_flush_ends_what_came_before_it_but_explicit_deletes(inbox: Inbox) -> None:
    inbox.put(put("a", "b"))
    inbox.put(gone("b", "c"))
    inbox.put(Batch([Entry("d", b"1", 2)], cleared=True))
    inbox.put(put("e"))
    assert told(inbox.take()) == ["cleared -b -c +d +e"]


def test_a_snapshot_comes_in_parts_and_in_order(inbox: Inbox) -> None:
    inbox.begin()
    inbox.chunk([Entry("a", b"1")])
    inbox.chunk([Entry("b", b"1")])
    inbox.complete()
    inbox.put(put("c"))
    inbox.put(put("d"))
    assert told(inbox.take()) == [BEGIN, ["a"], ["b"], COMPLETE, "+c +d"]


def test_a_snapshot_may_be_taken_in_pieces(inbox: Inbox) -> None:
    inbox.begin()
    taken = inbox.take()
    inbox.chunk([Entry("a", b"1")])
    taken += inbox.take()
    inbox.chunk([Entry("b", b"1")])
    inbox.complete()
    taken += inbox.take()
    assert told(taken) == [BEGIN, ["a"], ["b"], COMPLETE]


def test_a_whole_snapshot_replaces_what_came_before_it(inbox: Inbox) -> None:
    """Explicit deletes that came before it are kept."""
    inbox.put(put("a"))
    inbox.put(gone("b"))
    inbox.begin()
    inbox.chunk([Entry("c", b"1")])
    assert told(inbox.staged()) == ["+a -b", BEGIN, ["c"]], "nothing is replaced before it is whole"
    inbox.complete()
    assert told(inbox.take()) == ["-b", BEGIN, ["c"], COMPLETE]


def test_a_snapshot_that_breaks_off_replaces_nothing(inbox: Inbox) -> None:
    inbox.put(put("a"))
    inbox.begin()
    inbox.chunk([Entry("c", b"1")])
    inbox.abort()
    inbox.put(put("b"))
    assert told(inbox.take()) == ["+a +b"]


def test_a_snapshot_that_breaks_off_after_its_beginning_was_taken_is_ended(inbox: Inbox) -> None:
    inbox.begin()
    inbox.take()
    inbox.chunk([Entry("c", b"1")])
    inbox.abort()
    assert told(inbox.take()) == [ABORT]


def test_a_snapshot_that_breaks_off_at_once_leaves_nothing(inbox: Inbox) -> None:
    inbox.begin()
    inbox.abort()
    assert inbox.is_empty()


def test_only_the_last_of_several_whole_snapshots_is_kept(inbox: Inbox) -> None:
    for key in ("a", "b", "c"):
        inbox.begin()
        inbox.chunk([Entry(key, b"1")])
        inbox.complete()
        inbox.put(gone(f"{key}-gone"))
    assert told(inbox.take()) == ["-a-gone -b-gone", BEGIN, ["c"], COMPLETE, "-c-gone"]


def test_a_snapshot_that_is_replaced_while_it_is_taken_is_ended(inbox: Inbox) -> None:
    inbox.begin()
    inbox.chunk([Entry("a", b"1")])
    inbox.take()
    inbox.chunk([Entry("b", b"1")])
    inbox.complete()
    inbox.put(gone("x"))
    inbox.begin()
    inbox.chunk([Entry("c", b"1")])
    inbox.complete()
    assert told(inbox.take()) == [ABORT, "-x", BEGIN, ["c"], COMPLETE]


def test_the_end_of_a_snapshot_is_kept_though_another_follows(inbox: Inbox) -> None:
    inbox.begin()
    inbox.take()
    inbox.abort()
    inbox.begin()
    inbox.complete()
    assert told(inbox.take()) == [ABORT, BEGIN, COMPLETE]


def test_a_delete_before_a_replaced_snapshot_that_has_the_key_is_forgotten(inbox: Inbox) -> None:
    inbox.put(gone("a", "b"))
    inbox.begin()
    inbox.chunk([Entry("a", b"1")])
    inbox.complete()
    inbox.begin()
    inbox.complete()
    assert told(inbox.take()) == ["-b", BEGIN, COMPLETE]


def test_a_key_written_after_its_delete_is_not_deleted_by_a_snapshot(inbox: Inbox) -> None:
    inbox.put(gone("a", "b"))
    inbox.begin()
    inbox.complete()
    inbox.put(put("a"))
    inbox.begin()
    inbox.complete()
    assert told(inbox.take()) == ["-b", BEGIN, COMPLETE]


def test_G9_a_backlog_of_one_key_holds_one_entry(inbox: Inbox) -> None:
    for revision in range(1, 100_001):
        inbox.put(Batch([Entry("a", b"v", revision)]))
    [changes] = inbox.take()
    assert isinstance(changes, Changes)
    assert changes.latest == {"a": Entry("a", b"v", 100_000)}


def test_G9_snapshots_that_nobody_takes_do_not_pile_up(inbox: Inbox) -> None:
    for number in range(1000):
        inbox.begin()
        inbox.chunk([Entry("a", b"v", number)])
        inbox.abort() if number % 3 else inbox.complete()
        inbox.put(put("a", revision=number))
    assert told(inbox.take()) == [BEGIN, ["a"], COMPLETE, "+a"]


def test_G9_keys_deleted_after_an_untaken_snapshot_are_forgotten(inbox: Inbox) -> None:
    """The inbox stays small while keys are created and deleted and nobody takes the snapshot."""
    inbox.knows = {"told", "held"}.__contains__
    inbox.begin()
    inbox.chunk([Entry(key, b"v", 1) for key in ("told", "read")])
    inbox.complete()
    inbox.put(gone("told", "held", "read", revision=2))
    most = 0
    for number in range(20_000):
        inbox.put(put(f"k{number}", revision=number))
        inbox.put(gone(f"k{number}", revision=number + 3))
        changes = inbox.staged()[-1]
        assert isinstance(changes, Changes)
        most = max(most, len(changes.latest))
    assert most < 3000
    [*_, changes] = inbox.take()
    assert isinstance(changes, Changes)
    assert {"told", "held", "read"} <= changes.latest.keys()
    assert changes.revision > 17_000, "the newest forgotten delete is seen, if not told"


def test_G9_deletes_before_untaken_snapshots_are_kept_of_known_keys(
    inbox: Inbox,
) -> None:
    """Only deletes of keys that the replica has are kept."""
    inbox.knows = "told".__eq__
    for number in range(100):
        inbox.begin()
        inbox.chunk([Entry(key, b"v", 1) for key in ("told", f"k{number}")])
        inbox.complete()
        inbox.put(gone("told", f"k{number}", revision=2))
    inbox.begin()
    inbox.complete()
    assert told(inbox.take()) == ["-told", BEGIN, COMPLETE]


def test_G9_audits_that_nobody_takes_do_not_pile_up(inbox: Inbox) -> None:
    inbox.knows = "told".__eq__
    for number in range(1000):
        inbox.put(put("a", "b", revision=number))
        inbox.put(gone("told", f"x{number}", revision=number))
        inbox.begin(audit=True)
        inbox.chunk([Entry("a", b"v", number)])
        inbox.put(put("c", revision=number))
        inbox.abort() if number % 3 else inbox.complete()
        inbox.put(gone("b", revision=number))
        assert len(inbox.staged()) <= 7
    segments = told(inbox.take())
    assert segments[1:] == [BEGIN, AUDIT, ["a"], "+c", COMPLETE, "-b"]
    assert set(str(segments[0]).split()) == {"+a", "+b", "-told", "+c"}


def test_a_snapshot_that_was_read_anew_outlives_the_audits_after_it(inbox: Inbox) -> None:
    inbox.begin()
    inbox.chunk([Entry("a", b"1")])
    inbox.complete()
    inbox.put(put("b"))
    for _ in range(2):
        inbox.begin(audit=True)
        inbox.chunk([Entry("a", b"1")])
        inbox.complete()
        inbox.put(gone("a"))
    assert told(inbox.take()) == [BEGIN, ["a"], COMPLETE, "+b -a", BEGIN, AUDIT, ["a"], COMPLETE, "-a"]


def test_an_audit_that_breaks_off_leaves_what_the_stream_said_in_one(inbox: Inbox) -> None:
    inbox.put(put("a", "b"))
    inbox.begin(audit=True)
    inbox.put(Batch([Entry("c", b"1", 2), Gone("b", 2)], cleared=True))
    inbox.abort()
    inbox.put(put("d"))
    assert told(inbox.take()) == ["cleared +c -b +d"]


def test_G6_a_batch_is_never_divided(inbox: Inbox, bell: Doorbell) -> None:
    """Writers put pairs that must be equal; whoever takes must never see one without the other."""
    writers, rounds = 3, 3000

    def write(name: str) -> None:
        for number in range(rounds):
            value = str(number).encode()
            inbox.put(Batch([Entry(f"{name}/left", value, number), Entry(f"{name}/right", value, number)]))

    threads = [threading.Thread(target=write, args=(f"w{number}",)) for number in range(writers)]
    for thread in threads:
        thread.start()
    seen: dict[str, bytes] = {}
    last = str(rounds - 1).encode()
    while set(seen.values()) != {last}:
        assert bell.wait(SOON)
        for segment in inbox.take():
            assert isinstance(segment, Changes)
            seen |= {key: change.value for key, change in segment.latest.items() if isinstance(change, Entry)}
            for number in range(writers):
                assert seen.get(f"w{number}/left") == seen.get(f"w{number}/right")
    for thread in threads:
        thread.join(SOON)
    assert len(seen) == 2 * writers


def test_G10_a_delete_after_a_replaced_snapshot_counts(inbox: Inbox) -> None:
    """The delete counts whatever its revision is.

    A store that came back twice with other histories: what was deleted in the first has a low revision there.
    """
    inbox.knows = {"a", "b"}.__contains__
    inbox.put(gone("b", revision=9))
    inbox.begin()
    inbox.chunk([Entry("a", b"1", 1)])
    inbox.complete()
    inbox.put(gone("a", revision=2))
    inbox.begin()
    inbox.complete()
    deletes = inbox.take()[0]
    assert isinstance(deletes, Changes)
    assert {key: change.revision for key, change in deletes.latest.items()} == {"b": 9, "a": 0}


def test_G2_a_delete_of_a_key_that_only_the_snapshot_has_is_told(inbox: Inbox) -> None:
    """The delete comes beside the snapshot, and the replica does not have the key yet."""
    replica = Replica([""])
    inbox.knows = replica.knows
    steps: list[Callable[[], object]] = [
        inbox.begin,
        inbox.complete,
        lambda: inbox.begin(audit=True),
        lambda: inbox.chunk([Entry("a", b"1", 1)]),
    ]
    for step in steps:
        step()
        replica.apply(inbox.take())
        inbox.settle()
    inbox.put(gone("a", revision=2))
    inbox.complete()
    replica.apply(inbox.take())
    assert (len(replica), replica.audited) == (0, (0, 0))
