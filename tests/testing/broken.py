"""Broken transports, each with one defect that was seen on a real store, and the check that finds it.

A defect is a class of subscriptions or writers (or a transport) with `breaks`; the rest is `sound`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar
from urllib.parse import unquote

from datasync_core.transport import (
    Batch,
    Capabilities,
    ConnectionLost,
    Cursor,
    Delete,
    Entry,
    Gone,
    Put,
    Subtree,
    Unsupported,
    Writer,
    is_subtree,
)
from tests.testing.sound import Bare, NeverEmpty, Sound, SoundSubscription, SoundWriter

Part = TypeVar("Part", bound=type)


def breaks(check: str, of: type[Sound] = Sound) -> Callable[[Part], Part]:
    """Say which check finds the defect, and in a transport of which capabilities."""

    def mark(part: Part) -> Part:
        part.found_by, part.of = check, of  # type: ignore[attr-defined]  # read by the tests of the suite
        return part

    return mark


def transports() -> dict[str, type[Sound]]:
    """The broken transports by name, ``found_by`` the check that finds it."""
    found = {name: part for name, part in globals().items() if "found_by" in getattr(part, "__dict__", {})}
    made: dict[str, type[Sound]] = {}
    for name, part in found.items():
        if issubclass(part, Sound):
            made[name] = part
        else:
            attribute = "writes" if issubclass(part, SoundWriter) else "subscription"
            made[name] = type(name, (part.of,), {attribute: part, "found_by": part.found_by})
    return made


# Snapshots


@breaks("test_an_empty_store_has_an_empty_snapshot_and_then_a_stream")
class WaitsForTheFirstKey(SoundSubscription):
    def snapshot(self) -> Iterator[Sequence[Entry]]:
        chunks = list(super().snapshot())
        if not chunks:
            raise ConnectionLost("nothing came")
        yield from chunks


@breaks("test_a_snapshot_of_many_keys_is_whole")
class FirstPageOnly(SoundSubscription):
    def snapshot(self) -> Iterator[Sequence[Entry]]:
        yield from list(super().snapshot())[:1]


@breaks("test_a_snapshot_comes_in_chunks")
class OneByOne(SoundSubscription):
    def snapshot(self) -> Iterator[Sequence[Entry]]:
        for chunk in super().snapshot():
            yield from ([entry] for entry in chunk)


@breaks("test_a_snapshot_that_was_broken_off_gives_no_cursor")
class CursorAtTheBeginning(SoundSubscription):
    begun = False

    def snapshot(self) -> Iterator[Sequence[Entry]]:
        self.begun = True
        yield from super().snapshot()

    @property
    def cursor(self) -> Cursor | None:
        return super().cursor or (Cursor("e", "1") if self.begun else None)


@breaks("test_what_is_written_while_a_snapshot_is_read_is_not_lost")
class ReadsThenArms(SoundSubscription):
    def snapshot(self) -> Iterator[Sequence[Entry]]:
        yield from super().snapshot()
        for _ in super().snapshot():
            pass


class ArmsAtTheFirstPoll(SoundSubscription):
    armed = False

    def poll(self, timeout: float) -> Batch | None:
        if not self.armed:
            self.armed = True
            list(super().snapshot())
        return super().poll(timeout)


@breaks("test_what_is_written_between_snapshot_and_first_poll_is_not_lost")
class ArmsLate(ArmsAtTheFirstPoll):
    pass


@breaks("test_no_update_is_lost_between_snapshot_and_stream_under_a_writer")
class ArmsLateUnderAWriter(ArmsAtTheFirstPoll):
    pass


# Paths


class OtherPaths(SoundSubscription):
    def __init__(self, transport: Sound, paths: Sequence[str]) -> None:
        super().__init__(transport, self.instead(paths))

    def instead(self, paths: Sequence[str]) -> Sequence[str]:
        raise NotImplementedError


@breaks("test_a_subtree_ends_at_its_slash")
class LosesTheSlash(OtherPaths):
    def instead(self, paths: Sequence[str]) -> Sequence[str]:
        return [Subtree(path.rstrip("/")) if path.endswith("/") else path for path in paths]


@breaks("test_a_path_without_slash_is_that_key_alone")
class KeyIsAPrefix(OtherPaths):
    def instead(self, paths: Sequence[str]) -> Sequence[str]:
        return [path if is_subtree(path) else Subtree(path) for path in paths]


@breaks("test_a_subtree_without_slash_covers_what_begins_with_it")
class SubtreeIsText(OtherPaths):
    def instead(self, paths: Sequence[str]) -> Sequence[str]:
        return ["".join(path) for path in paths]


@breaks("test_the_empty_path_covers_everything")
class EmptyIsNothing(OtherPaths):
    def instead(self, paths: Sequence[str]) -> Sequence[str]:
        return [path or "/" for path in paths]


@breaks("test_several_paths_are_covered_together")
class FirstPathOnly(OtherPaths):
    def instead(self, paths: Sequence[str]) -> Sequence[str]:
        return paths[:1]


# Entries


@breaks("test_keys_come_back_as_they_were_written")
class Unquotes(SoundSubscription):
    def entry(self, entry: Entry) -> Entry:
        return Entry(unquote(entry.key), entry.value, entry.revision)


@breaks("test_values_may_be_any_document")
class CutsLargeValues(SoundSubscription):
    def entry(self, entry: Entry) -> Entry:
        return Entry(entry.key, entry.value[:65536], entry.revision)


@breaks("test_raw_values_may_be_any_bytes")
class EmptyIsGone(SoundSubscription):
    def change(self, change: Entry | Gone) -> Entry | Gone:
        return Gone(change.key) if change.gone or not change.value else change


@breaks("test_each_subscription_has_entries_of_its_own")
class SharesEntries(SoundSubscription):
    def entry(self, entry: Entry) -> Entry:
        return self.world.entries.setdefault((entry.key, entry.revision), entry)


@breaks("test_keys_may_be_as_long_as_declared_and_no_longer")
class DropsLongKeys(SoundSubscription):
    def poll(self, timeout: float) -> Batch | None:
        batch = super().poll(timeout)
        return batch and Batch([one for one in batch.changes if len(one.key) < 200], batch.cleared)


class Obliging(SoundWriter):
    """Takes whatever it is given, and does what it can of it."""

    def check(self, ops: Sequence[Put | Delete], expect: Mapping[str, int]) -> None:
        pass


@breaks("test_keys_may_be_as_long_as_declared_and_no_longer")
class TakesLongKeys(Obliging):
    pass


@breaks("test_any_bytes_are_refused_where_raw_is_not_declared", Bare)
class TakesAnyBytes(Obliging):
    pass


@breaks("test_values_without_bytes_are_refused_where_empty_is_not_declared", NeverEmpty)
class TakesNoBytes(Obliging):
    pass


@breaks("test_keys_that_cannot_be_are_refused")
class TakesEveryKey(Obliging):
    pass


# Streams


@breaks("test_a_delete_and_what_comes_after_it_is_told")
class SwallowsDeletes(SoundSubscription):
    def poll(self, timeout: float) -> Batch | None:
        batch = super().poll(timeout)
        return batch and Batch([one for one in batch.changes if not one.gone], batch.cleared)


@breaks("test_a_change_may_come_twice_but_never_goes_back")
class TellsTheOneBeforeAgain(SoundSubscription):
    before: Entry | Gone | None = None

    def poll(self, timeout: float) -> Batch | None:
        batch = super().poll(timeout)
        if batch is None:
            return None
        before, self.before = self.before, batch.changes[-1]
        return Batch([*batch.changes, *([before] if before is not None else [])], batch.cleared)


@breaks("test_revisions_grow_where_they_are_declared")
class CountsPerKey(SoundSubscription):
    def entry(self, entry: Entry) -> Entry:
        return Entry(entry.key, entry.value, 1)


@breaks("test_revisions_grow_where_they_are_declared", Bare)
class RevisionsUndeclared(SoundSubscription):
    def entry(self, entry: Entry) -> Entry:
        return entry


TOLD = "test_what_was_told_is_named_by_its_revision"


@breaks(TOLD)
class ToldWhatComes(SoundSubscription):
    @property
    def revision(self) -> int:
        return super().revision + 1


@breaks(TOLD)
class ToldOneAtMost(SoundSubscription):
    @property
    def revision(self) -> int:
        return min(super().revision, 1)


@breaks(TOLD)
class SaysNothing(SoundSubscription):
    @property
    def revision(self) -> int:
        return 0


@breaks(TOLD, Bare)
class ToldUndeclared(SoundSubscription):
    @property
    def revision(self) -> int:
        return self.inner.revision


@breaks("test_a_snapshot_does_not_claim_what_was_written_while_it_was_read")
class ClaimsTheNewest(SoundSubscription):
    @property
    def revision(self) -> int:
        revision: int = self.inner._store.revision  # type: ignore[attr-defined]  # what a memory store has inside
        return revision


@breaks("test_a_transaction_is_never_split")
class SplitsTransactions(SoundSubscription):
    def __init__(self, transport: Sound, paths: Sequence[str]) -> None:
        super().__init__(transport, paths)
        self.queue: list[Entry | Gone] = []

    def poll(self, timeout: float) -> Batch | None:
        if not self.queue and (batch := super().poll(timeout)) is not None:
            self.queue.extend(batch.changes)
        return Batch([self.queue.pop(0)]) if self.queue else None


@breaks("test_several_operations_are_refused_where_transactions_are_not_declared", Bare)
class TakesSeveral(Obliging):
    pass


@breaks("test_a_flush_is_a_cleared_batch")
class FlushInSilence(SoundSubscription):
    def poll(self, timeout: float) -> Batch | None:
        batch = super().poll(timeout)
        return batch and Batch(batch.changes)


class Remembering(SoundSubscription):
    def __init__(self, transport: Sound, paths: Sequence[str]) -> None:
        super().__init__(transport, paths)
        self.keys: set[str] = set()

    def entry(self, entry: Entry) -> Entry:
        self.keys.add(entry.key)
        return entry


@breaks("test_a_flush_is_a_cleared_batch")
class FlushAsDeletes(Remembering):
    def poll(self, timeout: float) -> Batch | None:
        before = [Gone(key) for key in self.keys]
        batch = super().poll(timeout)
        return Batch([*before, *batch.changes]) if batch is not None and batch.cleared else batch


@breaks("test_a_root_that_vanished_is_a_lost_connection")
class UnmountAsDeletes(Remembering):
    def poll(self, timeout: float) -> Batch | None:
        try:
            return super().poll(timeout)
        except ConnectionLost:
            return Batch([Gone(key) for key in self.keys])


# Losses


@breaks("test_a_lost_connection_ends_the_subscription")
class ReconnectsInSilence(SoundSubscription):
    def __init__(self, transport: Sound, paths: Sequence[str]) -> None:
        super().__init__(transport, paths)
        self.paths = paths

    def poll(self, timeout: float) -> Batch | None:
        try:
            return super().poll(timeout)
        except ConnectionLost:
            self.inner = self.world.memory.subscribe(self.paths)
            list(self.inner.snapshot())
            return None


@breaks("test_errors_are_the_spi_s_and_tell_no_password")
class ErrorsOfTheLibrary(Sound):
    def subscribe(self, paths: Sequence[str]) -> SoundSubscription:
        try:
            return SoundSubscription(self, paths)
        except ConnectionLost as error:
            raise OSError("connection refused") from error


@breaks("test_errors_are_the_spi_s_and_tell_no_password")
class TellsThePassword(SoundWriter):
    def commit(self, ops: Sequence[Put | Delete], *, expect: Mapping[str, int] = {}) -> int:
        try:
            return super().commit(ops, expect=expect)
        except ConnectionLost as error:
            raise ConnectionLost("sound://ann:hunter2@server is away") from error


@breaks("test_a_store_that_stops_answering_is_noticed")
class TakesSilenceForPeace(SoundSubscription):
    def answers(self) -> None:
        pass


@breaks("test_a_store_that_stops_answering_is_noticed")
class WaitsForEver(SoundSubscription):
    def answers(self) -> None:
        while self.world.frozen.is_set():
            threading.Event().wait(0.01)


@breaks("test_what_happened_while_disconnected_is_told_afterwards")
class ResumesFromNow(SoundSubscription):
    def resume(self, cursor: Cursor) -> None:
        list(self.inner.snapshot())


@breaks("test_what_happened_while_disconnected_is_told_afterwards")
class VersionOfTheNode(SoundSubscription):
    """ZooKeeper's version begins anew at each creation."""

    def entry(self, entry: Entry) -> Entry:
        return Entry(entry.key, entry.value, 1)


