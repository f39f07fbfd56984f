"""`Host.wait` on real stores that number their writes: it ends, not before the plugin has what was written (G11)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from kazoo.security import make_acl, make_digest_acl

from datasync_core import Event, Host, Watch, hookimpl
from datasync_core.plugins.transports import make_transport
from datasync_core.transport import Delete, Put, Transport, Url
from tests.servers.zookeeper import ZooKeeper
from tests.transports.zookeepers import Zoo

SOON = 60.0
"""Seconds; a wait that only a beat ends takes a third of a store's `liveness`."""


class Notes:
    """Keeps what lies under `a/`."""

    watch = Watch("a/", str)
    watches = [watch]

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    @hookimpl
    def on_resync(self, event: Event) -> None:
        self.values = dict(event[self.watch])


class Where(NamedTuple):
    """A store for a host, and for others who write to it."""

    url: str
    others: Transport


@pytest.fixture(params=["sqlite", pytest.param("zookeeper", marks=pytest.mark.server)])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Where]:
    if request.param == "sqlite":
        url = f"sqlite:{tmp_path}/data.db"
        others = make_transport(Url.parse(url), {})
        yield Where(url, others)
        others.close()
    else:
        zoo: Zoo = request.getfixturevalue("zoo")
        zoo.outside.put("a/0", b"x")
        yield Where(zoo.url, zoo.transport())


def test_G11_a_wait_ends_with_what_was_written(where: Where) -> None:
    plugin = Notes()
    with Host(where.url, {"notes": plugin}) as host:
        publisher, others = host.publisher(), where.others.writer()
        assert host.wait(SOON)
        for number in range(30):
            publisher.commit([Put("a/1", b"%d" % number), Put("a/2", b"%d" % number)])
            assert host.wait(SOON)
            assert plugin.values["1"] == plugin.values["2"] == str(number)
            others.commit([Put("elsewhere", b"x"), Put("a/theirs", b"x")])
            publisher.delete("a/theirs")
            assert host.wait(SOON)
            assert "theirs" not in plugin.values
        others.close()


def test_G11_a_wait_for_a_delete_of_nothing_ends(where: Where) -> None:
    with Host(where.url, {"notes": Notes()}) as host:
        assert host.wait(SOON)
        others = where.others.writer()
        for _ in range(2):
            others.commit([Put("elsewhere", b"x")])
            host.publisher().delete("a/never")
            assert host.wait(SOON)
        others.close()


def test_G11_a_wait_at_the_start_ends_whatever_others_do(where: Where) -> None:
    """Whether the store is read before, between or after is up to the machine."""
    others = where.others.writer()
    for number in range(10):
        plugin = Notes()
        with Host(where.url, {"notes": plugin}) as host:
            host.publisher().put("a/1", str(number))
            if number % 2:
                others.commit([Delete("a/1")])
            assert host.wait(SOON)
            assert plugin.values.get("1", "gone") in ((str(number), "gone") if number % 2 else (str(number),))
    others.close()


def test_G11_a_wait_ends_for_a_node_that_may_be_written_and_not_read(newest_zookeeper: ZooKeeper) -> None:
    with newest_zookeeper.using() as client:
        client.ensure_path("/waits/a")
        client.create("/waits/a/k", b"1")
        client.set_acls(
            "/waits/a/k", [make_acl("world", "anyone", write=True), make_digest_acl("bob", "bob", all=True)]
        )
        with Host(newest_zookeeper.url + "/waits", {"notes": Notes()}) as host:
            assert host.wait(SOON)
            host.publisher().put("a/k", "2")
            assert host.wait(SOON), "of what may not be read no event comes, only the next beat shows it"
        client.add_auth("digest", "bob:bob")
        client.delete("/waits", recursive=True)
