"""From the bytes of a `MultiRead`'s answer to nodes."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from struct import error as struct_error
from typing import Any, NamedTuple

from datasync_transports.zookeeper.requests import GET_CHILDREN, GET_DATA

NO_NODE, NO_AUTH = -101, -102
_ERROR = -1  # the type of a result that is one

_HEAD = Struct("!iBii")  # type, end, error, and what follows: a length, a count or the error again
_INT = Struct("!i")
_STAT = Struct("!8xq16xi8xq4xi8x")  # mzxid, version, ephemeralOwner, numChildren


class Node(NamedTuple):
    """What a node is: its data, the transaction that wrote it, and what a writer must know."""

    data: bytes
    mzxid: int
    version: int
    owner: int
    """The session that it ends with; 0: none. (Negative numbers also mark containers and nodes with a TTL.)"""
    children: int


Found = Node | list[str] | int
"""A node, the names of its children, or the number of an error."""


def decode(answer: tuple[bytes, int], count: int) -> Iterator[Found]:
    """The results of ``count`` operations, in their order. Raises `ValueError` where the bytes cannot be those."""
    try:
        yield from _decode(*answer, count)
    except struct_error as error:
        raise ValueError("the answer ends too early") from error


def _decode(buffer: bytes, offset: int, count: int) -> Iterator[Found]:
    for _ in range(count):
        kind, _, error, size = _HEAD.unpack_from(buffer, offset)
        offset += _HEAD.size
        if kind == GET_DATA:
            end = offset + max(size, 0)  # -1: no data
            mzxid, version, owner, children = _STAT.unpack_from(buffer, end)
            yield Node(buffer[offset:end], mzxid, version, owner, children)
            offset = end + _STAT.size
        elif kind == GET_CHILDREN:
            names = []
            for _ in range(size):
                (length,) = _INT.unpack_from(buffer, offset)
                offset += _INT.size
                if not 0 < length <= len(buffer) - offset:  # else it might go back, and never end
                    raise ValueError(f"a name of {length} bytes")
                names.append(buffer[offset : offset + length].decode())
                offset += length
            yield names
        elif kind == _ERROR:
            yield error
        else:
            raise ValueError(f"a result of type {kind}")


UNKNOWN = Node(b"?", -1, -1, 0, 0)
"""A node that is there, and nothing more may be known of it."""


def hidden(stat: Any) -> Node:
    """A node that may not be read, from kazoo's ``ZnodeStat``, which all may see before 3.9.3."""
    return Node(
        b"?" * min(stat.dataLength, 1), stat.mzxid, stat.version, stat.ephemeralOwner, stat.numChildren
    )
