"""In which order plugins come: a DAG of what they require and what they want to come after.

`graphlib` sorts; its ready sets are sorted by name, so that the order is the same on every start (G5). What is
required and not there does not fail a plugin: it waits, and says for what. A circle fails its members, exactly.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

from attrs import field, frozen

Edges = tuple[Sequence[str], Sequence[str]]


@frozen
class Order:
    """Who comes when. ``names`` are in DAG order; members of circles are in ``failed`` instead, with the circle."""

    names: tuple[str, ...]
    requires: Mapping[str, Sequence[str]] = field(repr=False)
    """What each plugin directly requires and is there."""
    waiting_for: Mapping[str, str]
    """``requires interfaces: not installed`` for each plugin that misses something."""
    failed: Mapping[str, str]

    def required_by(self, name: str) -> tuple[str, ...]:
        """The plugins that directly require this one, in DAG order."""
        return self._required_by.get(name, ())

    def dependents(self, name: str) -> tuple[str, ...]:
        """The plugins that require this one, directly or not, in DAG order."""
        reached: set[str] = set()
        todo = [name]
        while todo:
            for other in self.required_by(todo.pop()):
                if other not in reached:
                    reached.add(other)
                    todo.append(other)
        return tuple(other for other in self.names if other in reached)

    @cached_property
    def _required_by(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {}
        for name in self.names:
            for required in dict.fromkeys(self.requires[name]):
                found.setdefault(required, []).append(name)
        return {name: tuple(others) for name, others in found.items()}


def order(plugins: Mapping[str, Edges], absent: Mapping[str, str] | None = None) -> Order:
    """Sort plugins, given as name → (requires, after).

    ``absent`` says why a plugin that is not among them is not: ``disabled`` or ``failed``; else ``not installed``.
    """
    why = dict(absent or {})
    names = frozenset(plugins)
    requires: dict[str, Sequence[str]] = {}
    edges: dict[str, Sequence[str]] = {}
    waiting_for: dict[str, str] = {}
    for name, (required, after) in plugins.items():
        if not names.issuperset(required):
            missing = sorted({other for other in required if other not in names})
            waiting_for[name] = ", ".join(
                f"requires {other}: {why.get(other, 'not installed')}" for other in missing
            )
            required = tuple(other for other in required if other in names)  # noqa: PLW2901
        requires[name] = required
        edges[name] = (*required, *(other for other in after if other in names)) if after else required
    sorter = TopologicalSorter(edges)
    try:
        sorter.prepare()
    except CycleError:
        failed = _circles(edges, _sorted(sorter))
        rest = {name: edge for name, edge in plugins.items() if name not in failed}
        found = order(rest, {**why, **dict.fromkeys(failed, "failed")})
        return Order(found.names, found.requires, found.waiting_for, failed)
    return Order(tuple(_sorted(sorter)), requires, waiting_for, {})


def _sorted(sorter: TopologicalSorter[str]) -> list[str]:
    names: list[str] = []
    while ready := sorter.get_ready():
        level = sorted(ready)
        names += level
        sorter.done(*level)
    return names


def _circles(edges: Mapping[str, Sequence[str]], sorted_names: Iterable[str]) -> dict[str, str]:
    """Each plugin that lies on a circle, with the shortest one through it, beginning at its first name."""
    remaining = edges.keys() - set(sorted_names)
    failed = {}
    for name in sorted(remaining):
        if circle := _way_back(edges, name, remaining):
            start = circle.index(min(circle))
            turned = [*circle[start:], *circle[: start + 1]]
            failed[name] = f"{' → '.join(turned)} is a circle of requires and after: take one of them out"
    return failed


def _way_back(edges: Mapping[str, Sequence[str]], name: str, within: Iterable[str]) -> list[str]:
    came: dict[str, str] = {}
    todo = deque([name])
    while todo:
        here = todo.popleft()
        for other in sorted(edges[here]):
            if other == name:
                way = [here]
                while way[-1] != name:
                    way.append(came[way[-1]])
                return way[::-1]
            if other in within and other not in came:
                came[other] = here
                todo.append(other)
    return []
