"""What of a tree of nodes is an entry, what a directory, and what neither can be known to be."""

from __future__ import annotations

import pytest
from kazoo.security import make_digest_acl

from datasync_core.transport import (
    AuthenticationFailed,
    Conflict,
    ConnectionLost,
    Entry,
    Gone,
    Misconfigured,
    Put,
    Subtree,
    Transport,
    Unsupported,
)
from datasync_transports.zookeeper import ZookeeperTransport
from tests.servers.zookeeper import ZooKeeper
from tests.transports.stores import apply, drain, follow, keys, read, values
from tests.transports.zookeepers import Zoo, until_lost

pytestmark = pytest.mark.server

BOBS = [make_digest_acl("bob", "bob", all=True)]


def entries(transport: Transport, *paths: str) -> dict[str, Entry]:
    subscription = transport.subscribe(paths)
    try:
        return {entry.key: entry for chunk in subscription.snapshot() for entry in chunk}
    finally:
        subscription.close()


def test_a_node_without_data_is_a_directory_and_one_with_data_may_be_both(zoo: Zoo) -> None:
    zoo.outside.commit({"a/b": b"1", "a": b"2"})
    client, root = zoo.outside.client, zoo.outside.root
    subscription = zoo.subscribe("")
    held = read(subscription)
    assert values(held) == {"a": b"2", "a/b": b"1"}
    client.set(f"{root}/a", b"")
    follow(subscription, held, lambda: values(held) == {"a/b": b"1"})
    client.create(f"{root}/c", b"")
    client.create(f"{root}/c/d", b"3")
    follow(subscription, held, lambda: values(held) == {"a/b": b"1", "c/d": b"3"})
    client.delete(f"{root}/c", recursive=True)
    follow(subscription, held, lambda: values(held) == {"a/b": b"1"})


def test_a_node_deleted_and_made_anew_at_the_same_version_is_a_change(zoo: Zoo) -> None:
    zoo.outside.put("a", b"1")
    subscription = zoo.subscribe("")
    held = read(subscription)
    before = held["a"][1]
    zoo.outside.delete("a")
    zoo.outside.put("a", b"1")
    follow(subscription, held, lambda: held.get("a", (b"", 0))[1] > before)


def test_a_delete_has_a_revision_between_what_was_and_what_comes(zoo: Zoo) -> None:
    first = zoo.commit(Put("a", b"1"))
    subscription = zoo.subscribe("")
    read(subscription)
    zoo.outside.delete("a")
    (gone,) = (change for batch in drain(subscription) for change in batch.changes)
    second = zoo.commit(Put("a", b"1"))
    assert isinstance(gone, Gone)
    assert first < gone.revision < second


def test_only_what_the_paths_can_cover_is_walked(zoo: Zoo) -> None:
    zoo.outside.commit(
        {"agent-1/x": b"1", "agent-2/y": b"1", "agents": b"1", "other/x": b"1", "deep/er/x": b"1"}
    )
    client, root = zoo.outside.client, zoo.outside.root
    client.create(f"{root}/hidden", acl=BOBS)
    client.add_auth("digest", "bob:bob")
    client.create(f"{root}/hidden/x", b"1")
    found = entries(zoo.transport(), Subtree("agent-"), "deep/er/", "other/x")
    assert sorted(found) == ["agent-1/x", "agent-2/y", "deep/er/x", "other/x"]


def test_what_is_watched_need_not_be_there_yet(zoo: Zoo) -> None:
    subscription = zoo.subscribe("routes/eth/", "cfg/proxy")
    held = read(subscription)
    assert held == {}
    zoo.commit(Put("routes/eth/0", b"1"), Put("cfg/proxy", b"2"), Put("cfg/other", b"3"))
    follow(subscription, held, lambda: values(held) == {"routes/eth/0": b"1", "cfg/proxy": b"2"})


