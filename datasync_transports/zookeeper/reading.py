"""Reading nodes, many at a time: a tree from its roots down, or those that events have named.

How many go into one request follows from the answers: about a megabyte at once, so that neither side has to hold
more, and never so many names that a server with a small ``jute.maxbuffer`` would hang up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from kazoo.protocol.serialization import Exists

from datasync_core.transport import Misconfigured
from datasync_transports.zookeeper import failures
from datasync_transports.zookeeper.nodes import NO_AUTH, NO_NODE, Found, Node, decode, hidden
from datasync_transports.zookeeper.requests import GET_CHILDREN, GET_DATA, MultiRead, Reply
from datasync_transports.zookeeper.session import Session

AT_ONCE = 500
"""Operations in one request at most."""
_ANSWER = 1_000_000  # bytes of an answer that are aimed at
_REQUEST = 100_000  # bytes of names in a request at most
_FIRST = 100  # operations before anything is known of sizes
_AHEAD = 2  # requests on their way at once

Operation = tuple[int, str]


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
        self._count = _FIRST

    def tree(
        self, roots: Iterable[str], alone: Iterable[str], leads: Callable[[str], bool]
    ) -> Iterator[list[Seen]]:
        """The nodes below ``roots`` and themselves, and those that are watched ``alone``, in parts.

        ``leads`` says whether a node or what lies below it is wanted. Raises `StoreError` where the names of
        children are kept from us.
        """
        tops = frozenset(roots)
        single = frozenset(alone)
        todo: deque[Operation] = deque((GET_DATA, path) for path in [*tops, *single])
        for reply in self._pipeline(todo):
            part: list[Seen] = []
            refused: list[str] = []
            for (_, path), found in self._results(reply):
                if isinstance(found, list):
                    base = path if path != "/" else ""
                    children = (f"{base}/{name}" for name in found)
                    todo.extend((GET_DATA, child) for child in children if leads(child))
                elif isinstance(found, Node):
                    part.append(Seen(path, found, False))
                    if found.children and path not in single:
                        todo.append((GET_CHILDREN, path))
                elif found == NO_AUTH:
                    refused.append(path)
            for seen in self._hidden(refused):
                if seen.path in tops and seen.node is not None:
                    raise failures.forbidden(self._session.place, seen.path)
                if seen.node is not None and seen.node.children and seen.path not in single:
                    raise Misconfigured(
                        f"{self._session.place}: the ACL of {seen.path} hides what lies below it; "
                        "let this user read it, or watch a narrower path"
                    )
                part.append(seen)
            if part:
                yield part

    def nodes(self, paths: Iterable[str]) -> list[Seen]:
        """These nodes, whether there or not; one request, hence one moment, for as many as fit into one."""
        todo: deque[Operation] = deque((GET_DATA, path) for path in paths)
        seen: list[Seen] = []
        refused: list[str] = []
        for reply in self._pipeline(todo):
            for (_, path), found in self._results(reply):
                if isinstance(found, Node):
                    seen.append(Seen(path, found, False))
                elif found == NO_AUTH:
                    refused.append(path)
                else:
                    seen.append(Seen(path, None, False))
        return [*seen, *self._hidden(refused)]

    def _hidden(self, paths: Sequence[str]) -> Iterator[Seen]:
        """What everybody may know of nodes that may not be read."""
        if paths:
            requests = [Exists(path, None) for path in paths]
            for path, reply in zip(paths, self._session.ask(*requests, on_event=self._on_event), strict=True):
                yield Seen(path, None if reply.value is None else hidden(reply.value), True)

    def _pipeline(self, todo: deque[Operation]) -> Iterator[Reply]:
        """Replies to all that is to be done, and to what is added while they come."""
        sent: deque[Reply] = deque()
        while todo or sent:
            while todo and len(sent) < _AHEAD:
                sent.append(self._session.send(self._request(todo)))
            reply = sent.popleft()
            self._session.wait(reply, self._on_event)
            self._covered(reply)
            self._learn(reply)
            yield reply

    def _request(self, todo: deque[Operation]) -> MultiRead:
        operations: list[Operation] = []
        size = 0
        while todo and len(operations) < self._count:
            size += len(todo[0][1]) * 2 + 16
            if size > _REQUEST and operations:
                break
            operations.append(todo.popleft())
        return MultiRead(operations)

    def _learn(self, reply: Reply) -> None:
        each = len(reply.value[0]) // len(reply.request.operations) + 1
        self._count = max(1, min(AT_ONCE, 2 * self._count, _ANSWER // each))

    def _results(self, reply: Reply) -> Iterator[tuple[Operation, Found]]:
        operations = reply.request.operations
        for operation, found in zip(operations, decode(reply.value, len(operations)), strict=True):
            if isinstance(found, int) and found not in (NO_NODE, NO_AUTH):
                raise failures.meaning(self._session.place, _error(found))
            yield operation, found


def _error(number: int) -> BaseException:
    from kazoo.exceptions import EXCEPTIONS

    error: Any = EXCEPTIONS[number]
    return error()  # type: ignore[no-any-return]