@breaks("test_a_cursor_is_not_ahead_of_what_was_handed_out")
class CursorAtTheHead(SoundSubscription):
    @property
    def cursor(self) -> Cursor | None:
        if super().cursor is None:
            return None
        head = self.world.memory.subscribe([""])
        list(head.snapshot())
        return head.cursor


@breaks("test_a_cursor_is_there_where_resumable_is_declared_and_only_there")
class NoCursor(SoundSubscription):
    cursor = None


@breaks("test_a_cursor_is_there_where_resumable_is_declared_and_only_there", Bare)
class CursorUndeclared(SoundSubscription):
    @property
    def cursor(self) -> Cursor | None:
        return self.inner.cursor


@breaks("test_a_cursor_is_there_where_resumable_is_declared_and_only_there", Bare)
class ResumeUndeclared(SoundSubscription):
    def resume(self, cursor: Cursor) -> None:
        pass


@breaks("test_a_cursor_of_another_history_expires")
class AnyEpoch(SoundSubscription):
    def resume(self, cursor: Cursor) -> None:
        list(self.inner.snapshot())
        known = self.inner.cursor
        assert known is not None
        self.inner.resume(Cursor(known.epoch, cursor.position))


# Calls


@breaks("test_wake_from_another_thread_ends_a_poll")
class DeafToWake(SoundSubscription):
    def wake(self) -> None:
        pass


