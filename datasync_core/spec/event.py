"""What a hook is given: the whole state, and what changed since the plugin last succeeded.

An `Event` only reads. What it shows comes from a `View`, which the dispatcher makes for one call of one plugin
and takes away when the hook returns; from then on every use raises `EventExpired`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from msgspec import UNSET, Struct

from datasync_core.model.changes import Change, DeleteChange, PutChange
from datasync_core.model.entries import Entry
from datasync_core.model.errors import EventExpired, cut, seconds
from datasync_core.model.keys import covers
from datasync_core.spec.values import AllValues, Values
from datasync_core.spec.view import Gone, Key, Run, Single, View

if TYPE_CHECKING:
    from datasync_core.spec.watch import Watch

T = TypeVar("T")

_TRACKS = 3  # loops that are remembered: one in another, and one before

_Columns: TypeAlias = (
    "tuple[list[_Source], Collection[str], Iterable[Entry], Iterable[Entry | None], Iterable[Any] | None]"
)
"""A `Run` with what a change needs to know of its watch, for each change."""


class _Source(Struct, gc=False):
    """One watch within one event: what its changes need of both (`model.changes.Source`)."""

    event: Event
    offset: int
    store: str
    decode: Callable[[bytes], Any]

    def retry(self, change: Change[Any], reason: str, delay: float | None = None) -> None:
        self.event.live.retry(self.store, change.key, reason, seconds(delay))

    def reject(self, change: Change[Any], reason: str) -> None:
        self.event.live.reject(self.store, change.key, reason)


class _Track(Struct, gc=False):
    """A loop over changes: how far it came says which was handed out last, without a step for each."""

    before: int
    """How many changes other loops had handed out when this one began."""
    past: int = 0
    """How many the runs before this one had."""
    keys: Collection[str] = ()
    sources: list[_Source] = []
    left: Iterator[_Source] = iter([])

    def done(self) -> int:
        """How many it has handed out."""
        return self.past + self.here()

    def here(self) -> int:
        """How many of them belong to the run that it is in."""
        return len(self.sources) - self.left.__length_hint__()  # type: ignore[attr-defined, no-any-return]  # a list's


class Event(Struct, eq=False, gc=False):  # its cycles end with `expire`
    """The state of a plugin's watches and what changed in it. Valid only inside the hook.

    ``event[WATCH]`` is the whole state of a watch as a mapping from name to value. `changes` is what is new.
    Only the thread that runs the hook may use it.
    """

    _view: View | None
    plugin: str
    """Whose delivery this is."""
    reason: str
    """Why: startup, reconnect, fault, request, retry, audit or change."""
    first: bool
    """Whether the plugin has not succeeded in a resync yet."""
    round: int
    """The number of the dispatcher's round; plugins called in one round see one state of each store."""
    _handed: str | None = None  # the key handed out last otherwise than by a loop
    _moved: int = 0  # how many the loops had handed out then
    _past: int = 0  # how many those loops handed out that are not remembered any more
    _tracks: list[_Track] | None = None  # the loops, where one was begun

    @property
    def live(self) -> View:
        """The view, while the hook runs; raises `EventExpired` afterwards. (For the parts of an event.)"""
        if self._view is None:
            raise EventExpired
        return self._view

    @property
    def handed(self) -> str | None:
        """The key that was last handed out: the suspect, when the hook raises. (For the parts of an event.)"""
        if self._handed is not None and self._moved == self._progress():
            return self._handed
        tracks = self._tracks or []
        for number, track in reversed([*enumerate(tracks)]):
            here = track.here()
            older = self._past + sum([one.done() for one in tracks[:number]])
            if here and (here < len(track.sources) or older == track.before):
                return next(islice(track.keys, here - 1, None))
        return self._handed

    @handed.setter
    def handed(self, key: str | None) -> None:
        self._handed = key
        self._tracks = None
        self._past = self._moved = 0

    def _hand(self, key: str) -> None:
        """Note a key that is handed out otherwise than by a loop."""
        self._handed = key
        if self._tracks is not None:
            self._moved = self._progress()

    def _progress(self) -> int:
        """How many changes the loops have handed out."""
        return self._past + sum([track.done() for track in self._tracks or ()])

    def expire(self) -> None:
        """Called by the dispatcher when the hook has returned."""
        self._view = None
        if self._tracks is not None:
            for track in self._tracks:
                track.sources.clear()  # ends the loops that somebody keeps; what comes after a run then raises
            self._tracks = None

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
        self.live.reject(store, text, cut(str(reason)))

    def retry(self, key: Key | Change[Any], reason: str, delay: float | None = None) -> None:
        """Keep a key (as `values` has it, or a change) pending; the rest of the event counts as applied.

        Without ``delay`` (seconds) it is tried again when a required plugin next applies something, else by backoff.
        """
        store, text = _addressed(key)
        self.live.retry(store, text, cut(str(reason)), seconds(delay))

    def _declared(self, watch: Watch[Any]) -> None:
        for known in self.live.watches:
            if known is watch:
                return
        names = ", ".join(map(repr, self.live.watches)) or "none"
        raise KeyError(f"{watch!r} is no watch of plugin {self.plugin}; it declares {names}")

    def _changes(self, watch: Watch[Any] | None = None) -> Iterator[Change[Any]]:
        """All changes, or those of one watch, deletes first."""
        view = self._view
        if view is None:
            raise EventExpired
        if view.single is not None:
            return self._single(watch, view.single)
        deletes, runs = view.told(watch)
        puts: Iterator[Change[Any]] = chain.from_iterable(self._loops(runs))
        return chain(self._deletes(deletes), puts) if deletes else puts

    __iter__ = _changes

    def _single(self, wanted: Watch[Any] | None, single: Single) -> Iterator[PutChange[Any]]:
        """The loop over one change, which every step costs dearly."""
        watch, entry, applied = single
        if self._view is None:
            raise EventExpired
        if wanted is None or wanted is watch:
            key = self._handed = entry.key
            source = _Source(self, watch.offset, watch.store, watch.codec.decode)
            yield PutChange(source, key, entry, applied)
            if self._view is None:
                raise EventExpired

    def _loops(self, runs: Iterable[Run]) -> Iterator[Iterator[PutChange[Any]]]:
        """Loops that take no step in Python, can be ended (`expire`), and tell how far they came.

        One for all runs where these come as a list, else one for each.
        """
        if self._view is None:
            raise EventExpired
        tracks = self._tracks
        if tracks is None:
            tracks = self._tracks = []
        track = _Track(self._progress() if tracks else self._past)
        if len(tracks) == _TRACKS:
            self._past += tracks.pop(0).done()
        tracks.append(track)
        make: Callable[..., PutChange[Any]] = PutChange
        joined = isinstance(runs, list) and len(runs) > 1
        for sources, keys, entries, applied, values in (
            [self._joined(runs)] if joined else map(self._columns, runs)
        ):
            track.past += len(track.sources)
            track.keys = keys
            track.sources = sources
            track.left = left = iter(sources)
            columns = (left, keys, entries, applied)  # what `expire` ends is asked first
            yield map(make, *columns) if values is None else map(make, *columns, values)
            if self._view is None:  # an iterator kept beyond the hook raises, too
                raise EventExpired

    def _columns(self, run: Run) -> _Columns:
        watch, keys, entries, applied, values = run
        return [self._source(watch)] * len(keys), keys, entries, applied, values

    def _joined(self, runs: Iterable[Run]) -> _Columns:
        """Short runs as one: to begin and end a loop costs as much as several of its changes."""
        sources: list[_Source] = []
        keys: list[str] = []
        entries: list[Entry] = []
        applied: list[Entry | None] = []
        values: list[Any] | None = None
        for watch, more, new, old, decoded in runs:
            if decoded is not None and values is None:
                values = [UNSET] * len(keys)
            if values is not None:
                values += [UNSET] * len(more) if decoded is None else decoded
            sources += [_Source(self, watch.offset, watch.store, watch.codec.decode)] * len(more)
            keys += more
            entries += new
            applied += old
        return sources, keys, entries, applied, values

    def _deletes(self, deletes: Iterable[Gone]) -> Iterator[DeleteChange[Any]]:
        source, of = None, None
        revision = 0
        for watch, key, applied in deletes:
            if source is None or of is not watch:
                source, of = self._source(watch), watch
                revision = self.live.revision(watch)
            self._hand(key)
            yield DeleteChange(source, key, revision, applied)
            if self._view is None:
                raise EventExpired

    def _source(self, watch: Watch[Any]) -> _Source:
        return _Source(self, watch.offset, watch.store, watch.codec.decode)

    def _differences(self, watch: Watch[Any], actual: Mapping[str, Any]) -> Iterator[Change[Any]]:
        view = self.live
        state = view.state(watch)
        source = self._source(watch)
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
                self._hand(key)
                yield DeleteChange(source, key, revision, None, found)
                self.live  # noqa: B018 - an iterator kept beyond the hook raises, too
        for entry in state:
            key = entry.key
            if view.frozen(watch, key):
                continue
            value = source.decode(entry.value)
            found = actual.get(key[watch.offset :], UNSET)
            if found is UNSET or found != value:
                self._hand(key)
                yield PutChange(source, key, entry, None, value, found)
                self.live  # noqa: B018 - the same


def _addressed(key: Key | Change[Any]) -> tuple[str | None, str]:
    if isinstance(key, str):
        return None, key
    if isinstance(key, tuple):
        return key
    source: Any = key._source
    return source.store, key.key
