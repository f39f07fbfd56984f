"""Each key of a TOML text has the line that names it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasync_core.config.lines import key_lines


def lines(text: str) -> dict[str, int]:
    text = dedent(text).lstrip("\n")
    tomllib.loads(text)
    return {"/".join(path): line for path, line in key_lines(text).items()}


def test_tables_and_keys_have_their_lines() -> None:
    assert lines("""
        # a comment with [brackets] and = signs
        top = 1

        [host]   # another
        name = "x" # = [no.table]
        retry.first = 1
        [ plugins . "my plugin" ]
        'quoted.key' = true
    """) == {
        "top": 2,
        "host": 4,
        "host/name": 5,
        "host/retry": 6,
        "host/retry/first": 6,
        "plugins": 7,
        "plugins/my plugin": 7,
        "plugins/my plugin/quoted.key": 8,
    }


def test_keys_after_values_of_many_lines_have_their_lines() -> None:
    assert lines('''
        text = """
        [not.a.table]
        not = "a key" \\""" still
        """
        raw = \'\'\'
        ]}" # no comment
        \'\'\'
        list = [
          "a]", # ]
          { inside = 1 },
          [1, 2],
        ]
        last = 1979-05-27 07:32:00
        very = -1.5e3
    ''') == {"text": 1, "raw": 5, "list": 8, "last": 13, "very": 14}


@pytest.mark.parametrize("quotes", ['""""two""""', '"""two"""""', "'''two'''''", '""', "''", '"""\n"""'])
def test_strings_that_end_in_quotes_end_where_toml_says(quotes: str) -> None:
    text = f"a = {quotes}\nb = 1\n"
    assert key_lines(text)["b",] == text.count("\n")


def test_inline_tables_name_their_keys_and_arrays_of_tables_count_as_one() -> None:
    assert lines("""
        [plugins]
        edge = { use = "haproxy", config = { "a b" = {c=1}, d.e = 2 } }
        [[items]]
        x = 1
        [[items]]
        x = 2
        y = 3
    """) == {
        "plugins": 1,
        "plugins/edge": 2,
        "plugins/edge/use": 2,
        "plugins/edge/config": 2,
        "plugins/edge/config/a b": 2,
        "plugins/edge/config/a b/c": 2,
        "plugins/edge/config/d": 2,
        "plugins/edge/config/d/e": 2,
        "items": 3,
        "items/x": 4,
        "items/y": 7,
    }


def test_windows_line_ends_count_once() -> None:
    assert key_lines("a = 1\r\n\r\n[b]\r\nc = '''\r\n'''\r\nd = 1\r\n")[("b", "d")] == 6


def test_a_text_that_is_not_understood_has_no_lines_rather_than_wrong_ones() -> None:
    assert key_lines("a = 1\nb = = 2\n") == {}
    assert key_lines("a = 1\nb 2\n") == {}


KEYS = st.one_of(
    st.from_regex(r"[a-z0-9_-]{1,4}", fullmatch=True), st.text("ab .\"'#[]={}\n\u00e9\\", max_size=4)
)
TEXTS = st.text("ab\"'#[]={}\n,\\ ", max_size=12)
LEAVES = st.one_of(st.integers(), st.booleans(), TEXTS, st.lists(TEXTS, max_size=3), st.dates())
TREES = st.recursive(LEAVES, lambda below: st.dictionaries(KEYS, below, max_size=3), max_leaves=12)


def basic(text: str) -> str:
    return (
        '"'
        + "".join(c if c not in '"\\\n' else {'"': '\\"', "\\": "\\\\", "\n": "\\n"}[c] for c in text)
        + '"'
    )


def multiline(text: str) -> str:
    return '"""\n' + text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"') + '\\n\n"""'


def value(item: object, *, inline: bool) -> str:
    if isinstance(item, bool):
        return str(item).lower()
    if isinstance(item, str):
        return basic(item) if inline or len(item) % 2 else multiline(item)
    if isinstance(item, list):
        gap = " " if inline else " # ]\n  "
        return "[" + gap + "".join(f"{value(part, inline=inline)},{gap}" for part in item) + "]"
    if isinstance(item, Mapping):
        return "{ " + ", ".join(f"{basic(k)} = {value(v, inline=True)}" for k, v in item.items()) + " }"
    return str(item)


def written(tree: Mapping[str, object], path: tuple[str, ...] = ()) -> Iterator[str]:
    """The tree as TOML; every table whose first letter is odd stands inline."""
    tables = {k: v for k, v in tree.items() if isinstance(v, Mapping) and len(k) % 2}
    for name, item in tree.items():
        if name not in tables:
            yield f"{basic(name)} = {value(item, inline=isinstance(item, Mapping))}"
    for name, table in tables.items():
        yield f"[ {'.'.join(map(basic, (*path, name)))} ] # [x]"
        yield from written(table, (*path, name))


def paths(tree: Mapping[str, object], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, item in tree.items():
        yield (*path, name)
        if isinstance(item, Mapping):
            yield from paths(item, (*path, name))


@pytest.mark.slow
@given(st.dictionaries(KEYS, TREES, max_size=5))
def test_every_key_of_any_document_is_found_on_a_line_that_names_it(tree: Mapping[str, object]) -> None:
    text = "\n".join(written(tree)) + "\n"
    assert set(paths(tomllib.loads(text))) == set(paths(tree))
    found = key_lines(text)
    assert set(found) == set(paths(tree))
    by_line = text.split("\n")
    for path, line in found.items():
        assert basic(path[-1]) in by_line[line - 1]
