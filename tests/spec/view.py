"""A view that holds its state in plain dicts, for tests of what an event makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from datasync_core.model.entries import Entry
from datasync_core.model.keys import covers
from datasync_core.spec.event import Event
from datasync_core.spec.view import Gone, Key, Run, Single
from datasync_core.spec.watch import Watch


class State:
    """The keys of one watch; counts its look-ups."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self.entries = entries
        self.lookups = 0

    def get(self, key: str) -> Entry | None:
        self.lookups += 1
        return self.entries.get(key)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries.values())

    def __len__(self) -> int:
        return len(self.entries)


class FakeView:
    """`spec.view.View`: store → key → value as it is, ``applied`` the same as the plugin had it."""

    def __init__(self, watches: list[Watch[Any]], data: Mapping[str, Mapping[str, bytes]]) -> None:
        self.watches = tuple(watches)
        self.single: Single | None = None
        self.one_store = len({watch.store for watch in watches}) <= 1
        self.invalid: dict[Key, str] = {}
        self.held: dict[Key, str] = {}
        self.applied: dict[Watch[Any], dict[str, bytes]] = {}
        self.untouchable: set[str] = set()
        self.said: list[tuple[Any, ...]] = []
        self.states = {watch: State(self._entries(watch, data.get(watch.store, {}))) for watch in watches}

    def _entries(self, watch: Watch[Any], data: Mapping[str, bytes]) -> dict[str, Entry]:
        return {
            key: Entry(key, value, number)
            for number, (key, value) in enumerate(data.items(), 1)
            if self._owner(watch.store, key) is watch
        }

    def _owner(self, store: str, key: str) -> Watch[Any] | None:
        found = [watch for watch in self.watches if watch.store == store and covers(watch.path, key)]
        return max(found, key=lambda watch: len(watch.path), default=None)

    def state(self, watch: Watch[Any]) -> State:
        return self.states[watch]

    def told(self, watch: Watch[Any] | None) -> tuple[list[Gone], Iterator[Run]]:
        return list(self._deletes(watch)), self._runs(watch)

    def _deletes(self, watch: Watch[Any] | None) -> Iterator[Gone]:
        for one in self.watches if watch is None else (watch,):
            for key, value in self.applied.get(one, {}).items():
                if key not in self.states[one].entries:
                    yield one, key, Entry(key, value)

    def _runs(self, watch: Watch[Any] | None) -> Iterator[Run]:
        for one in self.watches if watch is None else (watch,):
            applied, entries = self.applied.get(one, {}), self.states[one].entries
            before = [Entry(key, applied[key]) if key in applied else None for key in entries]
            yield one, entries.keys(), entries.values(), before, None

    def frozen(self, watch: Watch[Any], key: str) -> bool:
        return key in self.untouchable

    def revision(self, watch: Watch[Any]) -> int:
        return 99

    def retry(self, store: str | None, key: str, reason: str, delay: float | None) -> None:
        self.said.append(("retry", store, key, reason, delay))

    def reject(self, store: str | None, key: str, reason: str) -> None:
        self.said.append(("reject", store, key, reason))


def event_of(view: FakeView) -> Event:
    return Event(view, plugin="p", reason="change", first=False, round=7)
