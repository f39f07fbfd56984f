"""Checks of what comes after the snapshot: changes, revisions, transactions, flushes."""

from __future__ import annotations

import json
import time
from itertools import pairwise

from datasync_core.model.entries import Put
from datasync_core.model.errors import ConnectionLost
from datasync_core.testing.conformance.rules import Rule, holds, require
from datasync_core.testing.conformance.site import Site, doc

_ROUNDS = 100


class StreamChecks:
    """Part of `TransportConformance`."""

    @holds(Rule.STREAM)
    def test_a_delete_and_what_comes_after_it_is_told(self, site: Site) -> None:
        site.fill({"a": doc(1), "b": doc(1)})
        copy = site.copy().read()
        site.delete("a")
        copy.follow()
        site.put("a", doc(1))
        copy.follow()
        site.delete("b")
        site.put("b", doc(2))
        copy.follow()

    @holds(Rule.STREAM)
    def test_a_change_may_come_twice_but_never_goes_back(self, site: Site) -> None:
        copy = site.copy().read()
        site.put("a", doc(0))
        copy.follow()
        newest = 0
        with site.meanwhile(lambda number: site.put("a", doc(number))):
            for _ in range(_ROUNDS):
                for change in batch.changes if (batch := copy.poll(0.1)) is not None else ():
                    number = json.loads(change.value)["n"] if not change.gone else -1
                    require(
                        number >= newest, f"{change.key} went back to write {number} after write {newest}"
                    )
                    newest = number
        copy.follow()

    @holds(Rule.CAPABILITIES)
    def test_revisions_grow_where_they_are_declared(self, site: Site) -> None:
        copy = site.copy().read()
        seen: list[int] = []
        for name, number in (("a", 1), ("b", 1), ("a", 2), ("c", 1), ("b", 2)):
            site.put(name, doc(number))
            copy.follow()
            seen.append(copy.entries[site.prefix + name].revision)
        site.delete("a")
        copy.follow()
        site.put("a", doc(2))
        copy.follow()
        seen.append(copy.entries[site.prefix + "a"].revision)
        if site.can.revisions:
            growing = seen[0] > 0 and all(one < two for one, two in pairwise(seen))
            require(growing, f"revisions is declared, but six writes one after the other had {seen}")
            read = site.copy().read().entries
            same = {key: entry.revision for key, entry in read.items()} == {
                key: entry.revision for key, entry in copy.entries.items()
            }
            require(same, "a snapshot has other revisions than the stream had for the same writes")
        else:
            require(
                not any(seen), f"revisions is not declared, but entries had {seen}; declare it, or give 0"
            )

    @holds(Rule.TOLD)
    def test_what_was_told_is_named_by_its_revision(self, site: Site) -> None:
        copy = site.copy().read()
        site.put("a", doc(1))
        site.put("b", doc(1))
        site.delete("b")
        site.put("a", doc(2))
        copy.follow()
        told, again = copy.subscription.revision, site.copy().read()
        shown, last = again.subscription.revision, copy.entries[site.prefix + "a"].revision
        if not site.can.revisions:
            require(told == shown == 0, f"revisions is not declared, but {max(told, shown)} was told; give 0")
            return
        require(told >= last, f"a write of revision {last} was told, but revision is {told}")
        require(shown >= last, f"a snapshot shows a write of revision {last}, but its revision is {shown}")
        site.put("c", doc(1))
        again.follow()
        first = again.entries[site.prefix + "c"].revision
        require(shown < first, f"a snapshot has revision {shown}, but {first} was told after it")

    @holds(Rule.CAPABILITIES)
    def test_a_transaction_is_never_split(self, site: Site) -> None:
        commit = site.committer() if site.can.transactions else None
        if commit is None:
            return
        names = [f"t{k}" for k in range(20)]
        copy = site.copy().read()
        deadline = time.monotonic() + site.patience
        newest = site.canonical(doc(_ROUNDS))

        def act(number: int) -> None:
            if number <= _ROUNDS:
                commit({name: doc(number) for name in names})

        with site.meanwhile(act):
            while (values := set(copy.values.values())) != {newest} and time.monotonic() < deadline:
                copy.poll(0.1)
                whole = len(copy.entries) in {0, len(names)}
                require(
                    whole and len(set(copy.values.values())) <= 1,
                    "transactions is declared, but half of one was seen",
                )
        require(values == {newest}, f"the last of {_ROUNDS} transactions was not told")

    @holds(Rule.CAPABILITIES)
    def test_several_operations_are_refused_where_transactions_are_not_declared(self, site: Site) -> None:
        writer = site.writer()
        if writer is not None and not site.can.transactions:
            site.refused(
                writer, "transactions (two operations in one commit)", Put("a", doc(1)), Put("b", doc(1))
            )

    @holds(Rule.FLUSH)
    def test_a_flush_is_a_cleared_batch(self, site: Site) -> None:
        if site.outside.clear is None:
            return
        site.fill({"a": doc(1), "b": doc(1)})
        copy = site.copy().read()
        site.outside.clear()
        site.truth.clear()
        site.put("after", doc(1))
        batches = copy.follow()
        cleared = any(batch.cleared for batch in batches)
        require(cleared, "the store was flushed, and no batch said cleared; single deletes pass the brake")
        site.copy().read().check()

    @holds(Rule.FLUSH)
    def test_a_root_that_vanished_is_a_lost_connection(self, site: Site) -> None:
        if site.outside.vanish is None:
            return
        site.fill({"a": doc(1), "b": doc(1)})
        copy = site.copy().read()
        site.outside.vanish()
        error = copy.until_lost(site.patience, "the root has vanished")
        require(isinstance(error, ConnectionLost), f"the root has vanished, and poll raised {error!r}")
        copy.check()
