"""Checks of snapshots, and of the seam between a snapshot and the stream that follows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from datasync_core.model.entries import Entry
from datasync_core.testing.conformance.rules import Rule, holds, require
from datasync_core.testing.conformance.site import Copy, Site, doc

_SEVERAL = 2500  # more than one chunk
_ONCE = 1000  # keys that are written once; not more, for a store that is read as a whole at each change


class SnapshotChecks:
    """Part of `TransportConformance`."""

    many: int

    @holds(Rule.SNAPSHOT)
    def test_an_empty_store_has_an_empty_snapshot_and_then_a_stream(self, site: Site) -> None:
        copy = site.copy().read()
        copy.check()
        copy.poll(0.0)
        site.put("a", doc(1))
        copy.follow()

    @holds(Rule.SNAPSHOT)
    def test_a_snapshot_of_many_keys_is_whole(self, site: Site) -> None:
        site.fill({f"k/{i:06}": doc(i) for i in range(self.many)})
        copy = site.copy().read()
        copy.check()
        site.delete("k/000000")
        site.put("k/000001", doc(-1))
        copy.follow()

    @holds(Rule.BATCH)
    def test_a_snapshot_comes_in_chunks(self, site: Site) -> None:
        site.fill({f"k{i}": doc(i) for i in range(_SEVERAL)})
        chunks = sum(1 for chunk in site.copy().subscription.snapshot() if chunk)
        require(
            chunks <= _SEVERAL // 10,
            f"{_SEVERAL} keys came in {chunks} chunks; read and hand out about a thousand at once",
        )

    @holds(Rule.SNAPSHOT)
    def test_a_snapshot_that_was_broken_off_gives_no_cursor(self, site: Site) -> None:
        site.fill({f"k{i}": doc(i) for i in range(_SEVERAL)})
        copy = site.copy()
        chunks = iter(copy.subscription.snapshot())
        copy.take(next(chunks))
        if len(copy.entries) < len(site.truth):
            require(
                copy.cursor is None,
                f"there is a cursor after {len(copy.entries)} of {len(site.truth)} keys; resumed, it misses the rest",
            )
        copy.subscription.close()
        site.copy().read().check()

    @holds(Rule.ARM)
    def test_what_is_written_while_a_snapshot_is_read_is_not_lost(self, site: Site) -> None:
        copy, chunks = _in_the_middle(site)
        seen = next(iter(copy.entries)).removeprefix(site.prefix)
        unseen = next(
            (name for name in ("k1", f"k{_SEVERAL - 1}") if site.prefix + name not in copy.entries), "k2"
        )
        site.put(seen, doc(-1))
        site.put("made", doc(-1))
        if unseen != seen:
            site.delete(unseen)
        for chunk in chunks:
            copy.take(chunk)
        copy.follow()

    @holds(Rule.TOLD)
    def test_a_snapshot_does_not_claim_what_was_written_while_it_was_read(self, site: Site) -> None:
        copy, chunks = _in_the_middle(site)
        names = [next(iter(copy.entries)).removeprefix(site.prefix), "made"]
        for name in names:
            site.put(name, doc(-1))
        for chunk in chunks:
            copy.take(chunk)
        claimed, shown = copy.subscription.revision, dict(copy.entries)
        copy.follow()
        for key in (site.prefix + name for name in names):
            written = copy.entries[key].revision
            there = key in shown and shown[key].revision >= written
            require(
                there or not site.can.revisions or written > claimed,
                f"a snapshot does not show the write of revision {written} to {key}, but its revision is {claimed}",
            )

    @holds(Rule.ARM)
    def test_what_is_written_between_snapshot_and_first_poll_is_not_lost(self, site: Site) -> None:
        site.fill({"a": doc(1), "b": doc(1)})
        copy = site.copy()
        site.put("c", doc(1))
        copy.read()
        site.put("a", doc(2))
        site.delete("b")
        copy.follow()

    @holds(Rule.ARM)
    def test_no_update_is_lost_between_snapshot_and_stream_under_a_writer(self, site: Site) -> None:
        names = [f"k{i}" for i in range(200)]
        site.fill({name: doc(0) for name in names})

        def act(number: int) -> None:
            if number <= _ONCE:
                site.put(f"once{number}", doc(number))  # nothing that comes later hides its loss
            site.put(names[number * 79 % len(names)], doc(number))
            gone = names[number * 104729 % len(names)]
            if site.prefix + gone in site.truth:
                site.delete(gone)

        with site.meanwhile(act):
            copies = []
            for _ in range(5):
                copies.append(site.copy().read())
                for copy in copies:
                    copy.poll(0.01)
        for copy in copies:
            copy.follow()


def _in_the_middle(site: Site) -> tuple[Copy, Iterator[Sequence[Entry]]]:
    """A copy that has read a part of a snapshot of several chunks, and the rest."""
    site.fill({f"k{i}": doc(i) for i in range(_SEVERAL)})
    copy = site.copy()
    chunks = iter(copy.subscription.snapshot())
    while not copy.entries:  # a chunk may be empty
        copy.take(next(chunks))
    return copy, chunks
