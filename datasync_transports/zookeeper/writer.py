"""Writing: look at the nodes, then do all in one multi that fails where another was faster; then look again."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence

from kazoo import exceptions
from kazoo.protocol.serialization import Transaction

from datasync_core.transport import ConnectionLost, Delete, Owner, Put, StoreError, Unsupported, Writer
from datasync_transports.zookeeper import failures
from datasync_transports.zookeeper.lives import Lives
from datasync_transports.zookeeper.multi import Multi, right
from datasync_transports.zookeeper.place import Place
from datasync_transports.zookeeper.reading import Reader
from datasync_transports.zookeeper.session import Session

_OVERTAKEN = (
    exceptions.NoNodeError,
    exceptions.NodeExistsError,
    exceptions.NotEmptyError,
    exceptions.BadVersionError,
)
_FOLLOWS = (exceptions.RolledBackError, exceptions.RuntimeInconsistency)  # of another operation's failure
_LARGE = 500_000  # bytes from where a server's jute.maxbuffer (1 MB) may be why it hung up


class ZookeeperWriter(Writer):
    """Opens a session when first used, anew where it was lost; entries that live with the host have the transport's."""

    def __init__(self, place: Place, lives: Lives) -> None:
        self._place = place
        self._owner = Owner(f"a writer of {place}")
        self._lives = lives
        self._lock = threading.Lock()
        self._session: Session | None = None

    def commit(self, ops: Sequence[Put | Delete], *, expect: Mapping[str, int] = {}) -> int:
        self._owner.check()
        last = {op.key: op for op in ops}
        for key in {**last, **expect}:
            self._place.check_key(key)
        for op in last.values():
            if isinstance(op, Put):
                self._check(op)
        if any(isinstance(op, Put) and op.alive for op in last.values()):
            with self._lives.session() as session:
                number = session.number
                revision = self._write(session, last, expect)
                self._lives.wrote(last.values(), session, number)
        else:
            with self._lock:
                try:
                    session = self._opened()
                except ConnectionLost as error:
                    error.unwritten = True
                    raise
                revision = self._write(session, last, expect)
            self._lives.wrote(last.values())
        return revision

    def close(self) -> None:
        if not self._owner.is_here:
            return
        with self._lock:
            if self._session is not None:
                self._session.close()
                self._session = None

    def _check(self, op: Put) -> None:
        if op.ttl is not None:
            raise Unsupported(f"{self._place} has no time to live")
        if not op.value:
            raise Unsupported(
                f"{self._place}: a node without data is a directory, so {op.key} cannot be empty; delete it instead"
            )

    def _opened(self) -> Session:
        if self._session is not None:
            try:
                self._session.flush()
            except StoreError:
                self._session.close()
                self._session = None
        if self._session is None:
            session = Session(self._place)
            try:
                session.open()
            except BaseException:
                session.close()
                raise
            self._session = session
        return self._session

    def _write(self, session: Session, last: Mapping[str, Put | Delete], expect: Mapping[str, int]) -> int:
        deadline = time.monotonic() + self._place.liveness
        while True:
            try:
                multi = self._look(session, [*last, *expect])
            except ConnectionLost as error:
                error.unwritten = True
                raise
            operations = multi.operations(last, expect)
            if not operations:
                return multi.moment
            done = self._commit(session, operations)
            if done is not None:
                return done
            if time.monotonic() >= deadline:
                raise StoreError(
                    f"{self._place}: others have written the same keys all the time for {self._place.liveness:g} s"
                )

    def _look(self, session: Session, keys: Sequence[str]) -> Multi:
        multi = Multi(self._place)
        reader = Reader(session, _pass, multi.covered)
        multi.look(reader.nodes(multi.concerned(keys)))
        return multi

    def _commit(self, session: Session, operations: Sequence[tuple[object, ...]]) -> int | None:
        """The revision; None where another has written in between."""
        request = Transaction(operations)
        reply = session.send(request)
        try:
            results = session.wait(reply)
        except ConnectionLost as error:
            size = len(request.serialize())
            if size < _LARGE:
                raise
            raise ConnectionLost(
                f"{error} in a commit of {size} bytes; the server takes no more than its jute.maxbuffer (1 MB) at once"
            ) from error
        for operation, result in zip(operations, results, strict=False):
            if isinstance(result, _OVERTAKEN):
                return None
            if isinstance(result, exceptions.NoAuthError):
                raise failures.forbidden(self._place, *right(operation))
            if isinstance(result, exceptions.NoChildrenForEphemeralsError):
                raise Unsupported(
                    f"{self._place}: {operation[0]} would lie below an entry that lives with its host; no key can"
                )
            if isinstance(result, Exception) and not isinstance(result, _FOLLOWS):
                raise failures.meaning(self._place, result)
        return reply.zxid


def _pass(path: str) -> None:
    """A writer watches nothing."""
