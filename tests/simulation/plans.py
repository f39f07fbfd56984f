"""Plans that Hypothesis draws, and makes shorter where they fail: fewer steps, fewer plugins, fewer keys."""

from __future__ import annotations

import re
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, find, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from tests.simulation.history import Report, play_plan
from tests.simulation.plan import MOST, Plan

PLUGINS = 6
"""A history has at most so many."""

_NAMES = re.compile(r"""\b(p\d|main|aux)\b|\b[a-f]/(s/)?(t?\d+)?|'[^']*'|"[^"]*"|\([^()]*\)|\d+|None""")
"""What differs between two histories that broke in one way: plugins, stores, keys, values, states."""

_LISTS = re.compile("…(, …)+")


def plans(most: int = 40) -> st.SearchStrategy[Plan]:
    """Any plan of at most so many steps."""
    number = st.integers(0, MOST - 1)
    kept = st.sampled_from([False, True, True, True])
    return st.builds(
        _plan,
        number,
        st.lists(number, max_size=most).map(tuple),
        st.tuples(*[kept] * PLUGINS),
        st.integers(1, 5),
    )


def parts(plan: Plan) -> st.SearchStrategy[Plan]:
    """What is left of a plan where some of it is taken away; nearly always little is, so that it may still fail."""
    kept = st.integers(0, 10**6).map(bool)
    return st.builds(
        lambda steps, stay, keys: _plan(
            plan.seed,
            tuple(step for step, stays in zip(plan.steps, steps, strict=True) if stays),
            tuple(stays and number not in plan.without for number, stays in enumerate(stay)),
            min(keys, plan.keys),
        ),
        st.tuples(*[kept] * len(plan.steps)),
        st.tuples(*[kept] * PLUGINS),
        st.integers(1, 10**6),
    )


def shorten(
    plans: st.SearchStrategy[Plan], fails: Callable[[Report], bool], tries: int = 1000
) -> Report | None:
    """The shortest history among these plans that fails, as Hypothesis finds it; None where none of the tries fails."""
    try:
        plan = find(
            plans,
            lambda plan: fails(play_plan(plan)),
            settings=settings(
                max_examples=tries,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.generate, Phase.shrink],
                suppress_health_check=list(HealthCheck),
            ),
        )
    except NoSuchExample:
        return None
    return play_plan(plan)


def shape(violation: str | None) -> str | None:
    """What broke, without the names of plugins, keys and values: two histories of one mistake have it in common."""
    return None if violation is None else _LISTS.sub("…", _NAMES.sub("…", violation))


def _plan(seed: int, steps: tuple[int, ...], stay: tuple[bool, ...], keys: int) -> Plan:
    return Plan(seed, steps, frozenset(number for number, stays in enumerate(stay) if not stays), keys)
