"""The order of a thousand plugins: W9."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter

from benchmarks.sides import Goal, Measuring, Result, working
from datasync_core.plugins.graph import order

PLUGINS = 1000
MOST = 5
"""Requirements of one plugin."""


def graph(count: int = PLUGINS) -> dict[str, Sequence[str]]:
    """Plugins that require up to five of those before them, in no order."""
    draw = random.Random(1)
    names = [f"plugin-{number:04d}" for number in range(count)]
    draw.shuffle(names)
    edges = {
        name: tuple(sorted(draw.sample(names[:number], min(number, draw.randint(0, MOST)))))
        for number, name in enumerate(names)
    }
    draw.shuffle(names)
    return {name: edges[name] for name in names}


def ours(edges: Mapping[str, Sequence[str]]) -> tuple[float, Sequence[str]]:
    """Seconds, and the order."""
    plugins: dict[str, tuple[Sequence[str], Sequence[str]]] = {
        name: (edge, ()) for name, edge in edges.items()
    }
    began = working()
    found = order(plugins)
    return working() - began, found.names


def floor(edges: Mapping[str, Sequence[str]]) -> tuple[float, Sequence[str]]:
    """The same by graphlib alone, its ready sets sorted."""
    began = working()
    sorter = TopologicalSorter(edges)
    sorter.prepare()
    names: list[str] = []
    while ready := sorter.get_ready():
        level = sorted(ready)
        names += level
        sorter.done(*level)
    return working() - began, names


def w9(measuring: Measuring) -> list[Result]:
    """Order them, and see that neither another run nor a shuffle changes it."""
    edges = graph()
    shuffled = [*edges.items()]
    random.Random(2).shuffle(shuffled)
    assert ours(edges)[1] == ours(dict(shuffled))[1] == tuple(floor(edges)[1])
    rounds = measuring.count(20, 5)
    mine, other = measuring.best(
        "W9",
        lambda: min(ours(edges)[0] for _ in range(rounds)),
        lambda: min(floor(edges)[0] for _ in range(rounds)),
    )
    what = f"order {PLUGINS:,} plugins with up to {MOST} requirements each; the same order however they are shuffled"
    return [Result("W9", what, "graphlib, its ready sets sorted", mine, other, "s", Goal(1.2))]
