"""A plugin that mirrors what it is told, fails now and then, and checks every word of its events.

What it finds wrong it keeps in ``wrong``; a check that raised would only look like one of its failures.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from attrs import define, field

from datasync_core import Change, Event, Kind, Retry, Watch, hookimpl
from tests.chaos.values import Group, Layout, group_of, written

FULL = 2000
"""Keys up to which every call is compared as a whole."""


@define(eq=False)
class Mirror:
    """Its hooks belong to the dispatcher's thread; others read it when the host has settled."""

    name: str
    paths: Sequence[str]
    layout: Layout
    rng: random.Random
    whole: bool = False
    """Whether the store tells transactions as a whole, and nobody requires this plugin."""
    required: Mirror | None = None
    raw: bool = False
    """Whether it takes values as the bytes that they are."""
    requires: list[str] = field(factory=list)
    trouble: float = 0.0
    watches: list[Watch[Any]] = field(factory=list)
    applied: dict[str, str] = field(factory=dict)
    aside: set[str] = field(factory=set)
    """Keys that it left for later."""
    seen: dict[Group, str | None] = field(factory=dict)
    """The transaction that wrote each group, as the last event showed it."""
    rewound: bool = False
    """Whether the store may have gone back to what it had."""
    wrong: list[str] = field(factory=list)
    story: deque[str] = field(factory=lambda: deque(maxlen=30))
    """What the last calls were."""
    succeeded: bool = False
    calls: int = 0
    resyncs: int = 0
    changes: int = 0
    failures: int = 0

    def __attrs_post_init__(self) -> None:
        self.watches = [Watch(path, bytes) if self.raw else Watch(path, codec=decode) for path in self.paths]
        if self.required is not None:
            self.requires = [self.required.name]

    def covers(self, key: str) -> bool:
        return any(key == path or (path.endswith("/") and key.startswith(path)) for path in self.paths)

    @hookimpl
    def on_resync(self, event: Event) -> None:
        self.resyncs += 1
        self._deliver(event, resync=True)
        self.succeeded = True

    @hookimpl
    def on_change(self, event: Event) -> None:
        if not self.succeeded:
            self._wrong("on_change came before a resync that succeeded")
        self._deliver(event, resync=False)

    def _deliver(self, event: Event, *, resync: bool) -> None:
        self.calls += 1
        outcome = "raised"
        try:
            told = self._work(event, resync=resync)
            outcome = f"{told}, {len(self.aside)} aside"
        finally:
            hook = f"on_resync ({event.reason})" if resync else "on_change"
            held = f", {len(event.held)} held" if event.held else ""
            self.story.append(f"{time.monotonic():.2f} {self.name} {self.calls} {hook}{held}: {outcome}")

    def _work(self, event: Event, *, resync: bool) -> str:
        if event.first == self.succeeded:
            self._wrong(
                f"event.first is {event.first} where a resync has{'' if self.succeeded else ' not'} succeeded"
            )
        changes = [change for watch in self.watches for change in event.changes(watch)]
        self.changes += len(changes)
        for change in changes:
            self._check_change(change)
        if self.whole:
            self._check_transactions(event, changes, resync=resync)
        if self.rng.random() < self.trouble:
            self._fail()
        aside = self._set_aside(changes)
        if self.rng.random() < self.trouble:
            self._fail()
        for change in changes:
            key = change.key
            self.aside.discard(key)
            if key in aside:
                continue
            if change.deleted:
                self.applied.pop(key, None)
            else:
                self.applied[key] = as_text(change.value)
        self.aside |= aside
        if self.whole and (len(self.applied) < FULL or self.rng.random() < 0.01):
            self._check_state(event)
        deletes = sum(change.deleted for change in changes)
        return f"{len(changes) - deletes} puts, {deletes} deletes"

    def _set_aside(self, changes: Sequence[Change[Any]]) -> set[str]:
        aside: set[str] = set()
        if changes and self.rng.random() < self.trouble:
            for change in self.rng.sample(changes, min(3, len(changes))):
                with change:
                    aside.add(change.key)
                    raise self.rng.choice([ValueError("this one"), Retry("soon", 0.05), Retry("when I can")])
        return aside

    def _fail(self) -> None:
        self.failures += 1
        raise self.rng.choice(
            [ValueError("no"), Retry("again", 0.02), SystemExit(3), MemoryError("none left")]
        )

    def _check_change(self, change: Change[Any]) -> None:
        applied = self.applied.get(change.key)
        previous = None if change.previous is None else as_text(change.previous)
        if previous != applied:
            self._wrong(f"{change!r} says previous={previous!r}, applied was {applied!r}")
        if change.deleted:
            return
        if (change.kind is Kind.CREATE) != (applied is None):
            self._wrong(f"{change!r} is a {change.kind} where {applied!r} was applied")
        required = self.required
        if required is None or not required.covers(change.key) or change.key in required.aside:
            return
        if required.applied.get(change.key) != as_text(change.value):
            self._wrong(f"{change!r} came before {required.name} had applied it")

    def _check_state(self, event: Event) -> None:
        """Having applied what it was told, it has what the event shows."""
        shown = {str(key): as_text(event.values[key]) for key in event.values}
        for key in {**shown, **self.applied}:
            has, wanted = self.applied.get(key), shown.get(key)
            if has != wanted and key not in self.aside:
                self._wrong(f"{key} is {has!r} after all changes, and {wanted!r} in the event")

    def _check_transactions(self, event: Event, changes: Sequence[Change[Any]], *, resync: bool) -> None:
        """Every group is of one transaction, and what became new is all that its transaction did.

        Where a store was put back, what is new is old: there the groups alone count.
        """
        if event.held:
            self.seen.clear()
            return
        # A delete that was left for later is shown until it is applied, and its group is torn until then.
        torn = {group_of(key) for key in self.aside if key.startswith("k/")}
        groups = {group_of(change.key) for change in changes if change.key.startswith("k/")}
        before: dict[Group, str | None] = {}
        fresh: dict[Group, str] = {}
        for group in torn:
            self.seen.pop(group, None)
        for group in groups - torn:
            texts = {_shown(event, key) for key in self.layout.groups[group]}
            if len(texts) > 1:
                kind = event.reason if resync else "on_change"
                shown = {key: (_shown(event, key) or "")[:80] for key in self.layout.groups[group]}
                self._wrong(f"group {group} is of several transactions ({kind}): {shown}")
                return
            text = texts.pop()
            name = None if text is None else written(text).transaction
            if group in self.seen:
                before[group] = self.seen[group]
                if text is not None and name != before[group]:
                    fresh[group] = text
            self.seen[group] = name
        if self.rewound:
            return
        for group, text in fresh.items():
            told = written(text)
            for other in told.scope.keys() - torn:
                now = self.seen.get(other)  # None: it may have come and gone since
                unchanged = other not in groups or now == before.get(other, "unknown")
                if unchanged and now is not None and now != told.transaction:
                    self._wrong(
                        f"of {text[:200]!r} group {group} was told, but group {other} still is of {now}"
                    )

    def _wrong(self, text: str) -> None:
        if len(self.wrong) < 20:
            self.wrong.append(f"{self.name}, call {self.calls}, at {time.monotonic():.2f}: {text}")


def decode(value: bytes) -> str:
    """The text of a value, also where a store shows it as the field of a hash. Raises `ValueError`."""
    text = value.decode()
    return text if text[:1] != "{" else text[6:-2]  # {"v":"…"}: no text here has what JSON escapes


def as_text(value: str | bytes) -> str:
    """The same of a value that may be text already."""
    return decode(value) if isinstance(value, bytes) else value


def _shown(event: Event, key: str) -> str | None:
    value = event.values.get(key)
    return None if value is None else as_text(value)
