"""What a commit does to nodes, and what becomes of entries that live with their host."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kazoo.exceptions import NoNodeError
from kazoo.security import make_acl, make_digest_acl

from datasync_core.transport import (
    AuthenticationFailed,
    Conflict,
    ConnectionLost,
    Delete,
    Put,
    Unsupported,
)
from tests.servers.proxy import Proxy
from tests.servers.zookeeper import ZooKeeper
from tests.transports.stores import follow, read, values
from tests.transports.zookeepers import Zoo

pytestmark = pytest.mark.server


def nodes(zoo: Zoo, path: str = "") -> dict[str, bytes]:
    """All nodes below the root with their data, directories too."""
    found: dict[str, bytes] = {}
    for name in zoo.outside.client.get_children(f"{zoo.outside.root}{path}"):
        found[f"{path}/{name}".lstrip("/")] = zoo.outside.client.get(f"{zoo.outside.root}{path}/{name}")[0]
        found |= nodes(zoo, f"{path}/{name}")
    return found


def eventually(condition: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so within {seconds} s"


def test_directories_are_made_and_left_and_keys_may_be_both(zoo: Zoo) -> None:
    zoo.commit(Put("a/b/c", b"1"), Put("a/b", b"2"), Put("a/x", b"3"))
    assert nodes(zoo) == {"a": b"", "a/b": b"2", "a/b/c": b"1", "a/x": b"3"}
    zoo.commit(Delete("a/b"), Delete("a/x"), Delete("a"), Delete("never/there"))
    assert nodes(zoo) == {"a": b"", "a/b": b"", "a/b/c": b"1"}
    zoo.commit(Delete("a/b/c"), Put("a/b", b"4"))
    assert nodes(zoo) == {"a": b"", "a/b": b"4"}
    zoo.commit(Delete("a/b"), Put("a/b/d", b"5"))
    assert nodes(zoo) == {"a": b"", "a/b": b"", "a/b/d": b"5"}


def test_expectations_hold_for_keys_that_are_not_written_too(zoo: Zoo) -> None:
    writer = zoo.writer()
    first = writer.commit([Put("a", b"1"), Put("dir/x", b"1")])
    for expect in ({"a": 0}, {"a": first + 1}, {"dir": first}, {"none": first}, {"none/at/all": 1}):
        with pytest.raises(Conflict):
            writer.commit([Put("b", b"1")], expect=expect)
    absent = {"none": 0, "dir": 0, "none/at/all": 0, "dir/y": 0}
    writer.commit([Put("b", b"1"), Delete("none/either")], expect={"a": first, "none/either": 0, **absent})
    assert nodes(zoo) == {"a": b"1", "b": b"1", "dir": b"", "dir/x": b"1"}
    second = writer.commit([Put("dir", b"2")], expect={"dir": 0})
    writer.commit([Delete("dir")], expect={"dir": second})
    writer.commit([Put("none", b"3"), Put("none/at/all", b"3")], expect={"none": 0, "none/at/all": 0})
    assert values(read(zoo.subscribe(""))) == {
        "a": b"1",
        "b": b"1",
        "dir/x": b"1",
        "none": b"3",
        "none/at/all": b"3",
    }


def test_of_many_who_compare_and_set_each_counts_once(zoo: Zoo) -> None:
    zoo.commit(Put("n", b"0"))

    def count() -> None:
        transport = zoo.transport()
        writer, done = transport.writer(), 0
        subscription = transport.subscribe(["n"])
        while done < 10:
            value, revision = read(subscription)["n"]
            try:
                writer.commit([Put("n", b"%d" % (int(value) + 1))], expect={"n": revision})
            except Conflict:
                continue
            done += 1
        subscription.close()
        writer.close()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert values(read(zoo.subscribe("n"))) == {"n": b"40"}


def test_writers_that_make_and_remove_the_same_directories_all_succeed(zoo: Zoo) -> None:
    def write(number: int) -> None:
        writer = zoo.transport().writer()
        for i in range(25):
            writer.commit([Put(f"d{i}/e/{number}", b"1"), Put(f"d{i}/common", b"%d" % number)])
            writer.commit([Delete(f"d{i}/common")])
        writer.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(read(zoo.subscribe(""))) == sorted(f"d{i}/e/{n}" for i in range(25) for n in range(4))


def test_a_commit_without_an_effect_has_the_store_s_revision(zoo: Zoo) -> None:
    revision = zoo.commit(Put("a", b"1"))
    assert zoo.commit(Delete("b")) >= revision
    assert zoo.commit() >= revision


def test_the_chroot_is_never_made(zoo: Zoo) -> None:
    zoo.outside.client.delete(zoo.outside.root)
    with pytest.raises(ConnectionLost, match="there is no node"):
        zoo.commit(Put("a", b"1"))
    zoo.outside.client.create(zoo.outside.root)


def test_a_commit_that_is_too_large_says_what_may_be_why(zoo: Zoo) -> None:
    with pytest.raises(ConnectionLost, match=r"in a commit of \d+ bytes; the server takes no more than"):
        zoo.commit(*(Put(f"k{i}", b"x" * 300_000) for i in range(4)))
    assert nodes(zoo) == {}


def test_a_writer_goes_on_after_its_connection_was_lost(zoo: Zoo, zookeeper_server: ZooKeeper) -> None:
    with Proxy(zookeeper_server.address) as proxy:
        writer = zoo.through(proxy.port).writer()
        writer.commit([Put("a", b"1")])
        proxy.cut()
        eventually(lambda: not proxy.connections)

        def written() -> bool:
            try:
                return bool(writer.commit([Put("a", b"2")]))
            except ConnectionLost:
                return False

        eventually(written)
        writer.close()
    assert nodes(zoo) == {"a": b"2"}


def test_nodes_may_belong_to_who_makes_them(zoo: Zoo) -> None:
    bob = zoo.user("bob", "?acl=creator").writer()
    bob.commit([Put("bobs/a", b"1")])
    with pytest.raises(AuthenticationFailed, match=r"the ACL of .*/bobs/a forbids WRITE; write zookeeper"):
        zoo.commit(Put("bobs/a", b"2"))
    eve = zoo.user("eve").writer()
    with pytest.raises(
        AuthenticationFailed, match="the ACL of .*/bobs forbids CREATE; eve has no right to it"
    ):
        eve.commit([Put("bobs/b", b"2")])
    eve.close()
    bob.commit([Put("bobs/a", b"3"), Put("bobs/b", b"1")])
    bob.close()


def test_a_refusal_names_the_missing_right_and_whose_acl_lacks_it(zoo: Zoo) -> None:
    client, root = zoo.outside.client, zoo.outside.root
    bobs = make_digest_acl("bob", "bob", all=True)
    zoo.commit(Put("dir/a", b"1"), Put("dir/b", b"1"))
    client.set_acls(f"{root}/dir", [bobs, make_acl("world", "anyone", read=True)])
    client.set_acls(f"{root}/dir/a", [bobs, make_acl("world", "anyone", read=True)])
    client.set_acls(f"{root}/dir/b", [bobs, make_acl("world", "anyone", write=True)])
    writer = zoo.writer()
    for op, said in (
        (Put("dir/a", b"2"), "/dir/a forbids WRITE"),
        (Put("dir/x", b"1"), "/dir forbids CREATE"),
        (Put("dir/x/y", b"1"), "/dir forbids CREATE"),
        (Delete("dir/a"), "/dir forbids DELETE"),
        (Put("dir/a", b"2", alive=True), "/dir forbids DELETE"),
    ):
        with pytest.raises(AuthenticationFailed, match=f"the ACL of {root}{said}; write zookeeper"):
            writer.commit([Put("before", b"1"), op])
    revision = client.exists(f"{root}/dir/b").mzxid
    with pytest.raises(AuthenticationFailed, match=f"the ACL of {root}/dir/b forbids READ"):
        writer.commit([Put("before", b"1")], expect={"dir/b": revision})
    writer.close()


def test_an_entry_that_lives_with_the_host_ends_with_the_transport(zoo: Zoo) -> None:
    """It outlasts the writer that wrote it."""
    transport = zoo.transport()
    writer = transport.writer()
    writer.commit([Put("hosts/me", b"1", alive=True), Put("stays", b"1")])
    writer.close()
    transport.writer().commit([Put("hosts/me", b"2", alive=True)])
    assert nodes(zoo) == {"hosts": b"", "hosts/me": b"2", "stays": b"1"}
    transport.close()
    assert nodes(zoo) == {"hosts": b"", "stays": b"1"}


def test_writing_anew_decides_whether_an_entry_lives_with_the_host(zoo: Zoo) -> None:
    mine, theirs = zoo.transport(), zoo.transport()
    mine.writer().commit([Put("a", b"1", alive=True), Put("b", b"1"), Put("c", b"1", alive=True)])
    subscription = zoo.subscribe("")
    held = read(subscription)
    theirs.writer().commit([Put("a", b"2", alive=True), Put("b", b"2", alive=True)])
    writer = theirs.writer()
    writer.commit([Put("c", b"2")])
    writer.close()
    mine.close()
    follow(subscription, held, lambda: values(held) == {"a": b"2", "b": b"2", "c": b"2"})
    theirs.close()
    follow(subscription, held, lambda: values(held) == {"c": b"2"})


def test_nothing_lies_below_what_lives_with_the_host(zoo: Zoo) -> None:
    transport = zoo.transport()
    writer = transport.writer()
    writer.commit([Put("a", b"1", alive=True), Put("b/c", b"1")])
    with pytest.raises(Unsupported, match="would lie below an entry that lives with its host"):
        writer.commit([Put("a/x", b"1")])
    for ops in ([Put("b", b"1", alive=True)], [Put("d/e", b"1"), Put("d", b"1", alive=True)]):
        with pytest.raises(Unsupported, match="has keys below it, so it cannot live with the host"):
            writer.commit(ops)
    writer.close()


def test_lives_outlast_lost_connections_and_expired_sessions(zoo: Zoo, zookeeper_server: ZooKeeper) -> None:
    """Keeps the session over a lost connection, and writes the entries anew after an expired one."""
    client, path = zoo.outside.client, f"{zoo.outside.root}/me"
    with Proxy(zookeeper_server.address) as proxy:
        transport = zoo.through(proxy.port)
        writer = transport.writer()
        writer.commit([Put("me", b"1", alive=True)])
        owner = client.exists(path).ephemeralOwner
        proxy.cut()

        def back() -> bool:
            try:
                return bool(writer.commit([Put("you", b"1", alive=True)]))
            except ConnectionLost:
                return False

        eventually(back)
        assert client.exists(path).ephemeralOwner == owner
        zookeeper_server.expire(owner)
        eventually(lambda: (stat := client.exists(path)) and stat.ephemeralOwner not in {0, owner})
        writer.commit([Put("me", b"2", alive=True)])
        eventually(lambda: client.get(path)[0] == b"2")
        writer.close()
        transport.close()
    with pytest.raises(NoNodeError):
        client.get(path)


def test_lives_are_there_again_on_a_server_that_lost_its_data(tmp_path: Path) -> None:
    with ZooKeeper(tmp_path) as server, Proxy(server.address) as proxy:
        with server.using() as client:
            transport = Zoo(client, server.url, "/apps").through(proxy.port)
            writer = transport.writer()
            writer.commit([Put("hosts/me", b"1", alive=True)])
        proxy.refuse()
        server.restart(keep_data=False, kill=True)
        with server.using() as client:
            client.ensure_path("/apps")
            proxy.flow()
            eventually(lambda: client.exists("/apps/hosts/me"))
        writer.close()
        transport.close()


def test_sequential_names_are_keys_like_any_other(zoo: Zoo) -> None:
    subscription = zoo.subscribe("")
    held = read(subscription)
    made = zoo.outside.client.create(f"{zoo.outside.root}/q-", b"1", sequence=True)
    name = made.rpartition("/")[2]
    follow(subscription, held, lambda: values(held) == {name: b"1"})
    zoo.commit(Put(name, b"2"))
    follow(subscription, held, lambda: values(held) == {name: b"2"})
