"""What a hook is given: the whole state, and what changed since the plugin last succeeded.

An `Event` only reads. What it shows comes from a `View`, which the dispatcher makes for one call of one plugin
and takes away when the hook returns; from then on every use raises `EventExpired`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from msgspec import UNSET

from datasync_core.model.changes import Change, DeleteChange, PutChange
from datasync_core.model.entries import Entry
from datasync_core.model.errors import EventExpired, seconds
from datasync_core.model.keys import covers
from datasync_core.spec.values import AllValues, Values

if TYPE_CHECKING:
    from datasync_core.spec.watch import Watch

T = TypeVar("T")
Key = str | tuple[str, str]


class State(Protocol):
    """The keys of one watch as one plugin sees them: the replica, but for last good and not yet deleted values."""

    def get(self, key: str) -> Entry | None: ...
    def __iter__(self) -> Iterator[Entry]: ...
    def __len__(self) -> int: ...


class View(Protocol):
    """What one call shows. Every method belongs to the dispatcher thread."""

    watches: tuple[Watch[Any], ...]
    one_store: bool

    @property
    def invalid(self) -> Mapping[Key, str]:
        """Key → why, of what cannot be told."""

    @property
    def held(self) -> Mapping[Key, str]:
        """Key → why, of removals that the brake holds."""

    def state(self, watch: Watch[Any]) -> State:
        """The whole state of a watch."""

    def deleting(self) -> Iterable[Watch[Any]]:
        """The watches that have something to be deleted in this call."""

    def putting(self) -> Iterable[Watch[Any]]:
        """The watches that have something to be created or updated in this call."""

    def deletes(self, watch: Watch[Any]) -> Iterable[tuple[str, Entry | None]]:
        """Key and applied entry of what is to be deleted in this call."""

    def puts(self, watch: Watch[Any]) -> Iterable[tuple[Entry, Entry | None]]:
        """Entry and applied entry of what is to be created or updated in this call."""

    def frozen(self, watch: Watch[Any], key: str) -> bool:
        """Whether no diff may touch a key: it is invalid, rejected, held, or its delete comes later."""

    def revision(self, watch: Watch[Any]) -> int:
        """The newest revision known of a watch's store."""

    def retry(self, store: str | None, key: str, reason: str, delay: float | None) -> None:
        """Keep a key pending. ``store`` None: whichever watches it."""

    def reject(self, store: str | None, key: str, reason: str) -> None:
        """Give up on a key until it changes."""


class _Source:
    """One watch within one event: what its changes need of both (`model.changes.Source`)."""

    __slots__ = ("decode", "event", "offset", "store")

    def __init__(self, event: Event, watch: Watch[Any]) -> None:
        self.event = event
        self.offset = watch.offset
        self.store = watch.store
        self.decode: Callable[[bytes], Any] = watch.codec.decode

    def retry(self, change: Change[Any], reason: str, delay: float | None = None) -> None:
        self.event.live.retry(self.store, change.key, reason, seconds(delay))

    def reject(self, change: Change[Any], reason: str) -> None:
        self.event.live.reject(self.store, change.key, reason)


