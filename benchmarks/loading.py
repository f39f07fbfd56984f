"""A million keys: W6 the first load, W7 a resync of which little differs, W8 what the copy takes.

What is read is made up chunk by chunk, as a transport hands it over; that is in both sides of W6, and in neither of
W7, where it would hide what is measured.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator

from benchmarks.apart import apart
from benchmarks.sides import Goal, Measuring, Result, working
from benchmarks.updates import Counting, Driven
from datasync_core import Event, Watch
from datasync_core.model.entries import Entry
from tests.memory.gauge import resident

KEYS = 1_000_000
SHORT = 50_000
CHUNK = 1000
CHANGED, NEW, GONE = 100, 200, 200
"""In a resync one key of so many is changed, is new, is gone: 1 %, 0.5 % and 0.5 %."""


def name(number: int) -> str:
    """A key of thirty characters."""
    return f"a/interfaces/ethernet/{number:08}"


def entries(count: int) -> Iterator[list[Entry]]:
    """The keys with values of a hundred bytes, in chunks."""
    for start in range(0, count, CHUNK):
        yield [Entry(name(number), b"%0100d" % number, number + 1) for number in range(start, start + CHUNK)]


def again(count: int) -> Iterator[list[Entry]]:
    """The same later: some are changed, some new, some gone."""
    revision = count + 1
    for start in range(0, count, CHUNK):
        chunk = []
        for number in range(start, start + CHUNK):
            if number % GONE != 1:
                changed = number % CHANGED == 0
                value = b"%0100d" % (number + changed)
                chunk.append(Entry(name(number), value, revision if changed else number + 1))
            if number % NEW == 2:
                chunk.append(Entry(name(number) + "-new", b"%0100d" % number, revision))
        yield chunk


class Loading(Counting):
    """A plugin that looks at each value of its resync."""

    called: float = 0.0

    def on_resync(self, event: Event) -> None:
        """Look at all, from the moment of the call on."""
        self.called = working()
        self.count = 0
        for change in event:
            if change.value:
                self.count += 1


def load(count: int) -> tuple[float, float]:
    """Seconds until the plugin is called with the whole, and until it has looked at all."""
    plugin = Loading([Watch("a/", bytes)], decode=False)
    driven = Driven([plugin])
    inbox, turn = driven.inbox, driven.dispatcher.turn
    began = working()
    inbox.begin()
    for chunk in entries(count):
        inbox.chunk(chunk)
        turn()
    inbox.complete()
    turn()
    ended = working()
    assert plugin.count == count, plugin.count
    return plugin.called - began, ended - began


def into_a_dictionary(count: int) -> float:
    """Seconds to keep each entry under its key, which includes making them up."""
    known = {}
    began = working()
    for chunk in entries(count):
        for entry in chunk:
            known[entry.key] = entry
    seconds = working() - began
    assert len(known) == count
    return seconds


class Following(Counting):
    """A plugin that counts changes and deletes."""

    deleted = 0

    def on_change(self, event: Event) -> None:
        """Count."""
        for change in event:
            self.count += 1
            self.deleted += change.deleted


def resync(count: int) -> float:
    """Seconds for a snapshot that differs a little, from the first chunk to the plugin's having the difference."""
    plugin = Following([Watch("a/", bytes)], decode=False)
    driven = Driven([plugin], known=entries(count), delta=True)
    inbox, turn = driven.inbox, driven.dispatcher.turn
    plugin.count = 0
    seconds = 0.0
    inbox.begin()
    for chunk in again(count):
        began = working()
        inbox.chunk(chunk)
        turn()
        seconds += working() - began
    began = working()
    inbox.complete()
    turn()
    seconds += working() - began
    differ = (count // CHANGED, count // NEW, count // GONE)
    # Some changed keys are those that are gone or new besides, none here: 0, 1 and 2 of each hundred or two.
    assert (plugin.count, plugin.deleted) == (sum(differ), differ[2]), (plugin.count, plugin.deleted, differ)
    return seconds


def comparison(count: int) -> float:
    """Seconds to find two equal dictionaries of so many keys equal, which names no difference."""
    old, new = ({entry.key: entry.value for chunk in entries(count) for entry in chunk} for _ in range(2))
    began = working()
    same = old == new
    seconds = working() - began
    assert same
    return seconds


def peak(count: int) -> tuple[int, int]:
    """The bytes of a process with a copy at rest, and at most in a resync that differs a little."""
    plugin = Following([Watch("a/", bytes)], decode=False)
    driven = Driven([plugin], known=entries(count), delta=True)
    gc.collect()
    before = resident()
    most = before
    driven.inbox.begin()
    for chunk in again(count):
        driven.inbox.chunk(chunk)
        driven.dispatcher.turn()
        most = max(most, resident())
    driven.inbox.complete()
    driven.dispatcher.turn()
    return before, max(most, resident())


def of_the_copy(count: int) -> float:
    """Bytes of so many keys in a replica that a plugin keeps up with."""
    gc.collect()
    before = resident()
    driven = Driven([Counting([Watch("a/", bytes)], decode=False)], known=entries(count))
    gc.collect()
    size = resident() - before
    assert len(driven.replica) == count
    return size


def of_a_dictionary(count: int) -> float:
    """Bytes of so many keys in a dictionary from key to value and revision."""
    gc.collect()
    before = resident()
    made = {entry.key: (entry.value, entry.revision) for chunk in entries(count) for entry in chunk}
    gc.collect()
    size = resident() - before
    assert len(made) == count
    return size


def w6(measuring: Measuring) -> list[Result]:
    """The first load."""
    count = measuring.count(KEYS, SHORT)
    whole: list[float] = []

    def ours() -> float:
        called, ended = load(count)
        whole.append(ended)
        return called

    mine, other = measuring.best("W6", ours, lambda: into_a_dictionary(count))
    what, against = f"first load of {count:,} keys in chunks of {CHUNK:,}", "making them up into a dict"
    return [
        Result("W6", f"{what}, until the hook", against, mine, other, "s", Goal(1.6)),
        Result("W6", f"{what}, and a resync that looks at all", against, min(whole), other, "s", Goal(2.5)),
    ]


def w7(measuring: Measuring) -> list[Result]:
    """A resync, its time and its memory."""
    count = measuring.count(KEYS, SHORT)
    mine, other = measuring.best("W7", lambda: resync(count), lambda: comparison(count))
    before, most = apart(peak, measuring.count(KEYS, 4 * SHORT))
    what = f"resync of {count:,} keys, 1 % changed, 0.5 % new, 0.5 % gone"
    return [
        Result("W7", f"{what}, told as the difference", "dict == of equal ones", mine, other, "s", Goal(5)),
        Result(
            "W7", f"{what}: peak memory", "the process before", most / 1e6, before / 1e6, "MB", Goal(1.05)
        ),
    ]


def w8(measuring: Measuring) -> list[Result]:
    """Bytes a key, each side in a process of its own."""
    count = measuring.count(KEYS, 4 * SHORT)
    mine, other = measuring.best(
        "W8",
        lambda: apart(of_the_copy, count) / count,
        lambda: apart(of_a_dictionary, count) / count,
        at_most=3,
    )
    what = f"a copy of {count:,} keys of 30 characters, values of 100 bytes: bytes a key"
    return [Result("W8", what, "dict[str, (bytes, int)]", mine, other, "bytes", Goal(1.1))]
