"""Small updates of known keys: W1 in batches of a hundred, W2 one by one, W5 with ten thousand watches.

The inbox, the replica, the ledgers and the dispatcher are the host's own; what is left out is the thread that reads
a store, so that each batch is a round and every delivery is counted. The floor keeps a dictionary, makes one event
with slots an update and calls the hooks itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from attrs import define, frozen

from benchmarks.sides import Goal, Measuring, Result, working
from datasync_core import Event, Watch
from datasync_core.dispatch.attempts import Patience
from datasync_core.dispatch.dispatcher import Dispatcher
from datasync_core.dispatch.wiring import Binding, wire
from datasync_core.model.entries import Batch, Entry
from datasync_core.model.runtime import RealRuntime
from datasync_core.plugins.plugin import Plugin

UPDATES = 200_000
SHORT = 20_000
KEYS = 10_000
PLUGINS = 10
WATCHES = 100
GROUPS = 17
"""Subtrees that the keys lie in."""
EACH = 3
"""Plugins that a key concerns."""
VALUE = b"x" * 100
DOCUMENT = b'{"name": "%06d", "mtu": 1500, "enabled": true, "addresses": ["10.0.0.1/24", "10.0.1.1/24"], "zone": "a"}'


@frozen
class Interface:
    """What the values of W1t are decoded into."""

    name: str
    mtu: int
    enabled: bool
    addresses: list[str]
    zone: str


def key(number: int) -> str:
    """The name of one of the keys."""
    return f"cfg/r{number % GROUPS}/app{number % 100}/ifaces/obj{number:06d}"


def updates(count: int, *, document: bool = False, keys: int = KEYS) -> list[Entry]:
    """Fresh entries, as a transport hands them over: a stride over the keys, each value new."""
    made = []
    for number in range(count):
        which = number * 7919 % keys
        value = DOCUMENT % (number + 1) if document else VALUE[:-6] + b"%06d" % (number % 1_000_000)
        made.append(Entry(key(which), value, number + keys + 1))
    return made


class Counting:
    """A plugin that counts what it is told."""

    requires: Sequence[str] = ()
    """Names of others: the first is ``p0``."""

    def __init__(self, watches: Sequence[Watch[Any]], *, decode: bool) -> None:
        self.watches = watches
        self.decode = decode
        self.count = 0

    def on_resync(self, event: Event) -> None:
        """Take the state as it is."""

    def on_change(self, event: Event) -> None:
        """Count, and look at each value if asked to."""
        if self.decode:
            for change in event:
                change.value  # noqa: B018 - decoded when asked for
                self.count += 1
        else:
            for _ in event:
                self.count += 1


def plugins(watches: int, type_: Any, *, decode: bool) -> list[Counting]:
    """The plugins: 17 subtrees of three plugins each, and as many other watches as are wanted."""
    paths: list[list[str]] = [[] for _ in range(PLUGINS)]
    for group in range(GROUPS):
        for shift in range(EACH):
            paths[(group + shift) % PLUGINS].append(f"cfg/r{group}/")
    for number in range(max(watches - GROUPS * EACH, 0)):
        paths[number % PLUGINS].append(f"other/{number}/")
    return [Counting([Watch(path, type_) for path in mine], decode=decode) for mine in paths]


class Driven:
    """A dispatcher with plugins, and one store's inbox and copy."""

    def __init__(
        self,
        counting: Sequence[Counting],
        known: Iterable[Sequence[Entry]] | None = None,
        *,
        delta: bool = False,
    ) -> None:
        """``known``: chunks of what the store has, None: not read yet; ``delta``: a reconnect tells the difference."""
        runtime = RealRuntime()
        doorbell = runtime.doorbell()
        self.dispatcher = Dispatcher(runtime, doorbell)
        made = [
            Plugin(
                f"p{number}",
                tuple(one.watches),
                tuple(one.requires),
                on_resync=one.on_resync,
                on_change=one.on_change,
            )
            for number, one in enumerate(counting)
        ]
        context: Any = None
        bound = Binding({"main": "main"}, context, Patience(), delta=delta)
        wiring = wire(
            self.dispatcher,
            runtime,
            doorbell,
            made,
            lambda plugin: bound,
            {one.name: one.requires for one in made},
        )
        self.inbox = wiring.feeds["main"].inbox
        self.replica = wiring.feeds["main"].replica
        if known is not None:
            self._read(known)

    def _read(self, known: Iterable[Sequence[Entry]]) -> None:
        self.inbox.begin()
        for chunk in known:
            self.inbox.chunk(chunk)
            self.dispatcher.turn()
        self.inbox.complete()
        self.dispatcher.turn()
        assert all(str(state.state) == "in_sync" for state in self.dispatcher.states.values())

    def drive(self, entries: Sequence[Entry], batch: int) -> float:
        """Seconds for these changes, so many at a time, each time a round."""
        batches = [Batch(entries[start : start + batch]) for start in range(0, len(entries), batch)]
        put, turn = self.inbox.put, self.dispatcher.turn
        began = working()
        for one in batches:
            put(one)
            turn()
        return working() - began


