"""Entries that live as long as this host: ephemeral nodes of one session that outlasts lost connections."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from datasync_core.transport import ConnectionLost, Delete, Put
from datasync_transports.zookeeper.multi import acl_of
from datasync_transports.zookeeper.place import Place
from datasync_transports.zookeeper.session import Session


class Lives:
    """The session of one transport's living entries; any thread may call it. Opens nothing until used.

    kazoo connects it again after a loss. Where that took so long that the server has ended the session, the entries
    are made anew in the next one, unless somebody else has the keys by then.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._lock = threading.Lock()
        self._session: Session | None = None  # under the lock
        self._closed = False  # under the lock
        self._entries: dict[str, bytes] = {}  # by node; replaced as a whole, for kazoo's thread reads it

    @contextmanager
    def session(self) -> Iterator[Session]:
        """The session, for one commit at a time. Raises `ConnectionLost` while the server is away."""
        with self._lock:
            if self._closed:
                raise ConnectionLost(f"{self._place}: the transport was closed")
            if self._session is None:
                session = Session(self._place, renewed=self._renew)
                try:
                    session.open()
                except BaseException:
                    session.close()
                    raise
                self._session = session
            if not self._session.connected:
                raise ConnectionLost(f"{self._place}: the connection was lost, and is not back yet")
            yield self._session

    def wrote(self, ops: Iterable[Put | Delete]) -> None:
        """These are done."""
        with self._lock:
            entries = dict(self._entries)
            for op in ops:
                path = self._place.path(op.key)
                entries.pop(path, None)
                if isinstance(op, Put) and op.alive:
                    entries[path] = op.value
            self._entries = entries

    def close(self) -> None:
        """End the lives."""
        with self._lock:
            self._closed = True
            self._entries = {}
            session, self._session = self._session, None
        if session is not None:
            session.close()

    def _renew(self, client: Any) -> None:
        """There is a new session; on kazoo's thread, which must not wait. Directories may be gone, too."""
        acl = acl_of(self._place)
        for path, value in self._entries.items():
            for end in range(len(self._place.root) + 1, len(path)):
                if path[end] == "/":
                    client.create_async(path[:end], b"", acl)
            client.create_async(path, value, acl, ephemeral=True)
