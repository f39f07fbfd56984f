"""What the promises cost in Python: the floors of W1, W1t, W1p, W2 and W3, by the least code that keeps them.

It does what nobody could leave out who promises what the host does, and does it for these workloads alone: a hand-over
under a lock, a shelf for each key, a copy whose old entries are compared (the same bytes are no news) and kept for
``previous``, for each plugin an event that ends with its hook, changes of its own with their source, a net under each
call. There is no ledger, no gate, no delete, no failure, no second store, no snapshot. A goal below its figures is out
of reach for whoever keeps the promises in Python.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from queue import SimpleQueue
from typing import Any

from msgspec import Struct

from benchmarks.peers import subsets, through_pluggy
from benchmarks.ping import PATIENCE, RATE, Ages, Timing, paced, percentile, through_a_queue
from benchmarks.sides import Measuring, Result, working
from benchmarks.updates import (
    EACH,
    GROUPS,
    KEYS,
    PLUGINS,
    SHORT,
    UPDATES,
    Counting,
    Interface,
    floor,
    key,
    store,
    updates,
)
from datasync_core import Watch
from datasync_core.model.changes import PutChange
from datasync_core.model.entries import Entry
from datasync_core.model.errors import EventExpired

Hook = Callable[[Any], None]
LEAST = "the least code that keeps the promises"


class _Shelf:
    __slots__ = ("before", "entries", "fresh", "hooks")

    def __init__(self, hooks: Sequence[Hook]) -> None:
        self.entries: dict[str, Entry] = {}
        self.before: dict[str, Entry] = {}
        self.fresh: list[Entry] = []
        self.hooks = hooks


class _Source(Struct, gc=False):
    event: _Event
    offset: int
    decode: Callable[[bytes], Any]


class _Event(Struct, gc=False):
    """The changes of some shelves, as a plugin is told them."""

    shelves: list[_Shelf] | None
    decode: Callable[[bytes], Any]

    def __iter__(self) -> Iterator[Any]:
        make: Any = PutChange
        for shelf in self.shelves or ():
            source = _Source(self, 7, self.decode)
            if len(shelf.fresh) == 1:
                (new,) = shelf.fresh
                yield make(source, new.key, new, shelf.before[new.key])
            else:
                yield from map(make, repeat(source), shelf.before, shelf.fresh, shelf.before.values())
            if self.shelves is None:
                raise EventExpired


class Least:
    """The copy, and the hooks that it concerns."""

    def __init__(self, hooks: Sequence[Hook], type_: Any = bytes) -> None:
        self._decode = Watch("cfg/", type_).codec.decode
        shelves = [
            _Shelf([hooks[(group + shift) % PLUGINS] for shift in range(EACH)]) for group in range(GROUPS)
        ]
        self.shelf_of = {key(number): shelves[number % GROUPS] for number in range(KEYS)}
        for entry in store()[0]:
            self.shelf_of[entry.key].entries[entry.key] = entry
        self._lock = threading.Lock()
        self._waiting: list[dict[str, Entry]] = []
        self.bell: SimpleQueue[None] = SimpleQueue()

    def put(self, entries: Sequence[Entry]) -> None:
        """Hand a batch over."""
        with self._lock:
            self._waiting.append({entry.key: entry for entry in entries})
        self.bell.put(None)

    def turn(self) -> None:
        """Take what waits, and tell it."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        touched: list[_Shelf] = []
        shelf_of = self.shelf_of
        for latest in waiting:
            for name, new in latest.items():
                shelf = shelf_of[name]
                old = shelf.entries[name]
                if new.revision > old.revision and new.value != old.value:
                    if not shelf.fresh:
                        touched.append(shelf)
                    shelf.before[name] = old
                    shelf.fresh.append(new)
                    shelf.entries[name] = new
        told: dict[Hook, list[_Shelf]] = {}
        for shelf in touched:
            for hook in shelf.hooks:
                if hook in told:
                    told[hook].append(shelf)
                else:
                    told[hook] = [shelf]
        for hook, shelves in told.items():
            event = _Event(shelves, self._decode)
            try:
                hook(event)
            except BaseException as error:
                raise AssertionError("the plugins of this workload succeed") from error
            event.shelves = None
        for shelf in touched:
            shelf.before = {}
            shelf.fresh = []


def least(count: int, batch: int, *, decode: bool = False) -> float:
    """Seconds of the least code for so many updates, batch by batch, each a round."""
    counting = [Counting([], decode=decode) for _ in range(PLUGINS)]
    copy = Least([one.on_change for one in counting], Interface if decode else bytes)
    entries = updates(count, document=decode)
    batches = [entries[start : start + batch] for start in range(0, count, batch)]
    put, turn, heard = copy.put, copy.turn, copy.bell.get
    began = working()
    for one in batches:
        put(one)
        heard()
        turn()
    seconds = working() - began
    assert sum(one.count for one in counting) == EACH * count
    return seconds


def through_the_least(count: int) -> list[float]:
    """The age of each delivery of W3, in seconds, by the least code on two threads."""
    ages = Ages(EACH * count)
    copy = Least([Timing([], ages).on_change for _ in range(PLUGINS)])
    over = False

    def run() -> None:
        while not over:
            copy.bell.get()
            copy.turn()

    def send(number: int) -> None:
        ages.sent.append(time.perf_counter())
        copy.put([Entry(key(number * 7919 % KEYS), b"%d" % number, KEYS + 1 + number)])

    thread = threading.Thread(target=run, name="least")
    thread.start()
    paced(count, send)
    assert ages.complete.wait(PATIENCE)
    over = True
    copy.bell.put(None)
    thread.join()
    return ages.all


def limits(measuring: Measuring) -> list[Result]:
    """The least of each workload against its floor."""
    count = measuring.count(UPDATES, SHORT)
    results = []
    for name, batch, decode in (("W1", 100, False), ("W1t", 100, True), ("W2", 1, False)):
        mine, other = measuring.best(
            name,
            lambda: least(count, batch, decode=decode),  # noqa: B023
            lambda: floor(count, decode=decode),  # noqa: B023
        )
        results.append(Result("limits", f"{name} by {LEAST}", "the floor", mine, other, "s"))
    mine, other = measuring.best("W1p", lambda: least(count, 100), lambda: through_pluggy(count, subsets))
    results.append(Result("limits", f"W1p by {LEAST}", "pluggy, by subset_hook_caller", mine, other, "s"))
    some = measuring.count(3 * RATE, RATE // 2)
    mine, other = measuring.best(
        "W3",
        lambda: percentile(through_the_least(some), 0.5),
        lambda: percentile(through_a_queue(some), 0.5),
    )
    results.append(
        Result("limits", f"W3 by {LEAST}: p50", "a SimpleQueue between two threads", mine, other, "s")
    )
    return results