def store(*, document: bool = False, keys: int = KEYS) -> list[list[Entry]]:
    """What the store has before the updates, in one chunk."""
    value = DOCUMENT % 0 if document else VALUE
    return [[Entry(key(number), value, number + 1) for number in range(keys)]]


def ours(
    count: int, batch: int, *, watches: int = WATCHES, type_: Any = bytes, decode: bool = False
) -> float:
    """Seconds for so many updates, batch by batch, each a round."""
    counting = plugins(watches, type_, decode=decode)
    driven = Driven(counting, store(document=decode))
    seconds = driven.drive(updates(count, document=decode), batch)
    told = sum(one.count for one in counting)
    assert told == EACH * count, told
    return seconds


@define
class Seen:
    """The floor's event."""

    key: str
    entry: Entry
    previous: Entry | None


class Floor:
    """The floor's plugin."""

    def __init__(self) -> None:
        self.count = 0

    def on_event(self, event: Seen) -> None:
        """Count."""
        self.count += 1


class DecodingFloor(Floor):
    """The floor's plugin that looks at each value."""

    def __init__(self) -> None:
        import msgspec

        super().__init__()
        self.decode = msgspec.json.Decoder(Interface).decode

    def on_event(self, event: Seen) -> None:
        """Decode and count."""
        self.decode(event.entry.value)
        self.count += 1


def floor(count: int, *, decode: bool = False) -> float:
    """Seconds of the least code that does the same: one thread, a dictionary, an event with slots, the calls."""
    made = [DecodingFloor() if decode else Floor() for _ in range(PLUGINS)]
    routes = {
        f"r{group}": [made[(group + shift) % PLUGINS].on_event for shift in range(EACH)]
        for group in range(GROUPS)
    }
    value = DOCUMENT % 0 if decode else VALUE
    known = {key(number): Entry(key(number), value, number + 1) for number in range(KEYS)}
    route_of = {name: routes[name.split("/")[1]] for name in known}
    entries = updates(count, document=decode)
    began = working()
    for entry in entries:
        name = entry.key
        previous = known.get(name)
        known[name] = entry
        event = Seen(name, entry, previous)
        for hook in route_of[name]:
            hook(event)
    seconds = working() - began
    assert sum(one.count for one in made) == EACH * count
    return seconds


def _against(count: int) -> str:
    return f"one thread: a dict, an event with slots, {EACH} calls for each of {count:,} updates"


def w1(measuring: Measuring) -> list[Result]:
    """Batches of a hundred, and, with no goal, of a thousand."""
    count = measuring.count(UPDATES, SHORT)
    results = []
    for batch, goal in ((100, Goal(1.6)), (1000, None)):
        mine, other = measuring.best("W1", lambda: ours(count, batch), lambda: floor(count))  # noqa: B023
        what = (
            f"{count:,} updates of {KEYS:,} keys in batches of {batch}; {PLUGINS} plugins, {WATCHES} watches"
        )
        results.append(Result("W1", what, _against(count), mine, other, "s", goal))
    return results


def w1t(measuring: Measuring) -> list[Result]:
    """The same with values decoded into an attrs class."""
    count = measuring.count(UPDATES, SHORT)
    mine, other = measuring.best(
        "W1t",
        lambda: ours(count, 100, type_=Interface, decode=True),
        lambda: floor(count, decode=True),
    )
    what = "W1 with values decoded into an attrs class"
    return [Result("W1t", what, f"{_against(count)}, each decodes", mine, other, "s", Goal(1.8))]


def w2(measuring: Measuring) -> list[Result]:
    """One by one."""
    count = measuring.count(UPDATES, SHORT)
    mine, other = measuring.best("W2", lambda: ours(count, 1), lambda: floor(count))
    return [Result("W2", "W1 in batches of 1", _against(count), mine, other, "s", Goal(3.5))]


def w5(measuring: Measuring) -> list[Result]:
    """Very many watches, of which an update concerns as few as ever."""
    count = measuring.count(UPDATES, SHORT)
    mine, other = measuring.best(
        "W5", lambda: ours(count, 100, watches=10_000), lambda: ours(count, 100, watches=0)
    )
    what, against = "W1 with 10,000 watches", f"W1 with {GROUPS * EACH}, the fewest for such keys"
    return [Result("W5", what, against, mine, other, "s", Goal(0.9, at_most=False))]
