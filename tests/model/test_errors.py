from __future__ import annotations

import inspect
import re

from datasync_core.model import errors


def _drawn() -> dict[str, str]:
    """Class → parent, as the docstring draws the tree."""
    found: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"([ │├└─]*)([A-Z]\w+)", line)
        if match is None or not line.startswith("    "):
            continue
        depth = len(match[1])
        if "Reject, Retry" in line:
            found |= {"Reject": "Exception", "Retry": "Exception"}
            continue
        while above and above[-1][0] >= depth:
            above.pop()
        found[match[2]] = above[-1][1] if above else "Exception"
        above.append((depth, match[2]))
    return found


def test_the_tree_that_is_drawn_is_the_tree_of_the_classes() -> None:
    classes = {
        name: kind.__bases__[0].__name__
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, Exception)
    }
    assert _drawn() == classes


def test_signals_of_plugins_are_no_errors_of_ours() -> None:
    assert not issubclass(errors.Reject, errors.DatasyncError)
    assert not issubclass(errors.Retry, errors.DatasyncError)


def test_signals_carry_what_the_plugin_said() -> None:
    assert (
        errors.Reject("no such gateway").reason == str(errors.Reject("no such gateway")) == "no such gateway"
    )
    retry = errors.Retry("busy", delay=3.0)
    assert (retry.reason, retry.delay, str(retry)) == ("busy", 3.0, "busy")
    assert errors.Retry().delay is None
    assert errors.Reject().reason
    assert errors.Retry().reason


def test_an_expired_event_says_what_to_do() -> None:
    assert str(errors.EventExpired()) == (
        "this event is over: it is valid only inside the hook, so copy what you keep"
    )