@breaks("test_wake_before_a_poll_ends_it")
class ForgetsWake(SoundSubscription):
    polling = False

    def poll(self, timeout: float) -> Batch | None:
        self.polling = True
        try:
            return super().poll(timeout)
        finally:
            self.polling = False

    def wake(self) -> None:
        if self.polling:
            super().wake()


@breaks("test_close_from_another_thread_ends_a_poll")
class DeafToClose(SoundSubscription):
    def close(self) -> None:
        pass


@breaks("test_close_from_another_thread_ends_a_poll")
class ClosedIsPeace(SoundSubscription):
    def poll(self, timeout: float) -> Batch | None:
        try:
            return super().poll(timeout)
        except ConnectionLost:
            return None


class ClosesOnce(SoundSubscription):
    closed = False

    def close(self) -> None:
        if self.closed:
            raise RuntimeError("closed already")
        self.closed = True
        super().close()


@breaks("test_close_may_come_first_twice_and_in_a_snapshot")
class ClosesNotTwice(ClosesOnce):
    pass


@breaks("test_close_may_come_first_twice_and_in_a_snapshot")
class HalfIsWhole(SoundSubscription):
    def snapshot(self) -> Iterator[Sequence[Entry]]:
        try:
            yield from super().snapshot()
        except ConnectionLost:
            return


