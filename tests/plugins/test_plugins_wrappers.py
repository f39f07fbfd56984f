"""Wrappers surround each plugin's delivery, and what leaves the outermost one decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from datasync_core.plugins.loading import Source, make_plugin
from datasync_core.plugins.plugin import Plugin
from datasync_core.plugins.wrappers import surround, wrappers_of
from tests.plugins.conftest import Writer
from tests.plugins.deliveries import delivery

PLAIN = """
watches = [Watch("a/")]
seen = []
@hookimpl
def on_resync(event):
    seen.append(("resync", event))
    if event == "bad":
        raise ValueError("bad")
"""
TRACE = """
seen = []
@hookimpl(wrapper=True)
def on_resync(event):
    seen.append(("before", event))
    try:
        return (yield)
    finally:
        seen.append(("after", event))
"""


def make(name: str, thing: object) -> Plugin:
    made = make_plugin(name, Source(name, lambda: thing, "acme"), thing)
    assert isinstance(made, Plugin), made
    return made


def test_without_a_wrapper_a_delivery_stays_the_plugins_own_function(write: Writer) -> None:
    module = write(PLAIN)
    (plugin,) = surround([make("a", module)])
    assert plugin.on_resync is module.on_resync


def test_a_wrapper_surrounds_each_plugin_its_own_included(write: Writer) -> None:
    plain, traced = (
        write(PLAIN),
        write(
            PLAIN
            + """
@hookimpl(wrapper=True, specname="on_resync")
def surrounding(event):
    seen.append("in")
    yield
    seen.append("out")
"""
        ),
    )
    first, second = surround([make("a", plain), make("b", traced)])
    assert delivery(first.on_resync)(1) is None
    assert traced.seen == ["in", "out"]
    delivery(second.on_resync)(2)
    assert traced.seen[2:] == ["in", ("resync", 2), "out"]
    assert plain.seen == [("resync", 1)]


def test_the_first_plugins_wrapper_is_outermost_but_for_those_given(write: Writer) -> None:
    order: list[str] = []

    def wrapper(name: str) -> Callable[[object], Iterator[None]]:
        def wrap(event: object) -> Iterator[None]:
            order.append(name)
            yield

        return wrap

    import attrs

    plain = make("a", write(PLAIN))
    one = attrs.evolve(plain, wrappers=(("on_resync", wrapper("one")),))
    two = attrs.evolve(
        plain, name="b", wrappers=(("on_resync", wrapper("two")), ("on_change", wrapper("no")))
    )
    _, second = surround([one, two], [("on_resync", wrapper("given"))])
    delivery(second.on_resync)(1)
    assert order == ["given", "one", "two"]


def test_what_leaves_the_outermost_wrapper_decides(write: Writer) -> None:
    plain = write(PLAIN)
    forgiving = write(
        "@hookimpl(wrapper=True)\ndef on_resync():\n    try:\n        yield\n    except ValueError:\n        pass"
    )
    strict = write("@hookimpl(wrapper=True)\ndef on_resync(event):\n    yield\n    raise LookupError('no')")
    delivery(surround([make("a", plain), make("b", forgiving)])[0].on_resync)("bad")
    with pytest.raises(LookupError):
        delivery(surround([make("a", plain), make("b", strict)])[0].on_resync)("good")
    with pytest.raises(ValueError, match="bad"):
        delivery(surround([make("a", plain), make("b", write(TRACE))])[0].on_resync)("bad")


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_what_is_no_exception_passes_through_wrappers(write: Writer, error: type[BaseException]) -> None:
    trace = write(TRACE)
    plugin = make(
        "a", write(f"watches = [Watch('a')]\n@hookimpl\ndef on_resync(event): raise {error.__name__}")
    )
    with pytest.raises(error):
        delivery(surround([plugin, make("t", trace)])[0].on_resync)(1)
    assert trace.seen == [("before", 1), ("after", 1)]


def test_equal_and_unhashable_plugins_can_be_wrapped(write: Writer) -> None:
    module = write(
        "@define\nclass P:\n    watches = [Watch('a')]\n    @hookimpl\n    def on_resync(self, event): ..."
    )
    trace = write(TRACE)
    for plugin in surround([make("a", module.P), make("b", module.P), make("t", trace)])[:2]:
        delivery(plugin.on_resync)(plugin.name)
    assert [event for when, event in trace.seen if when == "after"] == ["a", "b"]


def test_only_the_hooks_that_a_plugin_has_are_surrounded(write: Writer) -> None:
    (plugin,) = surround([make("t", write(TRACE))])
    assert (plugin.on_resync, plugin.on_change) == (None, None)


def test_an_object_that_is_no_plugin_can_give_wrappers(write: Writer) -> None:
    trace = write(TRACE)
    assert wrappers_of(trace) == (("on_resync", trace.on_resync),)