def test_zookeeper_s_own_directory_is_left_out(zoo: Zoo) -> None:
    top = Zoo(zoo.outside.client, zoo.url.removesuffix(zoo.outside.root), "")
    zoo.outside.put("a", b"1")
    transport = top.transport()
    assert not [key for key in entries(transport, "") if key.startswith("zookeeper")]
    assert f"{zoo.outside.root[1:]}/a" in entries(transport, "")
    with pytest.raises(Misconfigured, match="is ZooKeeper's own"):
        transport.subscribe(["zookeeper/config"])
    transport.close()


@pytest.mark.parametrize("key", ["a//b", "a/./b", "..", "a/\x01", "a/\ue000", "a🎈"])
def test_keys_that_no_node_can_have_are_refused_in_a_sentence(zoo: Zoo, key: str) -> None:
    with pytest.raises(Unsupported, match="no node is called"):
        zoo.commit(Put(key, b"1"))
    with pytest.raises(Misconfigured, match="nothing can lie under"):
        zoo.subscribe(f"{key}/")


def test_a_hidden_node_is_an_error_of_its_own_and_not_a_delete(zoo: Zoo) -> None:
    revision = zoo.commit(Put("a", b"1"), Put("b", b"1"))
    client, root = zoo.outside.client, zoo.outside.root
    client.set_acls(f"{root}/a", BOBS)
    found = entries(zoo.transport(), "")
    assert found["b"] == Entry("b", b"1", revision)
    assert found["a"] == Entry("a", b"", revision, f"the ACL of {root}/a hides it from this user")
    client.add_auth("digest", "bob:bob")
    client.set(f"{root}/a", b"2")
    assert entries(zoo.user("bob"), "")["a"].value == b"2"


def test_hidden_nodes_among_more_than_one_request_are_named_each(zoo: Zoo) -> None:
    """What is asked of a hidden node comes after answers that are on their way already: none of them gets lost."""
    zoo.outside.commit({f"{number:04}": b"1" for number in range(1200)})
    client, root = zoo.outside.client, zoo.outside.root
    for number in (0, 1, 600, 1199):
        client.set_acls(f"{root}/{number:04}", BOBS)
    found = entries(zoo.transport(), "")
    assert sorted(found) == [f"{number:04}" for number in range(1200)]
    assert sorted(key for key, entry in found.items() if entry.error) == ["0000", "0001", "0600", "1199"]


def test_a_hidden_directory_fails_the_store_for_what_lies_below_is_unknown(zoo: Zoo) -> None:
    client, root = zoo.outside.client, zoo.outside.root
    zoo.commit(Put("dir/a", b"1"))
    client.set_acls(f"{root}/dir", BOBS)
    with pytest.raises(Misconfigured, match=f"the ACL of {root}/dir hides what lies below it"):
        entries(zoo.transport(), "")
    with pytest.raises(AuthenticationFailed, match=f"the ACL of {root}/dir forbids READ"):
        entries(zoo.transport(), "dir/")
    assert sorted(entries(zoo.transport(), "dir/a")) == ["dir/a"]
    assert sorted(entries(zoo.user("bob"), "")) == ["dir/a"]


def test_where_nothing_may_be_known_of_a_hidden_node_what_was_seen_counts(
    newest_zookeeper: ZooKeeper,
) -> None:
    """ZooKeeper 3.9.3 does not say whether a hidden node has data or anything below it."""
    with newest_zookeeper.using() as client:
        zoo = Zoo(client, newest_zookeeper.url, "/apps")
        zoo.commit(Put("a", b"1"), Put("dir/a", b"1"), Put("b", b"1"))
        transport = zoo.transport()
        assert sorted(entries(transport, "")) == ["a", "b", "dir/a"]
        client.set_acls("/apps/a", BOBS)
        found = entries(transport, "")
        assert found["a"] == Entry("a", b"", 0, "the ACL of /apps/a hides it from this user")
        assert found["b"].value == b"1"
        writer = zoo.writer()
        with pytest.raises(Conflict):
            writer.commit([Put("a", b"2")], expect={"a": 0})
        client.set_acls("/apps/dir", BOBS)
        with pytest.raises(Misconfigured, match="the ACL of /apps/dir hides what lies below it"):
            entries(transport, "")
        assert sorted(key for key, one in entries(zoo.transport(), "").items() if one.error) == ["a", "dir"]
        client.set_acls("/apps", BOBS)
        assert sorted(entries(transport, "b", "dir/a")) == ["b", "dir/a"]
        zoo.close()
        client.add_auth("digest", "bob:bob")
        client.delete("/apps", recursive=True)


