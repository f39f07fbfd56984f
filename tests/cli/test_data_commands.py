"""`get`, `list`, `put`, `delete`: one store, one command."""

from __future__ import annotations

import pytest

from tests.cli.command import Place

pytestmark = pytest.mark.slow

DB = "--store=sqlite:data.db"


def test_put_prints_the_revision_and_get_the_bytes(place: Place) -> None:
    first = place.do("put", "a/b", "vålue", DB)
    assert (first.code, first.out, first.err) == (0, "1\n", "")
    assert place.do("put", "a/b", "two", DB, "--json").json() == {"key": "a/b", "revision": 2}
    got = place.do("get", "a/b", DB)
    assert (got.code, got.bytes) == (0, b"two")
    assert place.do("get", "a/b", DB, "--json").json() == {"key": "a/b", "text": "two", "revision": 2}


@pytest.mark.parametrize("value", ["-1", "-", "-x", "", " ", "a=b", "ü\n"])
def test_put_takes_any_value(place: Place, value: str) -> None:
    given = place.do("put", "k", value, DB, stdin=b"from stdin")
    assert given.code == 0, given
    expected = b"from stdin" if value == "-" else value.encode()
    assert place.do("get", "k", DB).bytes == expected


def test_put_takes_a_value_with_dashes_after_two_dashes(place: Place) -> None:
    """Refuses a misspelt option, and does not store it as a value."""
    assert place.do("put", "k", DB, "--", "--ttl").code == 0
    assert place.do("get", "k", DB).bytes == b"--ttl"
    wrong = place.do("put", "k", "--tll=5", DB)
    assert wrong.code == 2
    assert "--tll" in wrong.err
    assert "--ttl" in wrong.err
    assert place.do("get", "k", DB).bytes == b"--ttl"


def test_put_takes_a_file_byte_for_byte(place: Place) -> None:
    content = bytes(range(256))
    (place.folder / "value.bin").write_bytes(content)
    assert place.do("put", "k", "@value.bin", DB).code == 0
    assert place.do("get", "k", DB).bytes == content
    assert set(place.do("get", "k", DB, "--json").json()) == {"key", "base64", "revision"}
    missing = place.do("put", "k", "@no.bin", DB)
    assert (missing.code, missing.out) == (2, "")
    assert "no.bin cannot be read (No such file or directory)" in missing.err


def test_expect_is_a_compare_and_set(place: Place) -> None:
    assert place.do("put", "k", "1", DB, "--expect", "0").code == 0
    refused = place.do("put", "k", "2", DB, "--expect", "0")
    assert refused.code == 1
    assert refused.err.startswith("datasync-host: ")
    assert place.do("put", "k", "2", DB, "--expect", "1").code == 0
    assert place.do("delete", "k", DB, "--expect", "1").code == 1
    assert place.do("get", "k", DB).bytes == b"2"
    assert place.do("delete", "k", DB, "--expect", "2").code == 0
    assert place.do("get", "k", DB).code == 1


def test_ttl_is_handed_on(place: Place) -> None:
    assert place.do("put", "k", "v", DB, "--ttl", "3600").code == 0
    wrong = place.do("put", "k", "v", DB, "--ttl", "-1")
    assert wrong.code == 2
    assert "seconds above 0" in wrong.err
    assert place.do("put", "k", "short", DB, "--ttl", "0.001").code == 0
    assert place.do("get", "k", DB).code == 1


def test_get_of_nothing_is_1_and_says_so(place: Place) -> None:
    place.do("put", "a", "1", DB)
    nothing = place.do("get", "b", DB)
    assert (nothing.code, nothing.out, nothing.err) == (1, "", "datasync-host: there is no key b\n")


def test_list_is_sorted_and_keeps_to_its_path(place: Place) -> None:
    (place.folder / "data.json").write_text('{"b/2": "x\\ty", "b/1": 1, "bb": "", "a": [1]}')
    place.do("load", "data.json", DB)
    assert place.do("list", DB).lines == ["a", "b/1", "b/2", "bb"]
    assert place.do("list", "b/", DB).lines == ["b/1", "b/2"]
    assert place.do("list", "b", DB).lines == []
    assert place.do("list", "a", DB).lines == ["a"]
    assert place.do("list", "b/", DB, "--values").lines == ["b/1\t1", "b/2\tx\\ty"]
    listed = place.do("list", "b/2", DB, "--values", "--json").json()
    assert listed == {"key": "b/2", "text": "x\ty", "revision": 1}


def test_delete_removes_several_and_minds_no_absent_one(place: Place) -> None:
    (place.folder / "data.json").write_text('{"a": "1", "b": "2", "c": "3"}')
    place.do("load", "data.json", DB)
    assert place.do("delete", "a", "b", "a", "nothing", DB).lines == ["2"]
    assert place.do("list", DB).lines == ["c"]
    assert place.do("delete", "nothing", DB).code == 0
    assert place.do("delete", "a", "b", "--expect", "1", DB).code == 2


@pytest.mark.parametrize("command", ["get k", "list", "dump", "watch"])
def test_reading_makes_no_database(place: Place, command: str) -> None:
    if command == "watch":
        watching = place.start("watch", "--store", "sqlite:none.db")
        watching.until("there is no")
        watching.end()
    else:
        answer = place.do(*command.split(), "--store", "sqlite:none.db")
        assert answer.code == 1
        assert "there is no" in answer.err
    assert place.names() == set()


def test_the_store_is_the_option_else_the_main_one_else_the_database_here(place: Place) -> None:
    place.do("put", "where", "other", "--store", "sqlite:other.db")
    place.do("put", "where", "here", "--store", "sqlite:datasync.db")
    place.do("put", "where", "main", "--store", "sqlite:main.db")
    assert place.do("get", "where").out == "here"
    place.write("datasync.toml", '[stores]\nmain = "sqlite:main.db"\nspare = "sqlite:other.db"\n')
    assert place.do("get", "where").out == "main"
    assert place.do("get", "where", "--store", "spare").out == "other"
    assert place.do("get", "where", "--store", "sqlite:datasync.db").out == "here"
    place.write("deep/other.toml", '[stores]\nx = "sqlite:../other.db"\n')
    assert place.do("get", "where", "-c", "deep/other.toml").out == "other"
    wrong = place.do("get", "where", "--store", "spar")
    assert wrong.code == 3
    assert "spare" in wrong.err


def test_a_key_that_cannot_be_read_is_named_and_the_others_are_there(place: Place) -> None:
    import sqlite3

    place.do("put", "good", "1", DB)
    connection = sqlite3.connect(place.folder / "data.db")
    with connection:
        row = "INSERT INTO kv (key, value, rev) VALUES (CAST(x'62ff' AS TEXT), x'31', 1)"
        connection.execute(row)
    connection.close()
    listed = place.do("list", DB)
    assert (listed.code, listed.lines) == (0, ["b\\x00\\xff", "good"])
    assert "no UTF-8" in listed.err
    dumped = place.do("dump", DB)
    assert dumped.code == 1
    assert dumped.lines == ['{"key": "good", "text": "1"}']
    assert "lacks 1 of 2 keys" in dumped.err
