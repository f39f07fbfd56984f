"""What kazoo lacks and this transport adds: two requests, and an ear for events.

Everything here that touches kazoo where it promises nothing (`KazooClient._call`, `_connection._read_watch_event`)
is in this module, and `check_kazoo` looks whether it is as it was in the versions that this was made for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Any, ClassVar

import kazoo.client
import kazoo.protocol.connection
import kazoo.version
from kazoo.protocol.serialization import GetData

from datasync_core.transport import Misconfigured

MADE_FOR = "2.11"
GET_DATA, GET_CHILDREN = 4, 8
RECURSIVE, ALONE = 1, 0
"""How `AddWatch` watches: with all below, or this node alone."""

_INT = Struct("!i")
_HEADER = Struct("!iBi")  # of each operation in a multi: type, whether it is the end, error
_HEADERS = {kind: _HEADER.pack(kind, False, -1) for kind in (GET_DATA, GET_CHILDREN)}
_END = _HEADER.pack(-1, True, -1)
_EVENT = Struct("!iii")  # type, state, length of the path
_CHILDREN_CHANGED = 4

Operation = tuple[int, str, int]
"""What is read of which node, and how many children that is expected to have."""


@dataclass(frozen=True, slots=True)
class AddWatch:
    """Watch a node until the connection ends (ZooKeeper 3.6)."""

    path: str
    mode: int
    type: ClassVar[int] = 106

    def serialize(self) -> bytes:
        return _text(self.path) + _INT.pack(self.mode)

    @staticmethod
    def deserialize(*_: object) -> None:
        """Nothing comes back."""


@dataclass(frozen=True, slots=True)
class MultiRead:
    """Read many nodes, or lists of children, at one moment (ZooKeeper 3.6). The answer stays in bytes."""

    operations: Sequence[Operation]
    type: ClassVar[int] = 22

    def serialize(self) -> bytes:
        parts = [_HEADERS[kind] + _text(path) + b"\0" for kind, path, _ in self.operations]
        return b"".join(parts) + _END

    @staticmethod
    def deserialize(buffer: bytes, offset: int) -> tuple[bytes, int]:
        return buffer, offset


@dataclass(frozen=True, slots=True)
class Look:
    """Read a node, and be told once when it changes; kazoo would want to know whom to tell."""

    path: str
    type: ClassVar[int] = GET_DATA

    def serialize(self) -> bytes:
        return _text(self.path) + b"\1"

    @staticmethod
    def deserialize(buffer: bytes, offset: int) -> tuple[bytes, Any]:
        data, stat = GetData.deserialize(buffer, offset)
        return data or b"", stat


class Reply:
    """What came back for a request: a value or an error, and the state of the store that it shows.

    kazoo's thread fills it and hands it to ``put``, in order with the events that came before and after.
    """

    __slots__ = ("_client", "_put", "error", "request", "value", "zxid")

    def __init__(self, request: Any, client: Any, put: Callable[[Reply], None]) -> None:
        self.request = request
        self._client = client
        self._put = put
        self.value: Any = None
        self.error: BaseException | None = None
        self.zxid = 0
        """The newest transaction that the server had applied when it answered."""

    def set(self, value: Any) -> None:
        """Called by kazoo."""
        self.value = value
        self.zxid = self._client.last_zxid
        self._put(self)

    def set_exception(self, error: BaseException) -> None:
        """Called by kazoo."""
        self.error = error
        self._put(self)


def submit(client: Any, request: Any, put: Callable[[Reply], None]) -> Reply:
    """Send a request; ``put`` gets its reply, on kazoo's thread unless the session is over."""
    reply = Reply(request, client, put)
    client._call(request, reply)
    return reply


def hear(client: Any, put: Callable[[str], None]) -> None:
    """Let ``put`` have each event that a client receives, as the path of its node, on kazoo's thread."""

    def read_watch_event(buffer: bytes, offset: int) -> None:
        kind, _, length = _EVENT.unpack_from(buffer, offset)
        if kind != _CHILDREN_CHANGED:  # children have events of their own
            start = offset + _EVENT.size
            put(buffer[start : start + length].decode())

    client._connection._read_watch_event = read_watch_event


def check_kazoo() -> None:
    """Raise `Misconfigured` unless kazoo has what this module builds on."""
    handler = getattr(kazoo.protocol.connection, "ConnectionHandler", None)
    expected: list[tuple[Any, str, list[str]]] = [
        (kazoo.client.KazooClient, "_call", ["self", "request", "async_object"]),
        (handler, "_read_watch_event", ["self", "buffer", "offset"]),
        (handler, "_read_response", ["self", "header", "buffer", "offset"]),
    ]
    for owner, name, parameters in expected:
        method: Callable[..., Any] | None = getattr(owner, name, None)
        if method is None or list(inspect.signature(method).parameters) != parameters:
            raise Misconfigured(
                f"kazoo {kazoo.version.__version__} has changed inside ({name}); "
                f"this transport was made for {MADE_FOR}: install that"
            )
    if "check_hostname" not in inspect.signature(kazoo.client.KazooClient).parameters:
        raise Misconfigured(
            f"kazoo {kazoo.version.__version__} checks no host names; install {MADE_FOR} or later"
        )


def _text(text: str) -> bytes:
    encoded = text.encode()
    return _INT.pack(len(encoded)) + encoded
