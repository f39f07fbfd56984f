"""Following one database: everything once, then what the server names."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

from datasync_core.transport import Batch, ConnectionLost, Entry, Owner, StoreError, Subscription
from datasync_transports.redis.bell import Bell
from datasync_transports.redis.connection import Link, Place
from datasync_transports.redis.link import Line
from datasync_transports.redis.paths import Paths
from datasync_transports.redis.reading import Change, Reader
from datasync_transports.redis.settling import PATIENCE, settle
from datasync_transports.redis.wire import Wire

_ATTEMPTS = 3  # at least, at reading everything while databases are emptied; as many as a second allows


class RedisSubscription(Subscription):
    """One tracked connection. One thread uses it; `wake` and `close` are for any.

    The lock is held while the connection is in use; `close` cuts that first, so that it waits for no answer. A
    server that says nothing for half of ``liveness`` seconds is asked for a sign of life, and has the other half, or
    until ``liveness`` seconds after its last word. One that Sentinels name is asked so often in any case, whether it
    is a master still.
    """

    def __init__(self, place: Place, paths: Sequence[str], liveness: float) -> None:
        self._place = place
        self._owner = Owner(f"a subscription to {place.where}")
        self._paths = Paths(paths)
        self._liveness = liveness
        self._lock = threading.Lock()
        self._bell = Bell()
        self._line = Line()
        self._woken = False
        self._closed = False
        self._opened: tuple[Wire, Reader] | None = None
        self._complete = False  # whether a snapshot was read to its end

    def snapshot(self) -> Iterator[Sequence[Entry]]:
        self._owner.check()
        self._complete = False
        with self._lock:
            wire, reader = self._open()
        chunks = self._everything(wire, reader)
        while True:
            with self._lock:
                self._check()
                chunk = next(chunks, None)
            if chunk is None:
                break
            yield chunk
        self._complete = True

    def poll(self, timeout: float) -> Batch | None:
        self._owner.check()
        deadline = time.monotonic() + timeout
        with self._lock:
            while True:
                self._check()
                if self._opened is None or not self._complete:
                    raise StoreError(f"{self._place.where}: poll comes after a snapshot")
                wire, reader = self._opened
                heard = wire.listen()
                batch = self._news(wire, reader)
                now = time.monotonic()
                if batch is not None:
                    self._ask(wire, now)  # who always has news is asked as well
                    return batch
                if self._woken or now >= deadline:
                    self._woken = False
                    return None
                if heard:
                    wire.wait(min(deadline - now, self._beat(wire, now)), self._bell.ear)
                    self._bell.hush()

    def wake(self) -> None:
        self._woken = True
        self._line.cut()  # while there is no connection yet, nothing is lost with it
        opened = self._opened
        if opened is not None:
            opened[0].hurry()
        self._bell.ring()

    def close(self) -> None:
        if not self._owner.is_here:
            return  # it would end the parent's connection, too
        self._closed = True
        self._line.cut()
        opened = self._opened
        if opened is not None:
            opened[0].cut()
        self._bell.ring()
        with self._lock:
            if self._opened is not None:
                self._opened[0].close()
            self._bell.close()

    def _open(self) -> tuple[Wire, Reader]:
        self._check()
        if self._opened is None:
            place, paths = self._place, self._paths
            connection = self._connect()
            try:
                master = place.service is not None
                user = place.account.shown
                wire = Wire(connection, place.where, user, paths.wanted, paths.patterns, master)
                self._opened = wire, Reader(wire, paths)
                self._check()
                wire.track(paths.prefixes)
                wire.prove(paths.example)
            except BaseException:
                connection.disconnect()
                raise
        return self._opened

    def _connect(self) -> Link:
        self._line = Line()
        self._check()
        try:
            return self._place.connect(self._liveness, self._line)
        except StoreError:
            self._check()
            raise

    def _check(self) -> None:
        if self._closed:
            raise ConnectionLost(f"{self._place.where}: the subscription was closed")

    def _news(self, wire: Wire, reader: Reader) -> Batch | None:
        found = settle(wire, reader) if wire.dirty and not wire.flushed else None
        if wire.flushed:  # it was not said which database that was
            return Batch([entry for chunk in self._everything(wire, reader) for entry in chunk], cleared=True)
        return Batch(list(found.values())) if found else None

    def _everything(self, wire: Wire, reader: Reader) -> Iterator[list[Entry]]:
        """All entries as they were at one moment; empty chunks while they are read, for who may want to stop.

        They wait until the last one is read, as some may be gone by then. Where databases are emptied again and
        again, they go out all the same, and the next poll reads them once more.
        """
        found: dict[bytes, Change] | None = None
        chunks: list[list[Entry]] = []
        deadline = time.monotonic() + PATIENCE
        attempts = 0
        while found is None and (attempts < _ATTEMPTS or time.monotonic() < deadline):
            attempts += 1
            wire.flushed = False
            wire.take()
            chunks = []
            for chunk in reader.everything():
                chunks.append(chunk)
                yield []
            found = settle(wire, reader, after_all=True)
        changed = {change.key for change in found.values()} if found else set()
        chunks.reverse()
        while chunks:
            chunk = chunks.pop()
            yield [entry for entry in chunk if entry.key not in changed] if changed else chunk
        yield [change for change in found.values() if not change.gone] if found else []

    def _beat(self, wire: Wire, now: float) -> float:
        """Seconds until it has to be looked again whether the server lives."""
        half = self._liveness / 2
        self._ask(wire, now)
        if wire.asked is None:
            return wire.proven + half - now
        left = max(wire.asked + half, wire.heard + self._liveness) - now
        if left <= 0:
            raise ConnectionLost(
                f"{self._place.where} has said nothing for {self._liveness:g} s, nor answered when it was asked"
            )
        return left

    def _ask(self, wire: Wire, now: float) -> None:
        """Ask for a sign of life where one is due."""
        if wire.asked is None and now - wire.proven >= self._liveness / 2:
            wire.ping()