@breaks("test_a_writer_and_a_transport_may_be_closed_twice")
class WriterClosesOnce(SoundWriter):
    closed = False

    def close(self) -> None:
        if self.closed:
            raise RuntimeError("closed already")
        self.closed = True


@breaks("test_several_subscriptions_live_beside_each_other")
class ClosesEverybodys(SoundSubscription):
    def close(self) -> None:
        self.world.memory.lose()
        self.world.memory.back()


# Writers


@breaks("test_what_is_committed_is_there_at_the_revision_it_returned")
class AnotherRevision(SoundWriter):
    def commit(self, ops: Sequence[Put | Delete], *, expect: Mapping[str, int] = {}) -> int:
        return super().commit(ops, expect=expect) + 1


@breaks("test_what_is_committed_is_there_at_the_revision_it_returned")
class DeletesOnlyWhatIsThere(SoundWriter):
    def commit(self, ops: Sequence[Put | Delete], *, expect: Mapping[str, int] = {}) -> int:
        revision = super().commit([], expect=expect)
        if isinstance(ops[0], Delete) and super().commit(ops) == revision:
            raise KeyError(ops[0].key)
        return super().commit(ops)


@breaks("test_a_writer_serves_one_thread_after_the_other")
class BoundToItsThread(SoundWriter):
    thread: int | None = None

    def commit(self, ops: Sequence[Put | Delete], *, expect: Mapping[str, int] = {}) -> int:
        self.thread = self.thread or threading.get_ident()
        if self.thread != threading.get_ident():
            raise RuntimeError("made on another thread")
        return super().commit(ops, expect=expect)


