"""Entries that live as long as this host: ephemeral nodes of one session that outlasts lost connections.

Of each entry it is known whether it is there, by a look that leaves a watch: after a commit, after each connection,
and whenever the watch says that the node was touched. What was never made in this session is made, and looked at
again. What is somebody else's by now, or was deleted by somebody, is ours no more. What failed is tried again after
a pause, which kazoo's thread spends as it spends its time anyway: waiting for the server.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from kazoo.exceptions import NoNodeError
from kazoo.protocol.serialization import Create, Sync

from datasync_core.transport import ConnectionLost, Delete, Owner, Put
from datasync_transports.zookeeper.failures import refused_credentials
from datasync_transports.zookeeper.multi import EPHEMERAL, acl_of
from datasync_transports.zookeeper.place import Place
from datasync_transports.zookeeper.requests import Look, Reply
from datasync_transports.zookeeper.session import Session

_log = logging.getLogger("datasync.zookeeper")
_PAUSE = 1.0  # seconds until what failed is tried again


class _Life(NamedTuple):
    value: bytes
    session: int
    """The one that it was made in."""


class Lives:
    """The session of one transport's living entries; any thread may call it. Opens nothing until used.

    kazoo connects it again after a loss. Where that took so long that the server has ended the session, the entries
    are made anew in the next one, unless somebody else has the keys by then.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._owner = Owner(f"a transport of {place}")
        self._lock = threading.Lock()
        self._session: Session | None = None  # under the lock
        self._closed = False  # under the lock
        self._book = threading.Lock()  # never held for long, for kazoo's thread takes it
        self._entries: dict[str, _Life] = {}  # by node; under the book's lock
        self._refused = False  # since the last answer; under the book's lock
        self._unsure: set[str] = set()  # nodes of which it is not known what became; under the book's lock

    @contextmanager
    def session(self) -> Iterator[Session]:
        """The session, for one commit at a time. Raises `ConnectionLost` (unwritten) while the server is away."""
        self._owner.check()
        with self._lock:
            try:
                session = self._connected()
            except ConnectionLost as error:
                error.unwritten = True
                raise
            yield session

    def _connected(self) -> Session:
        if self._closed:
            raise ConnectionLost(f"{self._place}: the transport was closed")
        if self._session is None:
            session = Session(self._place, lasting=self)
            try:
                session.open()
            except BaseException:
                session.close()
                raise
            self._session = session
        if not self._session.connected:
            self._session.check()
            raise ConnectionLost(f"{self._place}: the connection was lost, and is not back yet")
        return self._session

    def wrote(self, ops: Iterable[Put | Delete], session: Session | None = None, number: int = 0) -> None:
        """These are done; those that live, over this session, whose number was that before or is it still."""
        made = []
        with self._book:
            for op in ops:
                path = self._place.path(op.key)
                self._entries.pop(path, None)
                if isinstance(op, Put) and op.alive:
                    self._entries[path] = _Life(op.value, number)
                    made.append(path)
        if session is not None:
            self._look(session, made)

    def close(self) -> None:
        """End the lives. In a forked child they go on: they are the parent's."""
        if not self._owner.is_here:
            return
        with self._lock:
            self._closed = True
            with self._book:
                self._entries.clear()
            session, self._session = self._session, None
        if session is not None:
            session.close()

    def back(self, session: Session) -> None:
        """There is a connection, maybe of another session; on kazoo's thread, which must not wait."""
        with self._book:
            paths = [*self._entries]
        if paths:  # this server may be behind the one of before
            session.post(Sync(self._place.root or "/"), _ignore)
        self._look(session, paths)

    def refused(self, session: Session) -> None:
        """The server does not let us in for now; on kazoo's thread."""
        with self._book:
            count, told, self._refused = len(self._entries), self._refused, True
        if count and not told:
            error = refused_credentials(self._place)
            _log.warning("%s; until it is let in, what lives with this host ends (entries: %d)", error, count)

    def touched(self, session: Session, path: str) -> None:
        """A node that was looked at has changed since; on kazoo's thread."""
        self._look(session, [path])

    def due(self, session: Session) -> None:
        """The pause is over; on kazoo's thread."""
        with self._book:
            paths = [*self._unsure]
        if session.connected:  # else it will be back
            self._look(session, paths)

    def _look(self, session: Session, paths: Iterable[str]) -> None:
        with self._book:
            wanted = [path for path in paths if path in self._entries]
            self._unsure.difference_update(paths)
        for path in wanted:
            session.post(Look(path), self._looked)

    def _looked(self, session: Session, reply: Reply) -> None:
        path = reply.request.path
        with self._book:
            life = self._entries.get(path)
            if life is None:
                return
            missing = isinstance(reply.error, NoNodeError)
            if reply.error is not None and not missing:
                self._again(session, path)
                return
            self._refused = False
            if missing:
                ours, owner = life.session != session.number, life.session
            else:
                data, stat = reply.value
                owner = stat.ephemeralOwner
                # A session that was given up for another one may last a while: its end is told by the watch.
                ours = owner in (session.number, life.session) and data == life.value
            if ours:
                self._entries[path] = life._replace(session=owner)
            else:
                del self._entries[path]
        if ours and missing:
            self._make(session, path, life.value)

    def _make(self, session: Session, path: str, value: bytes) -> None:
        """Directories may be gone, too; the chroot is never made."""
        acl = acl_of(self._place)
        for end in range(len(self._place.root) + 1, len(path)):
            if path[end] == "/":
                session.post(Create(path[:end], b"", acl, 0), _ignore)
        session.post(Create(path, value, acl, EPHEMERAL), self._made)

    def _made(self, session: Session, reply: Reply) -> None:
        path, value, _, _ = reply.request
        with self._book:
            life = self._entries.get(path)
            if reply.error is not None:
                self._again(session, path)
                return
            if life is not None and life.value == value:
                self._entries[path] = life._replace(session=session.number)
        self._look(session, [path])

    def _again(self, session: Session, path: str) -> None:
        self._unsure.add(path)
        session.wake_in(_PAUSE)


def _ignore(session: Session, reply: Reply) -> None:
    """What became of it shows in what comes after."""
