"""Reading nodes, many at a time: a tree from its roots down, or those that events have named.

A server makes the whole answer in its memory, so a request asks for no more than it can be expected to bear: values
are taken to be as large as those that were seen in the same directory, and where none were, for large.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from kazoo.protocol.serialization import Exists

from datasync_core.transport import AuthenticationFailed, Misconfigured
from datasync_transports.zookeeper import failures
from datasync_transports.zookeeper.nodes import NO_AUTH, NO_NODE, UNKNOWN, Found, Node, decode, hidden
from datasync_transports.zookeeper.requests import GET_CHILDREN, GET_DATA, MultiRead, Operation, Reply
from datasync_transports.zookeeper.session import Session
from datasync_transports.zookeeper.watching import Watched

AT_ONCE = 500
"""Operations in one request at most."""
_ANSWER = 2_000_000  # bytes that an answer is expected to have at most
_REQUEST = (
    100_000  # bytes of names in a request at most: a server takes no more than its jute.maxbuffer (1 MB)
)
_UNKNOWN = 64_000  # bytes that a value is taken for, where nothing is known of its directory
_STAT = 80  # and what comes with it
_NAME = 40  # and the name of a child
_DIRECTORIES = 10_000  # whose sizes are remembered
_AHEAD = 2  # requests on their way at once


class Seen(NamedTuple):
    """One node as it was read: None where there is none."""

    path: str
    node: Node | None
    hidden: bool


class Reader:
    """Reads over one session; owned by its thread. ``on_event`` is given the events that come meanwhile."""

    def __init__(
        self, session: Session, on_event: Callable[[str], None], covered: Callable[[Reply], None]
    ) -> None:
        """``covered`` is told of each reply at the moment when all events that it shows have been given."""
        self._session = session
        self._on_event = on_event
        self._covered = covered
        self._sizes: dict[str, tuple[int, int]] = {}  # by directory: bytes and number of the values seen

    def tree(self, watched: Watched) -> Iterator[list[Seen]]:
        """The nodes of the watched trees, and those that are watched alone, in parts.

        Raises `StoreError` where the names of children are kept from us.
        """
        tops = frozenset(watched.trees)
        single = frozenset(watched.alone)
        directories = self._session.place.directories
        before, walked = directories.copy(), set[str]()
        todo: deque[Operation] = deque((GET_DATA, path, 0) for path in [*tops, *single])
        refused: list[str] = []
        for reply in self._pipeline(todo):
            part: list[Seen] = []
            for path, found in self._results(reply):
                if isinstance(found, list):
                    base = path if path != "/" else ""
                    children = (f"{base}/{name}" for name in found)
                    todo.extend((GET_DATA, child, 0) for child in children if watched.leads(child))
                elif isinstance(found, Node):
                    part.append(Seen(path, found, False))
                    if found.children and path not in single:
                        todo.append((GET_CHILDREN, path, found.children))
                        directories.add(path)
                        walked.add(path)
                elif found == NO_AUTH:
                    refused.append(path)
            if part:
                yield part
        for seen in self._hidden(refused):
            if seen.path in tops and seen.node is not None:
                raise failures.forbidden(self._session.place, seen.path, "READ")
            if seen.path not in single and self._has_children(seen):
                raise Misconfigured(
                    f"{self._session.place}: the ACL of {seen.path} hides what lies below it; "
                    "let this user read it, or watch a narrower path"
                )
            yield [seen]
        gone = before - walked
        directories.difference_update([path for path in gone if watched.covers(path)])

    def nodes(self, paths: Iterable[str]) -> list[Seen]:
        """These nodes, whether there or not; one request, hence one moment, for as many as fit into one."""
        todo: deque[Operation] = deque((GET_DATA, path, 0) for path in paths)
        seen: list[Seen] = []
        refused: list[str] = []
        for reply in self._pipeline(todo):
            for path, found in self._results(reply):
                if isinstance(found, Node):
                    seen.append(Seen(path, found, False))
                elif found == NO_AUTH:
                    refused.append(path)
                else:
                    seen.append(Seen(path, None, False))
        return [*seen, *self._hidden(refused)]

    def _has_children(self, seen: Seen) -> bool:
        """Whether something lies below a hidden node; where nobody may know, whether something ever did."""
        if seen.node is UNKNOWN:
            return seen.path in self._session.place.directories
        return seen.node is not None and seen.node.children > 0

    def _hidden(self, paths: Sequence[str]) -> Iterator[Seen]:
        """What may be known of nodes that may not be read: nothing, from ZooKeeper 3.9.3 on.

        Not while a `_pipeline` runs: its answers that come before these would be lost.
        """
        for start in range(0, len(paths), AT_ONCE):
            some = paths[start : start + AT_ONCE]
            replies = [self._session.send(Exists(path, None)) for path in some]
            for path, reply in zip(some, replies, strict=True):
                try:
                    stat = self._session.wait(reply, self._on_event)
                except AuthenticationFailed:
                    self._session.check()
                    yield Seen(path, UNKNOWN, True)
                else:
                    yield Seen(path, None if stat is None else hidden(stat), True)

    def _pipeline(self, todo: deque[Operation]) -> Iterator[Reply]:
        """Replies to all that is to be done, and to what is added while they come."""
        sent: deque[Reply] = deque()
        while todo or sent:
            while todo and len(sent) < _AHEAD:
                sent.append(self._session.send(self._request(todo)))
            reply = sent.popleft()
            self._session.wait(reply, self._on_event)
            self._covered(reply)
            yield reply

    def _request(self, todo: deque[Operation]) -> MultiRead:
        operations: list[Operation] = []
        names = answer = 0
        while todo and len(operations) < AT_ONCE:
            kind, path, children = todo[0]
            names += len(path) * 2 + 16
            answer += self._expected(path) if kind == GET_DATA else children * _NAME
            if operations and (names > _REQUEST or answer > _ANSWER):
                break
            operations.append(todo.popleft())
        return MultiRead(operations)

    def _expected(self, path: str) -> int:
        """How many bytes a value is taken for."""
        seen = self._sizes.get(path[: path.rfind("/")])
        return _UNKNOWN if seen is None else seen[0] // seen[1]

    def _results(self, reply: Reply) -> Iterator[tuple[str, Found]]:
        operations = reply.request.operations
        sizes = self._sizes
        if len(sizes) > _DIRECTORIES:
            sizes.clear()
        try:
            results = list(decode(reply.value, len(operations)))
        except ValueError as error:
            raise failures.senseless(self._session.place) from error
        for (kind, path, _), found in zip(operations, results, strict=True):
            if not isinstance(found, int) and isinstance(found, Node) != (kind == GET_DATA):
                raise failures.senseless(self._session.place)
            if isinstance(found, Node):
                directory = path[: path.rfind("/")]
                total, count = sizes.get(directory, (0, 0))
                sizes[directory] = (total + len(found.data) + _STAT, count + 1)
            elif isinstance(found, int) and found not in (NO_NODE, NO_AUTH):
                failure = _error(found)
                if failure is None:
                    raise failures.senseless(self._session.place)
                raise failures.meaning(self._session.place, failure)
            yield path, found


def _error(number: int) -> BaseException | None:
    """kazoo's error of this number; None where there is none."""
    from kazoo.exceptions import EXCEPTIONS

    error: Any = EXCEPTIONS.get(number)
    return None if error is None else error()
