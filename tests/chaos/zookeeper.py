"""A ZooKeeper that is killed, wiped, frozen and cut off, whose sessions are ended, written to by kazoo."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, NoNodeError
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.retry import KazooRetry
from kazoo.security import OPEN_ACL_UNSAFE, make_acl

from tests.chaos.hand import Failed, Hand
from tests.chaos.plugin import decode
from tests.chaos.world import Blow, End, Unreadable, World, freeze
from tests.servers.proxy import Proxy
from tests.servers.server import HOST
from tests.servers.zookeeper import ZooKeeper

ROOT = "/chaos"
TROUBLE = (KazooException, KazooTimeoutError, OSError)


class ZookeeperHand(Hand):
    """kazoo, with a client of its own for each life of the server: a wiped one refuses those that have seen more."""

    def __init__(self, hosts: str) -> None:
        self._hosts = hosts
        self._client: KazooClient | None = None

    def write(self, transaction: Mapping[str, str | None], rng: random.Random) -> None:
        with _failing(self):
            client = self._open()
            self._directories(client, transaction)
            there = [client.exists_async(f"{ROOT}/{key}") for key in transaction]
            asked = client.transaction()
            for (key, text), stat in zip(transaction.items(), there, strict=True):
                path, found = f"{ROOT}/{key}", stat.get(timeout=2.0)
                if text is None:
                    if found is None:  # or else somebody may create it now, and only a part would go
                        asked.create(path, b"")
                    asked.delete(path)
                elif found is None:
                    asked.create(path, text.encode())
                else:
                    asked.set_data(path, text.encode())
            for result in asked.commit_async().get(timeout=2.0):
                if isinstance(result, Exception):
                    raise result

    def loose(self, key: str, other: str, text: str, rng: random.Random) -> None:
        with _failing(self):
            client = self._open()
            self._directories(client, [key])
            path, data = f"{ROOT}/{key}", text.encode()
            ways: list[Callable[[], object]] = [
                lambda: client.set_async(path, data).get(timeout=2.0),
                lambda: client.create_async(path, data).get(timeout=2.0),
                lambda: client.create_async(path, data, ephemeral=True).get(timeout=2.0),
                lambda: client.delete_async(path).get(timeout=2.0),
                lambda: client.set_async(path, b"").get(timeout=2.0),
                lambda: client.create_async(f"{path}/below", data).get(timeout=2.0),
                lambda: client.delete_async(f"{path}/below").get(timeout=2.0),
                lambda: client.set_async(f"{path}/below", data).get(timeout=2.0),
                lambda: client.create_async(f"{ROOT}/elsewhere-", data, sequence=True).get(timeout=2.0),
                lambda: client.create_async(f"{ROOT}/{other}", data).get(timeout=2.0),
            ]
            rng.choice(ways)()

    def close(self) -> None:
        if self._client is not None:
            self._client.stop()
            self._client.close()
            self._client = None

    def _open(self) -> KazooClient:
        if self._client is None:
            client = self._client = KazooClient(
                self._hosts, timeout=2.0, connection_retry=KazooRetry(max_tries=1)
            )
            client.start(timeout=2.0)
        return self._client

    def _directories(self, client: KazooClient, keys: Sequence[str] | Mapping[str, object]) -> None:
        for path in sorted({f"{ROOT}/{key}".rpartition("/")[0] for key in keys}):
            if client.exists_async(path).get(timeout=2.0) is None:
                client.ensure_path_async(path).get(timeout=2.0)


class _failing:
    """Makes what kazoo raises a `Failed`; a client that lost its server is given up."""

    def __init__(self, hand: ZookeeperHand) -> None:
        self._hand = hand

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, TROUBLE):
            client = self._hand._client
            if client is None or not client.connected or isinstance(error, KazooTimeoutError):
                self._hand.close()
            raise Failed from error


hand = ZookeeperHand


class ZookeeperWorld(World):
    """One ZooKeeper that keeps its data, behind a proxy that the host goes through."""

    kind = "zookeeper"

    def begin(self) -> None:
        self.server = self.stack.enter_context(ZooKeeper(self.folder / "zookeeper"))
        self.proxy = self.stack.enter_context(Proxy(self.server.address))
        self.where = self.server.hosts
        self.url = f"zookeeper://{HOST}:{self.proxy.port}{ROOT}?liveness={self.rng.choice([1, 2])}"
        self._hidden: set[str] = set()
        self._root()

    def blows(self) -> Sequence[Blow]:
        server, proxy = self.server, self.proxy
        return [
            Blow("kill -9, restart", lambda _: server.restart(kill=True)),
            Blow("restart", lambda _: server.restart()),
            Blow("kill -9, restart empty", lambda _: self._wipe(), 1),
            Blow("kill -9, stay away", self._away),
            Blow("freeze", lambda _: freeze(server), 3),
            Blow("cut", lambda _: proxy.cut(), 3),
            Blow("end connections", lambda _: proxy.close()),
            Blow("stall", lambda _: _and_then(proxy.stall, proxy.flow), 3),
            Blow("stall and cut", lambda _: _and_then(proxy.stall, proxy.cut)),
            Blow("delay", lambda rng: _and_then(lambda: proxy.delay(rng.choice([0.02, 0.3])), proxy.flow)),
            Blow("refuse", self._refuse),
            Blow("sessions end", lambda _: self._expire(), 4),
            Blow("some hidden", self._hide, 3),
            Blow("tree removed", lambda _: self._remove(f"{ROOT}/k"), 1, tears=True),
            Blow("root removed", lambda _: self._remove(ROOT), 1, tears=True),
        ]

    def heal(self) -> None:
        self.proxy.flow()
        if self.server.running:
            self.server.thaw()
        else:
            self.server.start()
        self._root()
        self._show()

    def truth(self) -> Mapping[str, str | None]:
        try:
            return self._read()
        except TROUBLE as error:
            raise Unreadable(repr(error)) from error

    def _read(self) -> Mapping[str, str | None]:
        found: dict[str, str | None] = {}
        with self.server.using() as client:
            waiting = [ROOT]
            while waiting:
                data = [client.get_async(path) for path in waiting]
                names = [client.get_children_async(path) for path in waiting]
                below: list[str] = []
                for path, text, children in zip(waiting, data, names, strict=True):
                    try:
                        value, there = text.get(timeout=5.0)[0], children.get(timeout=5.0)
                    except NoNodeError:
                        continue  # an ephemeral one that went with its session
                    if value:
                        found[path[len(ROOT) + 1 :]] = decode(value)
                    below += [f"{path}/{name}" for name in there]
                waiting = below
        return found

    def _root(self) -> None:
        with self.server.using() as client:
            client.ensure_path(ROOT)

    def _wipe(self) -> None:
        self.server.restart(kill=True, keep_data=False)
        self._root()

    def _expire(self) -> None:
        """The host's and the writers'."""
        if self.server.serves():
            for session in self.server.sessions():
                with suppress(*TROUBLE):
                    self.server.expire(session)

    def _remove(self, path: str) -> None:
        if self.server.serves():
            with suppress(*TROUBLE), self.server.using() as client:
                client.delete(path, recursive=True)

    def _hide(self, rng: random.Random) -> End | None:
        """Let nobody read some of the nodes that are written one by one; who is connected anew comes by them."""
        if not self.server.serves():
            return None
        with suppress(*TROUBLE), self.server.using() as client:
            names = sorted(client.get_children(f"{ROOT}/loose"))
            for name in rng.sample(names, min(len(names), rng.choice([1, 1, 5]))):
                path = f"{ROOT}/loose/{name}"
                self._hidden.add(path)
                with suppress(NoNodeError):  # somebody deletes it just now
                    client.set_acls(
                        path, [make_acl("world", "anyone", write=True, create=True, delete=True, admin=True)]
                    )
        if rng.random() < 0.7:
            self.proxy.cut()
        return self._show

    def _show(self) -> None:
        """Nobody is told of it, so the host is made to read again."""
        if not self._hidden or not self.server.serves():
            return
        with self.server.using() as client:
            for path in self._hidden:
                with suppress(NoNodeError):
                    client.set_acls(path, OPEN_ACL_UNSAFE)
        self._hidden.clear()
        self.proxy.cut()

    def _away(self, rng: random.Random) -> End:
        self.server.kill()
        return self.heal

    def _refuse(self, rng: random.Random) -> End:
        self.proxy.refuse()
        self.proxy.cut()
        return self.proxy.flow


def _and_then(begin: Callable[[], None], end: End) -> End:
    begin()
    return end
