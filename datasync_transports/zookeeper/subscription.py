"""Reading: arm the watches, read the tree, then read again what events name.

An event says that a node was created, changed or deleted, and nothing of its data. It comes before any answer that
shows what it tells of, so an answer covers all events of its nodes that came before it, and what came before it
of other nodes is still to be read. That is how a batch becomes the state of one moment, with every transaction
whole: see `_catch_up`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence

from kazoo.protocol.serialization import Exists, Sync

from datasync_core.transport import (
    AuthenticationFailed,
    Batch,
    ConnectionLost,
    Entry,
    Gone,
    StoreError,
    Subscription,
)
from datasync_transports.zookeeper import failures
from datasync_transports.zookeeper.place import Place
from datasync_transports.zookeeper.reading import AT_ONCE, Reader, Seen
from datasync_transports.zookeeper.requests import ALONE, GET_DATA, RECURSIVE, AddWatch, Reply
from datasync_transports.zookeeper.session import Session
from datasync_transports.zookeeper.watching import Watched

_BEATS = 3.0  # how often in a time of liveness a silent server is asked whether it is there
_ROUNDS = 50  # attempts at one moment, while somebody writes the same keys all the time


class ZookeeperSubscription(Subscription):
    """One session. One thread uses it; `wake` and `close` are for any."""

    def __init__(self, place: Place, paths: Sequence[str]) -> None:
        self._place = place
        self._watched = Watched(place, paths)
        self._session = Session(place)
        self._reader = Reader(self._session, self._note, self._cover)
        self._opened = False
        self._complete = False
        self._woken = False
        self._dirty: dict[str, None] = {}  # nodes with events that no answer has covered yet
        self._since: set[str] = set()  # nodes with events since the last answer that was asked for
        self._moment = 0  # the newest transaction that the last answer shows
        self._told = 0  # the newest moment whose whole state was told
        self._heard = 0.0  # when anything came from the server

    def snapshot(self) -> Iterator[Sequence[Entry]]:
        self._complete = False
        if not self._opened:
            self._session.open()
            self._opened = True
            self._arm()
        watched = self._watched
        parts = [
            [entry for seen in part if (entry := self._entry(seen)) is not None]
            for part in self._reader.tree(watched)
        ]
        late, _ = self._catch_up()  # what changed meanwhile, for a snapshot of one moment, too
        self._complete = True
        self._heard = time.monotonic()
        known = {watched.key(path) for path in late}
        for part in parts:
            if entries := [entry for entry in part if entry.key not in known] if known else part:
                yield entries
        if entries := [entry for seen in late.values() if (entry := self._entry(seen)) is not None]:
            yield entries

    def poll(self, timeout: float) -> Batch | None:
        self._session.check()
        if not self._complete:
            raise StoreError(f"{self._place}: poll comes after a snapshot")
        if timeout <= 0 and not self._dirty:
            self._beat(Sync(self._watched.top))  # what the store has by now is in the line afterwards
        deadline = time.monotonic() + timeout
        before = self._told
        while True:
            self._collect(deadline)
            if self._dirty:
                told, moment = self._catch_up()
                changes = list(self._changes(told, moment))
                if changes:
                    return Batch(changes)
            if self._woken or time.monotonic() >= deadline or self._told > before:
                self._woken = False
                return None

    @property
    def revision(self) -> int:
        return self._told

    def wake(self) -> None:
        self._woken = True
        self._session.ring()

    def close(self) -> None:
        self._session.close()

    def _arm(self) -> None:
        """Watch, and be as far as the leader was when we began."""
        watched = self._watched
        requests = [AddWatch(path, RECURSIVE) for path in watched.trees]
        requests += [AddWatch(path, ALONE) for path in watched.alone]
        if self._place.root and not watched.is_in_tree(watched.top):
            requests.append(AddWatch(watched.top, ALONE))
        self._session.ask(*requests, Sync(watched.top), on_event=self._note)
        self._beat(Exists(watched.top, None))

    def _beat(self, request: Exists | Sync) -> None:
        """A round trip; the top must be there."""
        reply = self._session.send(request)
        try:
            there = self._session.wait(reply, self._note)
        except AuthenticationFailed:
            self._session.check()
            there = True  # that it may not be read shows that it is there
        self._heard = time.monotonic()
        if isinstance(request, Exists) and there is None:
            raise failures.no_root(self._place)
        if self._complete and not self._dirty:
            self._told = max(self._told, reply.zxid)

    def _collect(self, deadline: float) -> None:
        """Wait for events until there are some, the time is over or a beat was answered; take all that came."""
        session = self._session
        while not self._dirty or (len(self._dirty) < AT_ONCE and not session.is_quiet()):
            beat = self._heard + self._place.liveness / _BEATS
            item = session.take(min(deadline, beat) - time.monotonic())
            now = time.monotonic()
            if isinstance(item, str):
                self._heard = now
                self._note(item)
            elif self._woken or now >= deadline:
                return
            elif now >= beat:
                self._beat(Exists(self._watched.top, None))
                return

    def _catch_up(self) -> tuple[dict[str, Seen], int]:
        """What became of the nodes with events, and when: together with what was told before, the state of one moment.

        After each answer some nodes may be left whose events came before it. Where none is, the answers show its
        moment. Else those are read in turn, and if none of them had another event meanwhile, they still are as
        they were at that moment, so it is complete, too. Else all is read again at once. (Writers that are too fast
        for that are told as far as they have come.)
        """
        told: dict[str, Seen] = {}
        moment, whole = self._moment, not self._dirty
        self._since.clear()
        for _ in range(_ROUNDS if self._dirty else 0):
            self._read(told, self._dirty)
            moment, whole = self._moment, not self._dirty
            if whole:
                break
            left = [*self._dirty]
            self._since.clear()
            self._read(told, left)
            whole = self._since.isdisjoint(left)
            if whole:
                break
            if len(told) + len(self._dirty) <= AT_ONCE:
                self._dirty.update(dict.fromkeys(told))
        top = told.get(self._watched.top)
        if top is not None and top.node is None:
            raise ConnectionLost(f"{self._place}: {self._place.root} was removed")
        if whole:
            self._told = max(self._told, moment)
        return told, moment

    def _changes(self, told: dict[str, Seen], moment: int) -> Iterator[Entry | Gone]:
        directories = self._place.directories
        for seen in told.values():
            if seen.node is None:
                directories.discard(seen.path)
            else:
                directories.add(seen.path.rpartition("/")[0])
            key = self._watched.key(seen.path)
            if key is not None:
                yield self._entry(seen) or Gone(key, moment)

    def _read(self, told: dict[str, Seen], paths: Iterable[str]) -> None:
        told.update((seen.path, seen) for seen in self._reader.nodes([*paths]))

    def _note(self, path: str) -> None:
        if path == self._watched.top or self._watched.key(path) is not None:
            self._dirty[path] = None
            self._since.add(path)

    def _cover(self, reply: Reply) -> None:
        """An answer shows all that was told of its nodes before it."""
        self._moment = reply.zxid
        dirty = self._dirty
        if dirty:
            for kind, path, _ in reply.request.operations:
                if kind == GET_DATA:
                    dirty.pop(path, None)

    def _entry(self, seen: Seen) -> Entry | None:
        """A node with data is an entry, one without a directory."""
        key = self._watched.key(seen.path)
        node = seen.node
        if key is None or node is None or not node.data:
            return None
        if seen.hidden:
            return Entry(key, b"", max(node.mzxid, 0), f"the ACL of {seen.path} hides it from this user")
        return Entry(key, node.data, node.mzxid)
