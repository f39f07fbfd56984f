"""One change of one key, as a plugin sees it: relative to what *this plugin* last applied.

``Change[T]`` is a union, so that type checkers narrow it: after ``if change.deleted: …`` (or
``change.kind is Kind.DELETE``) the value of the other branch is a ``T``, not ``T | None``.

Changes are Structs outside the garbage collector's view and decode when asked: a hook that only counts them
pays for no value.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeAlias, TypeVar

from msgspec import UNSET, Struct

from datasync_core.model.entries import Entry
from datasync_core.model.errors import Reject, Retry, said, said_reason
from datasync_core.model.keys import shown

T = TypeVar("T")


class Kind(StrEnum):
    """What happened to a key, seen from what the plugin applied before."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"


class Source(Protocol):
    """Where a change comes from: one watch within one event."""

    @property
    def offset(self) -> int: ...
    @property
    def decode(self) -> Callable[[bytes], Any]: ...
    def retry(self, change: Any, reason: str, delay: float | None = None) -> None: ...
    def reject(self, change: Any, reason: str) -> None: ...


class _Guarded(Struct, Generic[T], gc=False):
    """``with change:`` makes a failure the key's own: it is retried, or rejected for a `Reject`."""

    _source: Source
    key: str

    @property
    def name(self) -> str:
        """The key below its watch's directory."""
        return self.key[self._source.offset :]

    def __repr__(self) -> str:
        change: Any = self  # every change has these two, this base has not
        return f"<{change.kind} {shown(self.key)} (revision {change.revision})>"  # values may be secrets

    def __enter__(self) -> _Guarded[T]:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if error is None or not isinstance(error, Exception):
            return False  # KeyboardInterrupt and SystemExit concern more than this key
        if isinstance(error, Reject):
            self._source.reject(self, said_reason(error))
        elif isinstance(error, Retry):
            self._source.retry(self, said_reason(error), error.delay)
        else:
            self._source.retry(self, said(error))
        return True


class PutChange(_Guarded[T], Generic[T], gc=False):
    """A key that is there now: a CREATE when the plugin had not applied it, else an UPDATE."""

    _entry: Entry
    _applied: Entry | None
    _value: Any = UNSET
    _previous: Any = UNSET

    deleted: ClassVar[Literal[False]] = False

    @property
    def revision(self) -> int:
        """The revision that wrote the value."""
        return self._entry.revision

    @property
    def kind(self) -> Literal[Kind.CREATE, Kind.UPDATE]:
        """CREATE, or UPDATE where the plugin had applied a value before."""
        return Kind.CREATE if self._applied is None and self._previous is UNSET else Kind.UPDATE

    @property
    def value(self) -> T:
        """The value, decoded when first asked for."""
        if self._value is UNSET:
            self._value = self._source.decode(self._entry.value)
        return self._value  # type: ignore[no-any-return]

    @property
    def previous(self) -> T | None:
        """What this plugin last applied, or None."""
        if self._previous is UNSET:
            if self._applied is None:
                return None
            self._previous = self._source.decode(self._applied.value)
        return self._previous  # type: ignore[no-any-return]


class DeleteChange(_Guarded[T], Generic[T], gc=False):
    """A key that is gone; ``revision`` is the store's when that was known."""

    revision: int
    _applied: Entry | None
    _previous: Any = UNSET

    deleted: ClassVar[Literal[True]] = True
    kind: ClassVar[Literal[Kind.DELETE]] = Kind.DELETE
    value: ClassVar[None] = None

    @property
    def previous(self) -> T | None:
        """What this plugin last applied; None when it never did, or when that is not known."""
        if self._previous is UNSET:
            if self._applied is None:
                return None
            self._previous = self._source.decode(self._applied.value)
        return self._previous  # type: ignore[no-any-return]


Change: TypeAlias = PutChange[T] | DeleteChange[T]
