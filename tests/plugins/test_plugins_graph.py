"""The order of plugins: right, the same on every start, and plain about what is missing or runs in a circle."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasync_core.plugins.graph import order

Graph = dict[str, tuple[list[str], list[str]]]

NAMES = "abcdefgh"
GRAPHS = st.dictionaries(
    st.sampled_from(NAMES),
    st.tuples(st.lists(st.sampled_from(NAMES), max_size=3), st.lists(st.sampled_from(NAMES), max_size=2)),
)


def test_requires_and_after_come_first() -> None:
    found = order({"a": (["c"], ()), "b": ((), ["a", "nobody"]), "c": ((), ())})
    assert found.names == ("c", "a", "b")
    assert found.requires == {"a": ["c"], "b": (), "c": ()}
    assert found.waiting_for == {}


def test_what_is_missing_is_waited_for_and_named() -> None:
    found = order({"a": (["x", "y", "z", "b"], ()), "b": ((), ())}, {"y": "disabled", "z": "failed"})
    assert found.names == ("b", "a")
    assert found.waiting_for == {"a": "requires x: not installed, requires y: disabled, requires z: failed"}
    assert found.requires["a"] == ("b",)


def test_a_circle_fails_its_members_and_names_them_in_full() -> None:
    found = order(
        {
            "c": (["a"], ()),
            "a": (["b"], ()),
            "b": ((), ["c"]),
            "d": (["a"], ()),
            "e": (["d"], ()),
            "f": ((), ()),
        }
    )
    assert set(found.failed) == {"a", "b", "c"}
    assert all(text.startswith("a → b → c → a ") for text in found.failed.values())
    assert found.names == ("d", "f", "e")
    assert found.waiting_for == {"d": "requires a: failed"}


def test_a_plugin_that_requires_itself_is_a_circle() -> None:
    assert order({"a": (["a"], ())}).failed["a"].startswith("a → a ")


def test_circles_that_share_a_member_fail_together() -> None:
    """A plugin that stands between two circles and is in neither does not fail."""
    two = {"a": (["b"], ()), "b": (["a", "c"], ()), "c": (["b"], ())}
    assert set(order(two).failed) == {"a", "b", "c"}
    bridge = {"a": (["a"], ()), "m": (["a"], ()), "z": (["z", "m"], ())}
    found = order(bridge)
    assert set(found.failed) == {"a", "z"}
    assert found.names == ("m",)


def test_dependents_are_transitive_and_required_by_is_direct() -> None:
    found = order({"a": ((), ()), "b": (["a"], ()), "c": (["b"], ()), "d": ((), ["a"])})
    assert found.required_by("a") == ("b",)
    assert found.dependents("a") == ("b", "c")
    assert found.dependents("c") == ()
    diamond = order({"a": ((), ()), "b": (["a"], ()), "c": (["a"], ()), "d": (["b", "c", "b"], ())})
    assert diamond.dependents("a") == ("b", "c", "d")
    assert diamond.required_by("b") == ("d",)


@pytest.mark.slow
@given(GRAPHS, st.randoms(use_true_random=False))
def test_G5_the_order_is_right_and_does_not_depend_on_discovery(graph: Graph, chance: random.Random) -> None:
    found = order(graph)
    shuffled = list(graph.items())
    chance.shuffle(shuffled)
    again = order({name: (chance.sample(r, len(r)), chance.sample(a, len(a))) for name, (r, a) in shuffled})
    assert (again.names, again.failed, again.waiting_for) == (found.names, found.failed, found.waiting_for)
    assert {*found.names, *found.failed} == set(graph)
    at = {name: number for number, name in enumerate(found.names)}
    for name in found.names:
        for before in (*graph[name][0], *graph[name][1]):
            assert before not in at or at[before] < at[name]
    for name in graph:
        assert (name in found.failed) == (name in reachable(graph, name))


def reachable(graph: Graph, start: str) -> set[str]:
    reached: set[str] = set()
    todo = [start]
    while todo:
        for other in (*graph[todo[-1]][0], *graph[todo.pop()][1]):
            if other in graph and other not in reached:
                reached.add(other)
                todo.append(other)
    return reached


def test_G5_the_order_does_not_depend_on_the_hash_seed() -> None:
    code = (
        "from datasync_core.plugins.graph import order\n"
        "names = [f'p{i}' for i in range(60)]\n"
        "print(order({n: (set(names[:i:7]), set(names[:i:11])) for i, n in enumerate(names)}).names)\n"
        "print(order({n: ({names[i - 1], names[i - 7]}, ()) for i, n in enumerate(names)}).failed)\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(outputs) == 1


def test_a_thousand_plugins_are_ordered() -> None:
    chance = random.Random(7)
    names = [f"p{number:04}" for number in range(1000)]
    graph = {name: (chance.sample(names[:i], min(i, 5)), ()) for i, name in enumerate(names)}
    assert set(order(graph).names) == set(names)
