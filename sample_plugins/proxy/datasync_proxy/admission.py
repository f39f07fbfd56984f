"""Which keys HAProxy takes: all of them are asked about at once, and only where it refuses, half by half."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from datasync_core import Event, Watch
from datasync_proxy.program import Refused

T = TypeVar("T")
Check = Callable[[Mapping[str, T]], None]


def admitted(event: Event, watch: Watch[T], check: Check[T]) -> dict[str, T]:
    """The values to render, by name: the new ones where ``check`` takes them, else the last ones that it took.

    What it refuses is rejected, with its reason. `Refused` is raised where it refuses even what it took before: then
    no key is to blame, but a template, say, or a host that has lost its address.
    """
    values = dict(event[watch])
    try:
        check(values)
    except Refused:
        news = {}
        for change in event.changes(watch):
            if not change.deleted and change.value != change.previous:
                news[change.name] = values.pop(change.name)
                if change.previous is not None:
                    values[change.name] = change.previous
        check(values)
        for name, reason in _admit(values, news, check):
            event.reject(watch.path + name, reason)
    return values


def _admit(values: dict[str, T], news: Mapping[str, T], check: Check[T]) -> Iterator[tuple[str, str]]:
    """Add to ``values`` what is taken of ``news``; names and reasons of the rest."""
    try:
        check({**values, **news})
    except Refused as refused:
        if len(news) <= 1:
            yield from ((name, str(refused)) for name in news)
            return
        items = list(news.items())
        middle = len(items) // 2
        yield from _admit(values, dict(items[:middle]), check)
        yield from _admit(values, dict(items[middle:]), check)
    else:
        values.update(news)
