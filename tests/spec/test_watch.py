from __future__ import annotations

import inspect
from collections.abc import Callable

import attrs
import pytest

from datasync_core.model.errors import PluginError
from datasync_core.spec.watch import Watch

HOLDS = "Watch: path %r holds a %s, but is no pattern"


@attrs.frozen
class Route:
    via: str


def line() -> int:
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


def test_a_watch_says_where_it_was_made() -> None:
    watch, here = Watch("routes/"), line()
    assert watch.where == (__file__, here)
    typed, here = Watch[Route]("routes/", Route), line()
    assert typed.where == (__file__, here)


@pytest.mark.parametrize(
    ("path", "offset", "subtree"),
    [("routes/", 7, True), ("cfg/proxy", 4, False), ("proxy", 0, False), ("", 0, True)],
)
def test_names_begin_below_the_directory(path: str, offset: int, subtree: bool) -> None:
    watch = Watch(path)
    assert (watch.path, watch.offset, watch.is_subtree, watch.store) == (path, offset, subtree, "main")


def test_a_watch_is_shown_as_it_was_written() -> None:
    assert repr(Watch("routes/", Route)) == "Watch('routes/')"
    assert repr(Watch("", store="aux")) == "Watch('', store='aux')"


def test_watches_compare_by_identity() -> None:
    first, second = Watch("a/"), Watch("a/")
    assert first != second
    assert len({first, second}) == 2


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Watch("/routes/"), "Watch: path '/routes/' starts with a slash; write 'routes/'"),
        (lambda: Watch("routes/*"), f"{HOLDS % ('routes/*', '*')}: write 'routes/' for all keys below it"),
        (lambda: Watch("a/b?/c/"), f"{HOLDS % ('a/b?/c/', '?')}: write 'a/' for all keys below it"),
        (lambda: Watch("**"), f"{HOLDS % ('**', '*')}: write '' for all keys below it"),
        (lambda: Watch("routes/ "), "Watch: path 'routes/ ' has blanks around it: write 'routes/'"),
        (
            lambda: Watch("\tcfg/proxy\n"),
            "Watch: path '\\tcfg/proxy\\n' has blanks around it: write 'cfg/proxy'",
        ),
        (lambda: Watch("a\0"), "Watch: path 'a\\x00' holds a NUL character"),
        (
            lambda: Watch(b"a/"),  # type: ignore[call-overload]  # wrong on purpose
            "Watch: a path is text, got bytes",
        ),
        (lambda: Watch("a/", store=""), "Watch('a/'): store= takes the name of a store, got ''"),
        (
            lambda: Watch("a/", store=3),  # type: ignore[call-overload]  # wrong on purpose
            "Watch('a/'): store= takes the name of a store, got 3",
        ),
        (
            lambda: Watch("a/", codec="json"),  # type: ignore[call-overload]  # wrong on purpose
            "Watch('a/'): codec= takes a callable from bytes to a value, got 'json'",
        ),
    ],
)
def test_what_can_never_work_is_refused_at_once(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(PluginError) as error:
        make()
    assert str(error.value) == sentence


@pytest.mark.parametrize("path", ["routes/[::1]:80", "a b/c d", "c++/", "50%/", "#1/"])
def test_a_path_that_a_key_may_have_is_taken(path: str) -> None:
    assert Watch(path).path == path


def test_a_type_is_looked_at_when_its_codec_is_first_asked_for() -> None:
    watch = Watch("a/", object)
    with pytest.raises(PluginError, match="object"):
        watch.codec  # noqa: B018 - asking is the point


def test_a_codec_is_made_once() -> None:
    watch = Watch("a/", Route)
    assert watch.codec is watch.codec
    assert watch.codec.decode(b'{"via": "eth0"}') == Route("eth0")
    assert Watch("a/", codec=len).codec.decode(b"abc") == 3


def test_without_a_type_values_are_any_json() -> None:
    assert Watch("a/").codec.decode(b'{"a": 1}') == {"a": 1}
