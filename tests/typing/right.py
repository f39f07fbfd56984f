"""A plugin that uses every typed name as it is meant: mypy --strict and pyright find nothing here."""

# pyright: strictListInference=true

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, assert_type

from attrs import define, frozen

from datasync_core import (
    Change,
    Context,
    Delete,
    Event,
    Fault,
    Kind,
    Publisher,
    Put,
    Reject,
    Retry,
    Watch,
    hookimpl,
)
from datasync_core.testing import Harness


@frozen
class Route:
    """An attrs class, decoded from JSON."""

    via: str
    metric: int = 100


@dataclass
class Peer:
    """A dataclass, decoded from JSON."""

    port: int


class Limits(TypedDict):
    """A TypedDict, decoded from JSON."""

    most: int


def read_port(raw: bytes) -> int:
    """A codec: any callable from bytes."""
    return int.from_bytes(raw, "big")


ROUTES = Watch("routes/", Route)
PEERS = Watch("peers/", Peer, store="aux")
LIMITS = Watch("limits", Limits)
NAMES = Watch("names/", str)
RAW = Watch("raw/", bytes)
MAYBE = Watch("maybe/", int | None)
LISTS = Watch("lists/", list[int])
MODES = Watch("modes/", Literal["on", "off"])
PORTS = Watch("ports/", codec=read_port)
LABELLED = Watch("labelled/", int, codec=read_port)
ANYTHING = Watch("")

watches = [
    ROUTES,
    PEERS,
    LIMITS,
    NAMES,
    RAW,
    MAYBE,
    LISTS,
    MODES,
    PORTS,
    LABELLED,
    ANYTHING,
]
requires: list[str] = []
after = ["interfaces"]
whole = True

assert_type(ROUTES, Watch[Route])
assert_type(PEERS, Watch[Peer])
assert_type(LIMITS, Watch[Limits])
assert_type(NAMES, Watch[str])
assert_type(RAW, Watch[bytes])
assert_type(MAYBE, Watch[int | None])
assert_type(LISTS, Watch[list[int]])
assert_type(MODES, Watch[Literal["on", "off"]])
assert_type(PORTS, Watch[int])
assert_type(LABELLED, Watch[int])
assert_type(ANYTHING, Watch[Any])


@hookimpl
def on_start(context: Context) -> None:
    """What `on_start` is given."""
    assert_type(context.name, str)
    context.log.info("starting")
    publisher = context.publisher("main")
    assert_type(publisher, Publisher)
    revision = publisher.put("state/ready", b"yes", ttl=5)
    assert_type(revision, int)
    publisher.put("state/name", "text", expect=revision)
    publisher.commit([Put("state/a", b"1"), Delete("state/b")], expect={"state/a": 0})
    publisher.delete("state/ready")
    context.report_fault("the table was reloaded")
    context.report_fault(OSError("no such table"))
    context.request_resync("asked to")


@hookimpl
def on_resync(event: Event) -> None:
    """The whole state, and diffs against what is really there."""
    assert_type(event[ROUTES], Mapping[str, Route])
    assert_type(event[MAYBE].get("x"), int | None)
    assert_type(event[ANYTHING]["x"], Any)
    metrics = {name: route.metric for name, route in event[ROUTES].items()}
    if "default" in event[ROUTES]:
        metrics["default"] = event[ROUTES]["default"].metric
    for change in event.changes(ROUTES, actual={"default": Route("10.0.0.1")}):
        apply(change)
    for found in event.changes(NAMES, actual={"ada": b"in the form that the plugin found"}):
        assert_type(found, Change[str])


@hookimpl
def on_change(event: Event) -> None:
    """Each way to tell a delete from the rest narrows the value."""
    for change in event.changes(ROUTES):
        assert_type(change, Change[Route])
        assert_type(change.value, Route | None)
        with change:
            if change.deleted:  # mypy narrows by truth; pyright, by its own rules, where it is compared
                assert_type(change.value, None)  # pyright: ignore[reportAssertTypeFailure]
                assert_type(change.previous, Route | None)
            if change.deleted is False:
                assert_type(change.value, Route)
                assert_type(change.value.metric, int)
    for name in event.changes(NAMES):
        if name.kind is Kind.DELETE:
            assert_type(name.value, None)
        else:
            assert_type(name.value, str)
            assert_type(name.kind, Literal[Kind.CREATE, Kind.UPDATE])
        assert_type(name.name, str)
        assert_type(name.revision, int)
        if name.name == "later":
            event.retry(name, "not yet", delay=2.5)
        elif name.name == "never":
            event.reject(name.key, "no such name")
        elif name.name == "wrong":
            raise Reject("a name is missing")
        elif name.name == "busy":
            raise Retry("busy", delay=1)
    for untyped in event:
        assert_type(untyped, Change[Any])
    assert_type(event.invalid.get("names/x"), str | None)
    assert_type(event.reason, str)
    assert_type(event.first, bool)


@hookimpl
def on_fault(fault: Fault) -> None:
    """A fault, told to observers."""
    assert_type(fault.plugin, str | None)
    assert_type(fault.cause, BaseException | None)


for watch in watches:  # of many types, in a list without an annotation
    assert_type(watch.path, str)
    assert_type(watch.store, str)


@define
class Listing:
    """A plugin that says what it watches in the class, and goes over that."""

    watches = [Watch("a/", str), Watch("b/", bytes), Watch("c/", Route), Watch("d/", int | None)]
    requires = ["interfaces"]

    @hookimpl
    def on_resync(self, event: Event) -> None:
        """Whatever is watched is read in one loop."""
        for watch in self.watches:
            for name in event[watch]:
                assert_type(name, str)
            for change in event.changes(watch):
                assert_type(change.key, str)


class Late:
    """A plugin that makes its watches when it is made."""

    def __init__(self, folder: str) -> None:
        self.names = Watch(f"{folder}/names/", str)
        self.watches = [self.names, Watch(f"{folder}/raw/", bytes)]

    @hookimpl
    def on_resync(self, event: Event) -> None:
        """Each watch still has its own type."""
        assert_type(event[self.names], Mapping[str, str])


def paths(watched: list[Watch[Any]]) -> list[str]:
    """A function of a plugin's own that takes watches, whatever their types."""
    return [watch.path for watch in watched]


def subtrees(watched: Iterable[Watch[object]]) -> list[str]:
    """The same for one that reads no values."""
    return [watch.path for watch in watched if watch.is_subtree]


paths([ROUTES, NAMES, RAW])
subtrees(watches)
subtrees([Watch("a/", str), Watch("b/", list[int])])
subtrees([NAMES])


def harnesses() -> list[Harness]:
    """Plugins under test, by name: as keywords, or in a mapping where a name is no identifier."""
    late, listing = Late("names"), Listing()
    plugins: dict[str, object] = {"my-late": late, "listing": listing}
    return [
        Harness(late=late, listing=listing, stores=("main", "aux"), paused=True),
        Harness(late=Late, config={"late": {"folder": "names"}}),
        Harness(**{"my-late": late}),
        Harness(**{"my-late": late, "listing": listing, "late": Late}),
        Harness(**plugins),
    ]


class Tracing:
    """A plugin that surrounds every other's deliveries."""

    @hookimpl(wrapper=True)
    def on_change(self, event: Event) -> Generator[None, None, None]:
        """A wrapper is a generator that yields once."""
        assert_type(event.plugin, str)
        yield


def apply(change: Change[Route]) -> str:
    """A function of a plugin's own that takes changes."""
    if change.kind is Kind.DELETE:
        return f"- {change.name}"
    return f"+ {change.name} via {change.value.via}"
