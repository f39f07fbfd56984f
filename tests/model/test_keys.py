from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasync_core.model.errors import UsageError
from datasync_core.model.keys import (
    Subtree,
    check_key,
    check_path,
    covers,
    is_subtree,
    key_name,
    name_offset,
    outermost,
    shown,
)

TEXT = st.text("ab/:", max_size=6)
PATHS = st.lists(TEXT, max_size=8)

RAW = st.lists(
    st.sampled_from([b"a", b"/", b"\\", b"\\x", b"\0", b"x00", b"ff", b"\xff", b"\x80", "ü".encode()]),
    max_size=6,
).map(b"".join)


@given(RAW, RAW)
def test_two_keys_of_a_store_never_have_one_name(one: bytes, other: bytes) -> None:
    """G: what is done to a key is told of that key, and of no other that looks like it."""
    assert (key_name(one) == key_name(other)) == (one == other)


@given(RAW, RAW)
def test_a_key_is_named_below_the_text_that_it_lies_below(prefix: bytes, rest: bytes) -> None:
    path = prefix.decode(errors="ignore").replace("\0", "")
    assert key_name(path.encode() + rest).startswith(path)


@pytest.mark.parametrize("text", ["a", "ü/ß", r"col\xff", "back\\slash", "\ufffd", "a\0b", ""])
def test_the_name_of_text_is_the_text(text: str) -> None:
    assert key_name(text.encode()) == text


@pytest.mark.parametrize("raw", [b"\xff", b"a/\xc3", b"\xed\xa0\x80", b"\0\x80"])
def test_the_name_of_what_is_not_text_can_be_neither_written_nor_watched(raw: bytes) -> None:
    for check in (check_key, check_path):
        with pytest.raises(UsageError):
            check(key_name(raw))


@given(PATHS, TEXT)
def test_the_outermost_paths_cover_the_same_keys(paths: list[str], key: str) -> None:
    assert any(covers(path, key) for path in outermost(paths)) == any(covers(path, key) for path in paths)


@given(PATHS)
def test_none_of_the_outermost_paths_lies_under_another(paths: list[str]) -> None:
    found = outermost(paths)
    assert found == sorted(set(found))
    assert not any(is_subtree(a) and b.startswith(a) for a in found for b in found if a != b)


def test_a_subtree_never_covers_its_neighbour_or_its_own_directory() -> None:
    assert covers("interfaces/", "interfaces/eth0")
    assert not covers("interfaces/", "interfaces2/eth0")
    assert not covers("interfaces/", "interfaces")


def test_a_path_without_a_slash_covers_one_key() -> None:
    assert covers("cfg/proxy", "cfg/proxy")
    assert not covers("cfg/proxy", "cfg/proxy/a")
    assert not is_subtree("cfg/proxy")


def test_the_empty_path_covers_everything() -> None:
    assert covers("", "a")
    assert covers("", "a/b")
    assert is_subtree("")


def test_a_subtree_that_ends_in_no_slash_is_marked() -> None:
    assert covers(Subtree("agent1:"), "agent1:routes")
    assert covers(Subtree("agent"), "agent1")
    assert outermost([Subtree("agent"), "agent1"]) == ["agent"]


@pytest.mark.parametrize(
    ("path", "key", "name"),
    [
        ("routes/", "routes/10.0.0.0", "10.0.0.0"),
        ("routes/", "routes/a/b", "a/b"),
        ("cfg/proxy", "cfg/proxy", "proxy"),
        ("proxy", "proxy", "proxy"),
        ("", "a/b", "a/b"),
    ],
)
def test_a_name_begins_below_the_directory_of_its_path(path: str, key: str, name: str) -> None:
    assert key[name_offset(path) :] == name


@pytest.mark.parametrize("key", ["a", "a/b", "a//b", " ", "ü", "🎈"])
def test_a_key_that_may_be_written_is_returned(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("", "a key is empty; give one like routes/10.0.0.0"),
        ("/a", "key '/a' starts or ends with a slash; write 'a'"),
        ("a/", "key 'a/' starts or ends with a slash; write 'a'"),
        ("//", "key '//' starts or ends with a slash; write 'routes/10.0.0.0'"),
        ("a\0b", "key 'a\\x00b' holds a NUL character"),
        ("a\udc80", "key 'a\\udc80' is no UTF-8 text"),
        (b"a", "a key is text, got bytes"),
        (None, "a key is text, got NoneType"),
    ],
)
def test_what_is_no_key_is_refused_with_the_right_form(key: str, sentence: str) -> None:
    with pytest.raises(UsageError) as error:
        check_key(key)
    assert str(error.value) == sentence


@pytest.mark.parametrize("path", ["", "a", "a/", "a/b"])
def test_a_path_that_may_be_watched_is_returned(path: str) -> None:
    assert check_path(path) == path


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/a/", "path '/a/' starts with a slash; write 'a/'"),
        ("a\0", "path 'a\\x00' holds a NUL character"),
        (3, "a path is text, got int"),
    ],
)
def test_what_is_no_path_is_refused_with_the_right_form(path: str, sentence: str) -> None:
    with pytest.raises(UsageError) as error:
        check_path(path)
    assert str(error.value) == sentence


@given(st.text())
def test_a_shown_key_is_printable(key: str) -> None:
    """A shown key is one line without control characters; a key that has none is shown unchanged."""
    assert shown(key).isprintable()
    assert (shown(key) == key) == key.isprintable()
    assert shown(shown(key)) == shown(key)
