"""What passes between stores and the host: entries, batches, operations, cursors, capabilities.

They are msgspec Structs outside the garbage collector's view: a million entries cost no collection pass
and 64 bytes each beside their key and value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from msgspec import Struct


class Entry(Struct, gc=False):
    """A key that is there: its value (bytes) and the revision that wrote it.

    ``error`` says that the key is there but cannot be read (a broken document, a type that is no value, a node
    that is hidden): the host treats it as invalid, and keeps the last good value. A transport hands an Entry over
    for good: it does not keep it, change it, or hand it to two subscriptions. The fields that begin with an
    underscore are the host's own.
    """

    key: str
    value: bytes
    revision: int = 0
    error: str | None = None
    _mark: int = 0  # the snapshot that saw this entry last (sync/replica.py)
    _checked: int = 0  # a bit for each codec that could decode it (spec/codec.py)

    gone: ClassVar[Literal[False]] = False


class Gone(Struct, gc=False):
    """A key that was deleted, explicitly, at ``revision``."""

    key: str
    revision: int = 0

    gone: ClassVar[Literal[True]] = True


class Batch(Struct, gc=False):
    """Changes that a store committed together, or that were read together.

    ``cleared``: everything that is not in ``changes`` is gone (a flush, a truncate).
    """

    changes: Sequence[Entry | Gone]
    cleared: bool = False


class Put(Struct, frozen=True, kw_only=False):
    """Write ``value`` (bytes) under ``key``; ``ttl`` in seconds; ``alive`` binds it to the life of the host."""

    key: str
    value: bytes
    ttl: float | None = None
    alive: bool = False


class Delete(Struct, frozen=True):
    """Remove ``key``; removing what is not there is no error."""

    key: str


class Cursor(Struct, frozen=True):
    """Where to resume: ``position`` is the transport's own text, bound to ``epoch`` (this store, this history)."""

    epoch: str
    position: str


class Capabilities(Struct, frozen=True):
    """What a store can do; the host fills the gaps, the conformance suite checks each in both directions."""

    resumable: bool = False  # a subscription can go on from a cursor
    transactions: bool = False  # several operations become visible together
    revisions: bool = False  # the store numbers its writes; else the host counts
    expiry: bool = False  # Put.ttl
    leases: bool = False  # Put.alive
    compare: bool = False  # commit(expect=...)
    raw: bool = False  # values may be any bytes, not only JSON documents
    empty: bool = True  # one of them may be none at all
    key_bytes: int | None = None  # the longest key, in bytes of UTF-8
