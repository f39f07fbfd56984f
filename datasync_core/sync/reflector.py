"""Reads one store on a thread of its own and puts what it finds into the inbox, for as long as the host lives.

Subscribe, resume where a cursor allows it, else read a snapshot, then follow the stream; on any loss of continuity
close, back off and begin again. The cursor is taken over only after the inbox has the batch, so nothing can fall
between. (The shape is client-go's reflector; here a loss is never hidden from who reads.)
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from traceback import clear_frames

from datasync_core.model.entries import Cursor, Entry
from datasync_core.model.errors import (
    AuthenticationFailed,
    CursorExpired,
    Misconfigured,
    StoreError,
    error_text,
)
from datasync_core.model.faults import Fault, FaultKind
from datasync_core.model.runtime import Runtime, Thread
from datasync_core.spec.transport import Subscription
from datasync_core.sync.backoff import Backoff
from datasync_core.sync.inbox import Inbox
from datasync_core.sync.store import Store

log = logging.getLogger("datasync")

POLL = 5.0
"""Seconds between looks at whether to go on; `wake` ends a wait at once, so it bounds nothing but a lost wake."""
DRAINED = 10_000
"""Batches that an audit takes of a stream at most, to catch up with the snapshot."""
HEALTHY = 10.0
"""Seconds of connection after which the next loss is the first again."""
_FAILURES = (Exception, SystemExit)  # a client library may exit; that must not end this thread unheard


class Health:
    """How one store is doing. Written by its reflector's thread, read by any."""

    __slots__ = ("connected", "error", "refused", "resumes", "retry_at", "since", "snapshots")

    def __init__(self, since: float) -> None:
        self.connected = False
        self.since = since
        """When ``connected`` last changed, in seconds since the Unix epoch."""
        self.error: BaseException | None = None
        """Why it is not connected."""
        self.refused = False
        """Whether trying again will not help until somebody changes a setting."""
        self.retry_at: float | None = None
        """When it is tried again, on the monotonic clock; None while nobody waits for that."""
        self.snapshots = 0
        self.resumes = 0