@breaks("test_expect_is_compared_where_it_is_declared")
class IgnoresExpect(SoundWriter):
    def commit(self, ops: Sequence[Put | Delete], *, expect: Mapping[str, int] = {}) -> int:
        return super().commit(ops)


@breaks("test_expect_is_compared_where_it_is_declared", Bare)
class TakesExpect(Obliging):
    pass


class IgnoresWhatIsSpecial(SoundWriter):
    def commit(self, ops: Sequence[Put | Delete], *, expect: Mapping[str, int] = {}) -> int:
        plain = [Put(op.key, op.value) if isinstance(op, Put) else op for op in ops]
        return super().commit(plain, expect=expect)


@breaks("test_a_time_to_live_ends_where_it_is_declared")
class IgnoresTtl(IgnoresWhatIsSpecial):
    pass


@breaks("test_a_time_to_live_ends_where_it_is_declared", Bare)
class TakesTtl(Obliging):
    pass


@breaks("test_a_lease_ends_with_its_transport_where_it_is_declared")
class IgnoresLeases(IgnoresWhatIsSpecial):
    pass


@breaks("test_a_lease_ends_with_its_transport_where_it_is_declared", Bare)
class TakesLeases(Obliging):
    pass


@breaks("test_a_lease_ends_with_its_transport_where_it_is_declared", Bare)
class RefusesTooLate(SoundWriter):
    def commit(self, ops: Sequence[Put | Delete], *, expect: Mapping[str, int] = {}) -> int:
        self.inner.commit([Put(op.key, op.value) for op in ops if isinstance(op, Put)])
        raise Unsupported("leases")


@breaks("test_who_cannot_write_declares_nothing_of_writing")
class DeclaresWithoutAWriter(Sound):
    capabilities = Capabilities(compare=True, expiry=True)

    def writer(self) -> Writer:
        raise Unsupported("read-only")


@breaks("test_a_commit_that_is_done_can_be_read_at_once")
class WritesLater(SoundWriter):
    def __init__(self, transport: Sound) -> None:
        super().__init__(transport)
        self.later: list[Put | Delete] = []

    def commit(self, ops: Sequence[Put | Delete], *, expect: Mapping[str, int] = {}) -> int:
        revision = super().commit(self.later, expect=expect)
        self.later = list(ops)
        return revision
