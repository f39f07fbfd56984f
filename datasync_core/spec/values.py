"""The mappings of an event: name → value of one watch, and key → value of all.

Values are decoded on each read, so a plugin may change what it gets; whoever needs a value twice keeps it.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from typing import TYPE_CHECKING, Any, TypeVar

from datasync_core.model.keys import covers

if TYPE_CHECKING:
    from datasync_core.spec.event import Event
    from datasync_core.spec.watch import Watch

T = TypeVar("T")


class Values(Mapping[str, T]):
    """The whole state of one watch: name → value."""

    __slots__ = ("_decode", "_event", "_offset", "_watch")

    def __init__(self, event: Event, watch: Watch[T]) -> None:
        self._event = event
        self._watch = watch
        self._offset = watch.offset
        self._decode = watch.codec.decode

    def __getitem__(self, name: str) -> T:
        watch = self._watch
        key = watch.path[: self._offset] + name
        entry = self._event.live.state(watch).get(key) if covers(watch.path, key) else None
        if entry is None:
            raise KeyError(name)
        return self._decode(entry.value)

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        watch = self._watch
        key = watch.path[: self._offset] + name
        return covers(watch.path, key) and self._event.live.state(watch).get(key) is not None

    def __iter__(self) -> Iterator[str]:
        offset = self._offset
        event = self._event
        for entry in event.live.state(self._watch):
            yield entry.key[offset:]
            event.live  # noqa: B018 - an iterator kept beyond the hook raises, too

    def __len__(self) -> int:
        return len(self._event.live.state(self._watch))

    def items(self) -> ItemsView[str, T]:
        return _Items(self)

    def values(self) -> ValuesView[T]:
        return _Values(self)

    def pairs(self) -> Iterator[tuple[str, T]]:
        """Names and values in one pass, without a look-up for each."""
        offset = self._offset
        decode = self._decode
        event = self._event
        for entry in event.live.state(self._watch):
            event._hand(entry.key)
            yield entry.key[offset:], decode(entry.value)
            event.live  # noqa: B018 - an iterator kept beyond the hook raises, too

    def __repr__(self) -> str:
        return f"<{len(self)} values of {self._watch!r}>"


class _Items(ItemsView[str, T]):
    _mapping: Values[T]

    def __iter__(self) -> Iterator[tuple[str, T]]:
        return self._mapping.pairs()


class _Values(ValuesView[T]):
    _mapping: Values[T]

    def __iter__(self) -> Iterator[T]:
        return (value for _, value in self._mapping.pairs())


class AllValues(Mapping[Any, Any]):
    """The whole state of all watches: key → value, or (store, key) → value where there are several stores."""

    __slots__ = ("_event",)

    def __init__(self, event: Event) -> None:
        self._event = event

    def __getitem__(self, key: Any) -> Any:
        view = self._event.live
        for watch in view.watches:
            if view.one_store:
                text = key
            elif isinstance(key, tuple) and len(key) == 2 and key[0] == watch.store:
                text = key[1]
            else:
                continue
            if isinstance(text, str) and covers(watch.path, text):
                entry = view.state(watch).get(text)
                if entry is not None:
                    return watch.codec.decode(entry.value)
        raise KeyError(key)

    def __iter__(self) -> Iterator[Any]:
        view = self._event.live
        for watch in view.watches:
            for entry in view.state(watch):
                yield entry.key if view.one_store else (watch.store, entry.key)
                self._event.live  # noqa: B018 - an iterator kept beyond the hook raises, too

    def __len__(self) -> int:
        view = self._event.live
        return sum(len(view.state(watch)) for watch in view.watches)
