from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasync_core.model.entries import Batch, Delete, Entry, Gone, Put
from datasync_core.model.errors import ConfigError, Conflict, Unsupported
from datasync_core.model.keys import covers, is_subtree
from datasync_core.model.url import Url
from datasync_core.spec.transport import Subscription, Transport
from datasync_core.sync.store import Store
from datasync_transports.memory import MemoryTransport

TEXT = st.text("ab/:.", max_size=8)


def read(subscription: Subscription) -> dict[str, bytes]:
    return {entry.key: entry.value for chunk in subscription.snapshot() for entry in chunk}


@given(TEXT, st.sampled_from("/:.→"), TEXT, TEXT)
def test_every_key_has_one_name_on_each_side(prefix: str, separator: str, key: str, other: str) -> None:
    transport = MemoryTransport()
    store = Store("main", transport, prefix=prefix, separator=separator)
    assert (store.key(key) == store.key(other)) == (key == other)
    store.writer().commit([Put(key, b"v")])
    assert transport.entries == {store.key(key): b"v"}
    assert store.key(key).startswith(prefix)
    assert read(store.subscribe([""])) == {key: b"v"}


@given(TEXT, st.sampled_from("/:."), st.lists(TEXT, min_size=1, max_size=6), TEXT)
def test_a_path_covers_the_same_keys_through_a_prefix(
    prefix: str, separator: str, keys: list[str], path: str
) -> None:
    transport = MemoryTransport()
    store = Store("main", transport, prefix=f"p{prefix}", separator=separator)
    store.writer().commit([Put(key, b"v") for key in dict.fromkeys(keys)])
    transport.writer().commit([Put("zz", b"foreign"), Put(f"zp{prefix}a", b"foreign")])
    found = {key for key in read(store.subscribe([path])) if covers(path, key)}
    assert found == {key for key in keys if covers(path, key)}
    if is_subtree(path):
        assert found == set(read(store.subscribe([path])))


def test_a_prefix_that_ends_in_no_slash_is_a_subtree_too() -> None:
    transport = MemoryTransport()
    transport.writer().commit([Put("agent1:routes:a", b"1"), Put("agent2:routes:a", b"2")])
    store = Store("main", transport, prefix="agent1:", separator=":")
    assert read(store.subscribe([""])) == {"routes/a": b"1"}
    assert read(store.subscribe(["routes/"])) == {"routes/a": b"1"}
    assert read(store.subscribe(["routes/a"])) == {"routes/a": b"1"}


def test_snapshot_stream_and_resume_are_seen_through_the_prefix() -> None:
    transport = MemoryTransport()
    store = Store("main", transport, prefix="me/", separator=".")
    writer = store.writer()
    writer.commit([Put("a/b", b"1"), Put("x", b"0")])
    assert transport.entries == {"me/a.b": b"1", "me/x": b"0"}
    subscription = store.subscribe(["a/"])
    assert read(subscription) == {"a/b": b"1"}
    cursor = subscription.cursor
    assert cursor is not None
    writer.commit([Put("a/c", b"2"), Delete("a/b")])
    transport.writer().commit([Put("foreign/a.c", b"3")])
    expected = Batch([Entry("a/c", b"2", 2), Gone("a/b", 2)])
    assert subscription.revision == 1
    assert subscription.poll(0.0) == expected
    assert subscription.revision == 3
    assert subscription.poll(0.0) is None
    again = store.subscribe(["a/"])
    again.resume(cursor)
    assert again.poll(0.0) == expected
    transport.clear()
    assert again.poll(0.0) == Batch([], cleared=True)
    subscription.close()
    again.close()


def test_a_wake_reaches_the_store_through_the_prefix() -> None:
    subscription = Store("main", MemoryTransport(), prefix="me/").subscribe([""])
    assert read(subscription) == {}
    subscription.wake()
    assert subscription.poll(60.0) is None


def test_expectations_are_of_the_keys_in_the_store() -> None:
    transport = MemoryTransport()
    transport.writer().commit([Put("a", b"foreign")])
    writer = Store("main", transport, prefix="me/").writer()
    revision = writer.commit([Put("a", b"1")], expect={"a": 0})
    with pytest.raises(Conflict):
        writer.commit([Put("a", b"2")], expect={"a": 0})
    writer.commit([Put("a", b"2", ttl=60.0)], expect={"a": revision})
    assert transport.entries == {"a": b"foreign", "me/a": b"2"}
    writer.close()


def test_without_prefix_and_separator_nothing_stands_between() -> None:
    transport = MemoryTransport()
    store = Store("main", transport)
    assert type(store.subscribe([""])) is type(transport.subscribe([""]))
    assert type(store.writer()) is type(transport.writer())
    assert store.key("a/b") == "a/b"
    assert store.capabilities is transport.capabilities


@pytest.mark.parametrize("separator", ["", "::"])
def test_a_separator_is_one_character(separator: str) -> None:
    with pytest.raises(ConfigError) as error:
        Store("aux", MemoryTransport(), separator=separator)
    assert str(error.value) == f"store aux: separator is one character, got {separator!r}"


def test_a_store_that_is_read_only_says_so() -> None:
    class ReadOnly(MemoryTransport):
        writer = Transport.writer

    with pytest.raises(Unsupported, match="^memory: is read-only$"):
        Store("main", ReadOnly(), prefix="me/").writer()


def test_a_store_is_shown_by_its_name_and_url() -> None:
    assert repr(Store("aux", MemoryTransport())) == "<store aux: memory:>"


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({}, "memory:there"),
        ({"prefix": "agent1:", "separator": ":"}, "memory:there?prefix=agent1:&separator=:"),
        ({"prefix": "a b&c/"}, "memory:there?prefix=a%20b%26c/"),
        ({"prefix": "hidden", "separator": ".", "secret": {"prefix"}}, "memory:there?prefix=***&separator=."),
    ],
)
def test_its_url_shows_what_becomes_of_its_keys(options: dict[str, Any], shown: str) -> None:
    assert Store("main", MemoryTransport(Url.parse("memory:there")), **options).url == shown


def test_its_url_shows_them_behind_the_transports_own_options() -> None:
    transport = MemoryTransport()
    transport.url = Url("memory", path="there", query={"password": "hidden"})
    store = Store("main", transport, prefix="agent1/")
    assert (store.url, repr(store)) == (
        "memory:there?password=***&prefix=agent1/",
        "<store main: memory:there?password=***&prefix=agent1/>",
    )
