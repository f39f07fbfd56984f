"""Checks of the transport's own writer, and of what it declares. A transport without one passes all but the last."""

from __future__ import annotations

import time

from datasync_core.model.entries import Delete, Put
from datasync_core.model.errors import Conflict
from datasync_core.spec.transport import Transport, Writer
from datasync_core.testing.conformance.outside import OutsideStore
from datasync_core.testing.conformance.rules import Rule, holds, raises, require
from datasync_core.testing.conformance.site import Copy, Site, doc

_TTLS = (1.0, 4.0, 16.0)  # seconds: one is the shortest that every store with expiry has


class WriterChecks:
    """Part of `TransportConformance`."""

    def connect(self, outside: OutsideStore) -> Transport:
        """A transport for the store."""
        raise NotImplementedError

    @holds(Rule.WRITER)
    def test_what_is_committed_is_there_at_the_revision_it_returned(self, site: Site) -> None:
        writer = site.writer()
        if writer is None:
            return
        copy = site.copy().read()
        for name, number in (("a", 1), ("b", 1), ("a", 2)):
            revision = site.write(writer, Put(name, doc(number)))
            copy.follow()
            seen = copy.entries[site.prefix + name].revision
            same = revision == seen if site.can.revisions else revision == 0
            require(same, f"commit returned revision {revision}, and readers see {seen}")
        site.write(writer, Delete("a"))
        copy.follow()
        site.write(writer, Delete("never there"))
        copy.follow()

    @holds(Rule.WRITER)
    def test_a_writer_serves_one_thread_after_the_other(self, site: Site) -> None:
        writer = site.writer()
        if writer is None:
            return
        copy = site.copy().read()
        site.write(writer, Put("a", doc(1)))
        site.within(site.patience, lambda: site.write(writer, Put("a", doc(2))), "commit from another thread")
        site.write(writer, Put("b", doc(3)))
        copy.follow()

    @holds(Rule.CAPABILITIES)
    def test_expect_is_compared_where_it_is_declared(self, site: Site) -> None:
        writer = site.writer()
        if writer is None:
            return
        if not site.can.compare:
            site.refused(writer, "compare (expect=)", Put("a", doc(1)), expect={"a": 0})
            return

        def number(written: int) -> int:
            """What a reader expects of ``a``; a store of documents may have written it in another form than we."""
            if site.can.revisions:
                return written
            return site.transport.revision_of(site.copy().read().entries[site.prefix + "a"].value)

        def conflicts(value: bytes, expected: int) -> bool:
            what = f"a commit that expects {expected} of a key that has {first}"
            return raises(Conflict, lambda: site.write(writer, Put("a", value), expect={"a": expected}), what)

        first = number(site.write(writer, Put("a", doc(1)), expect={"a": 0}))
        require(first > 0, f"a was written at revision {first}, which for expect means that it is not there")
        for expected in (0, first + 1_000_000):
            require(
                conflicts(doc(2), expected),
                f"a has revision {first}, and a commit that expects {expected} was taken",
            )
        site.copy().read().check()
        second = number(site.write(writer, Put("a", doc(2)), expect={"a": first}))
        require(
            conflicts(doc(1), first),
            "a was written twice, and a commit that expects the first of the two was taken",
        )
        site.write(writer, Delete("a"), expect={"a": second})
        site.write(writer, Put("a", doc(3)), expect={"a": 0})
        site.copy().read().check()

    @holds(Rule.CAPABILITIES)
    def test_a_time_to_live_ends_where_it_is_declared(self, site: Site) -> None:
        writer = site.writer()
        if writer is None:
            return
        if not site.can.expiry:
            site.refused(writer, "expiry (ttl=)", Put("a", doc(1), ttl=60.0))
            return
        copy = site.copy().read()
        site.write(writer, Put("stays", doc(1)))
        seen = any(self._is_seen(site, writer, copy, ttl) for ttl in _TTLS)
        require(seen, f"a key with a time to live of {_TTLS[-1]:g} s was not there")
        del site.truth[site.prefix + "goes"]
        copy.follow()
        site.copy().read().check()

    def _is_seen(self, site: Site, writer: Writer, copy: Copy, ttl: float) -> bool:
        """Whether a key was seen before its time ended; where nobody had the time to look, a longer one helps."""
        ends = time.monotonic() + ttl
        site.write(writer, Put("goes", doc(1), ttl=ttl))
        while not copy.is_true() and time.monotonic() < ends:
            copy.poll(0.1)
        return copy.is_true()

    @holds(Rule.CAPABILITIES)
    def test_a_lease_ends_with_its_transport_where_it_is_declared(self, site: Site) -> None:
        writer = site.writer()
        if writer is None:
            return
        if not site.can.leases:
            site.refused(writer, "leases (alive=)", Put("a", doc(1), alive=True))
            return
        copy = site.copy().read()
        mortal = self.connect(site.outside)
        theirs = mortal.writer()
        try:
            site.write(theirs, Put("stays", doc(1)))
            site.write(theirs, Put("goes", doc(1), alive=True))
            copy.follow()
        finally:
            theirs.close()
            mortal.close()
        del site.truth[site.prefix + "goes"]
        copy.follow()

    @holds(Rule.CAPABILITIES)
    def test_who_cannot_write_declares_nothing_of_writing(self, site: Site) -> None:
        if site.writer() is None:
            found = [name for name in ("expiry", "leases", "compare") if getattr(site.can, name)]
            require(not found, f"writer() raises Unsupported, but {', '.join(found)} is declared")

    @holds(Rule.WRITER)
    def test_a_commit_that_is_done_can_be_read_at_once(self, site: Site) -> None:
        writer = site.writer()
        if writer is None:
            return
        began = time.monotonic()
        for number in range(10):
            site.write(writer, Put(f"k{number}", doc(number)))
            site.copy().read().check()
        require(time.monotonic() - began < 4 * site.patience, "ten commits took too long")