class Reflector:
    """Keeps one store's inbox fed. `start` and `stop` belong to whoever owns the host."""

    def __init__(
        self,
        store: Store,
        paths: Sequence[str],
        inbox: Inbox,
        runtime: Runtime,
        report: Callable[[Fault], None],
        backoff: Backoff,
        audit: float | None = None,
    ) -> None:
        """``audit``: seconds after which a healthy stream is compared with a snapshot, again and again; None: never."""
        self._store = store
        self._paths = paths
        self._inbox = inbox
        self._runtime = runtime
        self._report = report  # from our thread
        self._backoff = backoff
        self._rest = runtime.doorbell()
        self._subscription: Subscription | None = None
        self._stopping = False  # set by any thread, read by ours
        self._cursor: Cursor | None = None
        self._thread: Thread | None = None
        self._lost = False  # a loss was reported and its end was not yet
        self._audit = audit
        self._hurried = False  # a cursor expired and a snapshot followed at once
        self.health = Health(runtime.time())

    def start(self) -> None:
        """Begin to read, on a new thread."""
        self._thread = self._runtime.start(self.run, f"datasync-reflector-{self._store.name}")

    def stop(self) -> None:
        """Ask the thread to end, at once. Any thread; returns without waiting."""
        self._stopping = True
        self._rest.ring()
        subscription = self._subscription
        if subscription is not None:
            subscription.wake()

    def hurry(self) -> None:
        """Try at once to reach a store that is not connected, in place of waiting for the next attempt.

        An attempt that is under way may have begun too early, so another one follows if it fails. Any thread; never
        waits.
        """
        if not self.health.connected:
            self._rest.ring()

    def join(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds for the thread's end; whether it has ended."""
        if self._thread is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def run(self) -> None:
        """What the thread does."""
        while not self._stopping:
            error: BaseException | None = None
            begun = self._runtime.monotonic()
            try:
                self._follow()
            except _FAILURES as caught:  # a transport's own mistake is a loss, too
                error = caught
            finally:
                self._close()
            if error is None or self._stopping:
                continue
            if self.health.connected and self._runtime.monotonic() - begun >= HEALTHY:
                self._backoff.reset()
                self._hurried = False
            told = self._disconnected(error)
            if self._may_hurry(error):
                continue
            self._back_off(told)
        self.health.connected = False

    def _back_off(self, told: bool) -> None:
        """Wait for the next attempt; ``told``: the log has just said why, and is told of the wait, too."""
        health, delay = self.health, self._backoff.next()
        health.retry_at = self._runtime.monotonic() + delay
        if told and (health.snapshots or not health.refused):
            log.info(
                "store %s: waiting for it: tried again in %.1f s, later at least every %g s",
                self._store.name,
                delay,
                self._backoff.most,
                extra={"store": self._store.name, "retry_in": delay},
            )
        if self._rest.wait(delay):
            self._backoff.reset()
        health.retry_at = None

    def _may_hurry(self, error: BaseException) -> bool:
        """Whether a snapshot may follow at once: where a cursor expired, but not if that is all that happens."""
        expired = isinstance(error, CursorExpired)
        hurry = expired and self._cursor is not None and not self._hurried
        if expired or not isinstance(error, StoreError):
            self._cursor = None  # going on from there would fail the same way
        self._hurried = hurry or (expired and self._hurried)
        return hurry

    def _follow(self) -> None:
        """One subscription, from its beginning to its loss (raises) or to the stop (returns)."""
        subscription = self._subscription = self._store.subscribe(self._paths)
        if self._cursor is not None and self._store.capabilities.resumable:
            subscription.resume(self._cursor)
            self.health.resumes += 1
        else:
            self._read(subscription)
            if self._stopping:
                return
            self.health.snapshots += 1
        self._cursor = subscription.cursor
        self._connected()
        inbox, told = self._inbox, subscription.revision
        due = None if self._audit is None else self._runtime.monotonic() + self._audit
        while not self._stopping:
            left = POLL if due is None else due - self._runtime.monotonic()
            batch = subscription.poll(min(POLL, max(left, 0.0)))
            told, before = subscription.revision, told
            if batch is not None:
                inbox.put(batch, told)
                self._cursor = subscription.cursor
            elif told > before:
                inbox.tell(told)
            if due is not None and left <= 0:
                subscription = self._compare(subscription)
                due = self._runtime.monotonic() + (self._audit or 0.0)

    def _compare(self, healthy: Subscription) -> Subscription:
        """An audit: read a snapshot beside the stream, let the stream catch up with it, compare; who goes on.

        The healthy subscription is drained only after the snapshot was read, so whatever differs then it has missed.
        """
        fresh = self._store.subscribe(self._paths)
        whole = False
        try:
            whole = self._read(fresh, healthy)
        finally:
            if not whole:
                with suppress(*_FAILURES):
                    fresh.close()
        if not whole:
            return healthy
        self._subscription = fresh
        with suppress(*_FAILURES):
            healthy.close()
        self._cursor = fresh.cursor
        self.health.snapshots += 1
        return fresh

    def _read(self, subscription: Subscription, beside: Subscription | None = None) -> bool:
        """A snapshot into the inbox; ``beside`` a healthy stream, which has the last word (an audit).

        Whether it is whole, and counts.
        """
        inbox = self._inbox
        inbox.begin(audit=beside is not None)
        complete, told = False, 0
        chunks = subscription.snapshot()
        try:
            for chunk in chunks:
                if self._stopping:
                    return False
                strangers = set(map(type, chunk)) - {Entry}
                if (
                    strangers
                ):  # told here, where it is one store's loss; in the dispatcher it would be everybody's
                    raise StoreError(
                        f"its transport's snapshot has a {strangers.pop().__name__} among the entries"
                    )
                inbox.chunk(chunk)
            flushed = beside is not None and self.drain(beside)
            told = subscription.revision
            if type(told) is not int:
                raise StoreError(f"its transport's revision is no number but a {type(told).__name__}")
            complete = not (self._stopping or flushed)
        finally:
            if complete:
                inbox.complete(told)
            else:
                inbox.abort()
        return complete

    def drain(self, subscription: Subscription) -> bool:
        """Take what a stream has by now; a writer that never pauses is waited for no longer than a bound.

        Whether there was a flush among it, which a stream that begins before it would tell again.
        """
        flushed = False
        for _ in range(DRAINED):
            batch = subscription.poll(0.0)
            if batch is None or self._stopping:
                break
            flushed = flushed or batch.cleared
            self._inbox.put(batch, subscription.revision)
            self._cursor = subscription.cursor
        return flushed

    def _connected(self) -> None:
        self._rest.wait(0.0)  # who hurried has what they wanted: the next wait is for another loss
        health = self.health
        health.connected, health.since, health.error, health.refused = True, self._runtime.time(), None, False
        if self._lost:
            self._lost = False
            self._report(
                Fault(FaultKind.STORE_BACK, f"store {self._store.name} answers again", store=self._store.name)
            )

    def _disconnected(self, error: BaseException) -> bool:
        """Note a loss, and say it where that is news; whether it was."""
        health = self.health
        if health.connected or health.error is None:
            health.since = self._runtime.time()
        another = error_text(error) != error_text(health.error)
        health.connected, health.error = False, error
        clear_frames(
            error.__traceback__
        )  # they hold what was read last, and faults that wait to be told hold them
        refused = isinstance(error, AuthenticationFailed | Misconfigured)
        news, health.refused = refused and not health.refused, refused
        if not self._lost or news:  # waiting does not end a refusal: somebody has to hear of it
            self._lost = True
            text = f"store {self._store.name}: {error_text(error)}"
            self._report(Fault(FaultKind.STORE_LOST, text, store=self._store.name, cause=error))
        elif another:
            log.warning(
                "store %s: %s", self._store.name, error_text(error), extra={"store": self._store.name}
            )
        else:
            return False
        return True

    def _close(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with suppress(*_FAILURES):  # what is lost may fail to close, too
                subscription.close()
