"""``python -m benchmarks.growth keys|plugins|watches|depth …``: how costs grow, as plots in docs/performance/.

Each point is the best of some rounds; the points take turns, so that a slow moment of the machine bends no line.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from attrs import frozen

from benchmarks import loading
from benchmarks.apart import apart
from benchmarks.plot import svg
from benchmarks.updates import KEYS, WATCHES, Counting, Driven, plugins, store, updates
from datasync_core import Watch
from datasync_core.model.entries import Entry

PLOTS = Path(__file__).parents[1] / "docs" / "performance"
ROUNDS = 5
UPDATES = 20_000
BATCH = 100


@frozen
class Growth:
    """A plot: what grows, and for each line what one point costs, in microseconds."""

    title: str
    across: str
    points: Sequence[int]
    lines: Mapping[str, Callable[[int], float]]


def update_among_keys(keys: int) -> float:
    """Of an update told to three plugins."""
    counting = plugins(WATCHES, bytes, decode=False)
    driven = Driven(counting, store(keys=keys))
    gc.collect()
    return driven.drive(updates(UPDATES, keys=keys), BATCH) / UPDATES * 1e6


def load_of_keys(keys: int) -> float:
    """Of a key in the first load, looked at by a plugin."""
    return loading.load(keys)[1] / keys * 1e6


def resync_of_keys(keys: int) -> float:
    """Of a key in a resync that differs a little."""
    return loading.resync(keys) / keys * 1e6


def update_of_one_of(count: int) -> float:
    """Of an update that concerns one plugin among many."""
    counting = [Counting([Watch(f"p{number}/", bytes)], decode=False) for number in range(count)]
    entries = [Entry(f"p{number % count}/{number:06}", b"x" * 100, number + 1) for number in range(KEYS)]
    driven = Driven(counting, [entries])
    changed = [
        Entry(entries[number * 7919 % KEYS].key, b"%0100d" % number, KEYS + 1 + number)
        for number in range(UPDATES)
    ]
    seconds = driven.drive(changed, BATCH)
    assert sum(one.count for one in counting) == UPDATES
    return seconds / UPDATES * 1e6


def delivery_to_each_of(count: int) -> float:
    """Of a delivery where an update concerns all plugins."""
    return _deliveries([Counting([Watch("cfg/", bytes)], decode=False) for _ in range(count)])


def delivery_in_a_chain(count: int) -> float:
    """The same where each plugin requires the one before."""
    counting = [Counting([Watch("cfg/", bytes)], decode=False) for _ in range(count)]
    for number, one in enumerate(counting[1:]):
        one.requires = [f"p{number}"]
    return _deliveries(counting)


def update_at_the_end_of_a_chain(count: int) -> float:
    """Of an update that concerns the last of plugins of which each requires the one before."""
    counting = [Counting([Watch(f"p{number}/", bytes)], decode=False) for number in range(count)]
    for number, one in enumerate(counting[1:]):
        one.requires = [f"p{number}"]
    name = f"p{count - 1}/{{:06}}".format
    driven = Driven(counting, [[Entry(name(number), b"x" * 100, number + 1) for number in range(KEYS)]])
    changed = [
        Entry(name(number * 7919 % KEYS), b"%0100d" % number, KEYS + 1 + number) for number in range(UPDATES)
    ]
    return driven.drive(changed, BATCH) / UPDATES * 1e6


def update_among_watches(count: int) -> float:
    """Of an update told to three plugins."""
    counting = plugins(count, bytes, decode=False)
    return Driven(counting, store()).drive(updates(UPDATES), BATCH) / UPDATES * 1e6


def _deliveries(counting: Sequence[Counting]) -> float:
    driven = Driven(counting, store(keys=1000))
    count = max(UPDATES // len(counting), 2 * BATCH)
    seconds = driven.drive(updates(count, keys=1000), BATCH)
    assert sum(one.count for one in counting) == count * len(counting)
    return seconds / count / len(counting) * 1e6


GROWTHS: Mapping[str, Growth] = {
    "keys": Growth(
        "Cost by the number of keys",
        "keys",
        (1000, 10_000, 100_000, 1_000_000),
        {
            "an update, three plugins": update_among_keys,
            "a key of the first load": load_of_keys,
            "a key of a resync": resync_of_keys,
        },
    ),
    "plugins": Growth(
        "Cost by the number of plugins",
        "plugins",
        (1, 3, 10, 30, 100, 300, 1000),
        {"an update of one of them": update_of_one_of, "a delivery to each of them": delivery_to_each_of},
    ),
    "watches": Growth(
        "Cost by the number of watches",
        "watches (51 of them concern the keys)",
        (51, 100, 300, 1000, 3000, 10_000),
        {"an update, three plugins": update_among_watches},
    ),
    "depth": Growth(
        "Cost by the depth of the graph",
        "plugins, each requires the one before",
        (1, 3, 10, 30, 100, 300),
        {
            "a delivery to each of them": delivery_in_a_chain,
            "an update of the last one": update_at_the_end_of_a_chain,
        },
    ),
}


def measure(name: str, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """The lines of a plot."""
    growth = GROWTHS[name]
    best: dict[tuple[str, int], float] = {}
    for number in range(1, rounds + 1):
        for line, cost in growth.lines.items():
            for point in growth.points:
                print(f"{name}: round {number} of {rounds}, {line}, {point:,}", file=sys.stderr, flush=True)
                gc.collect()
                best[line, point] = min(cost(point), best.get((line, point), float("inf")))
    return {line: [(point, best[line, point]) for point in growth.points] for line in growth.lines}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and plot."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(GROWTHS)}; none: all")
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, metavar="N", help="of each point; the best counts"
    )
    parser.add_argument("--to", type=Path, default=PLOTS, metavar="FOLDER", help="where the plots go")
    options = parser.parse_args(arguments)
    for name in options.names:
        if name not in GROWTHS:
            parser.error(f"there is no plot {name}; there are {', '.join(GROWTHS)}")
    options.to.mkdir(parents=True, exist_ok=True)
    for name in options.names or [*GROWTHS]:
        growth = GROWTHS[name]
        lines = apart(measure, name, options.rounds)
        (options.to / f"{name}.svg").write_text(svg(growth.title, growth.across, "µs", lines))
        for line, points in lines.items():
            print(f"{name}: {line}: " + ", ".join(f"{point:,g}: {cost:.2f} µs" for point, cost in points))


if __name__ == "__main__":
    main()