def test_G9_directories_that_went_while_nobody_watched_are_not_kept(zoo: Zoo) -> None:
    transport = zoo.transport()
    assert isinstance(transport, ZookeeperTransport)
    client, root = zoo.outside.client, zoo.outside.root
    zoo.commit(Put("stays/x", b"1"), Put("other/deep/x", b"1"))
    for number in range(3):
        zoo.commit(Put(f"job-{number}/state/x", b"1"))
        entries(transport, "")
        client.delete(f"{root}/job-{number}", recursive=True)
    client.delete(f"{root}/other/deep", recursive=True)
    entries(transport, "stays/", Subtree("job-"))
    directories = transport._place.directories
    assert directories == {f"{root}{path}" for path in ("", "/stays", "/other", "/other/deep")}
    entries(transport, "")
    assert directories == {root, f"{root}/stays"}


def test_a_root_that_vanishes_is_a_lost_connection_and_no_delete(zoo: Zoo) -> None:
    zoo.outside.commit({"a/b": b"1"})
    whole, part = zoo.subscribe(""), zoo.subscribe("a/")
    read(whole)
    read(part)
    zoo.outside.vanish()
    for subscription in (whole, part):
        error = until_lost(subscription)
        assert isinstance(error, ConnectionLost)
        assert "was removed" in str(error) or "there is no node" in str(error)
        with pytest.raises(ConnectionLost, match="there is no node"):
            read(zoo.subscribe(""))


def test_overlapping_paths_give_each_change_once(zoo: Zoo) -> None:
    zoo.commit(Put("a/b/1", b"x"), Put("c", b"x"), Put("a", b"x"))
    subscription = zoo.subscribe("a/", "a/b/", "a/b/1", "c", "a")
    held = read(subscription)
    assert values(held) == {"a/b/1": b"x", "c": b"x", "a": b"x"}
    zoo.commit(Put("a/b/1", b"y"))
    assert keys(drain(subscription)) == ["a/b/1"]


def test_thousands_of_paths_are_served(zoo: Zoo) -> None:
    zoo.commit(*(Put(f"p{i}/x", b"1") for i in range(2000)), Put("other", b"1"))
    subscription = zoo.subscribe(*(f"p{i}/" if i % 2 else f"p{i}/x" for i in range(2000)))
    assert len(read(subscription)) == 2000
    zoo.commit(Put("p17/x", b"2"), Put("p18/x", b"2"), Put("p18/y", b"2"))
    assert sorted(keys(drain(subscription))) == ["p17/x", "p18/x"]


def test_large_values_come_a_few_at_a_time(zoo: Zoo) -> None:
    """More at once than a server has memory for would end it."""
    large = {f"large/{i}": bytes([i]) * 900_000 for i in range(20)}
    for key, value in large.items():
        zoo.outside.put(key, value)
    zoo.commit(*(Put(f"small/{i}", b"1") for i in range(300)))
    subscription = zoo.subscribe("")
    sizes = [sum(len(entry.value) for entry in chunk) for chunk in subscription.snapshot()]
    assert sum(sizes) == 20 * 900_000 + 300
    assert max(sizes) < 32 * 900_000
    again = [sum(len(entry.value) for entry in chunk) for chunk in subscription.snapshot()]
    assert max(again) < 3_000_000, "sizes are known by now"
    zoo.outside.put("large/7", b"1")
    zoo.outside.put("large/8", b"8" * 900_000)
    assert sorted(keys(drain(subscription))) == ["large/7", "large/8"]


def test_entries_told_twice_do_not_go_back(zoo: Zoo) -> None:
    subscription = zoo.subscribe("")
    held = read(subscription)
    writer = zoo.writer()
    for number in range(200):
        writer.commit([Put("a", str(number).encode()), Put(f"b{number % 7}", b"1")])
        for batch in drain(subscription):
            apply(held, batch)
    assert held["a"][0] == b"199"