class Event:
    """The state of a plugin's watches and what changed in it. Valid only inside the hook.

    ``event[WATCH]`` is the whole state of a watch as a mapping from name to value. `changes` is what is new.
    Only the thread that runs the hook may use it.
    """

    __slots__ = ("_view", "first", "handed", "plugin", "reason", "round")

    def __init__(self, view: View, *, plugin: str, reason: str, first: bool, round: int) -> None:
        self._view: View | None = view
        self.plugin = plugin
        """Whose delivery this is."""
        self.reason = reason
        """Why: startup, reconnect, fault, request, retry, audit or change."""
        self.first = first
        """Whether the plugin has not succeeded in a resync yet."""
        self.round = round
        """The number of the dispatcher's round; plugins called in one round see one state of each store."""
        self.handed: str | None = None
        """The key that was last handed out: the suspect, when the hook raises."""

    @property
    def live(self) -> View:
        """The view, while the hook runs; raises `EventExpired` afterwards. (For the parts of an event.)"""
        if self._view is None:
            raise EventExpired
        return self._view

    def expire(self) -> None:
        """Called by the dispatcher when the hook has returned."""
        self._view = None

    def __getitem__(self, watch: Watch[T]) -> Mapping[str, T]:
        self._declared(watch)
        return Values(self, watch)

    def changes(self, watch: Watch[T], *, actual: Mapping[str, Any] | None = None) -> Iterator[Change[T]]:
        """What changed in a watch, deletes first.

        In `on_change`: since this plugin last succeeded. In `on_resync`: deletes of what it had and the store has
        not, then **every** key (``previous`` may equal ``value``).

        With ``actual`` (name → value, what the plugin found in its own system) only what differs from that, in
        both hooks: the one way to remove what was deleted while the host was down. Names that are no keys of this
        watch are left alone. It is read while iterating, each name before its own change is handed out, so it may be
        the live mapping that applying changes alters.
        """
        self._declared(watch)
        return self._changes(watch) if actual is None else self._differences(watch, actual)

    def __iter__(self) -> Iterator[Change[Any]]:
        """All changes over all watches, deletes first."""
        for watch in self.live.deleting():
            yield from self._deletes(watch)
        for watch in self.live.putting():
            yield from self._puts(watch)

    @property
    def values(self) -> Mapping[Key, Any]:
        """The whole state of all watches: key → value, or (store, key) → value where there are several stores."""
        self.live  # noqa: B018 - raises where the event is over
        return AllValues(self)

    @property
    def invalid(self) -> Mapping[Key, str]:
        """Key → why, for what cannot be decoded or was rejected; mappings keep the last applied value."""
        return self.live.invalid

    @property
    def held(self) -> Mapping[Key, str]:
        """Key → why, for removals that the brake holds; mappings keep the applied value."""
        return self.live.held

    def reject(self, key: Key | Change[Any], reason: str) -> None:
        """Give up on a key (as `values` has it, or a change) until its bytes or revision change.

        An operator who asks for a resync ends it, too.
        """
        store, text = _addressed(key)
        self.live.reject(store, text, str(reason))

    def retry(self, key: Key | Change[Any], reason: str, delay: float | None = None) -> None:
        """Keep a key (as `values` has it, or a change) pending; the rest of the event counts as applied.

        Without ``delay`` (seconds) it is tried again when a required plugin next applies something, else by backoff.
        """
        store, text = _addressed(key)
        self.live.retry(store, text, str(reason), seconds(delay))

    def _declared(self, watch: Watch[Any]) -> None:
        for known in self.live.watches:
            if known is watch:
                return
        names = ", ".join(map(repr, self.live.watches)) or "none"
        raise KeyError(f"{watch!r} is no watch of plugin {self.plugin}; it declares {names}")

    def _changes(self, watch: Watch[Any]) -> Iterator[Change[Any]]:
        yield from self._deletes(watch)
        yield from self._puts(watch)

    def _deletes(self, watch: Watch[Any]) -> Iterator[DeleteChange[Any]]:
        view = self.live
        source = _Source(self, watch)
        revision = view.revision(watch)
        for key, applied in view.deletes(watch):
            self.handed = key
            yield DeleteChange(key, source, revision, applied)
            if self._view is None:  # an iterator kept beyond the hook raises, too
                raise EventExpired

    def _puts(self, watch: Watch[Any]) -> Iterator[PutChange[Any]]:
        source = _Source(self, watch)
        for entry, applied in self.live.puts(watch):
            key = self.handed = entry.key
            yield PutChange(key, source, entry.revision, entry, applied)
            if self._view is None:
                raise EventExpired

    def _differences(self, watch: Watch[Any], actual: Mapping[str, Any]) -> Iterator[Change[Any]]:
        view = self.live
        state = view.state(watch)
        source = _Source(self, watch)
        directory = watch.path[: watch.offset]
        revision = view.revision(watch)
        longer = [
            other.path
            for other in view.watches
            if other.store == watch.store and len(other.path) > len(watch.path)
        ]
        for name, found in list(actual.items()):
            key = directory + name
            if not covers(watch.path, key) or any(covers(path, key) for path in longer):
                continue  # no key of this watch, so its absence here says nothing
            if state.get(key) is None and not view.frozen(watch, key):
                self.handed = key
                yield DeleteChange(key, source, revision, None, found)
                self.live  # noqa: B018 - an iterator kept beyond the hook raises, too
        for entry in state:
            key = entry.key
            if view.frozen(watch, key):
                continue
            value = source.decode(entry.value)
            found = actual.get(key[watch.offset :], UNSET)
            if found is UNSET or found != value:
                self.handed = key
                yield PutChange(key, source, entry.revision, entry, None, value, found)
                self.live  # noqa: B018 - the same


def _addressed(key: Key | Change[Any]) -> tuple[str | None, str]:
    if isinstance(key, str):
        return None, key
    if isinstance(key, tuple):
        return key
    source: Any = key._source
    return source.store, key.key
