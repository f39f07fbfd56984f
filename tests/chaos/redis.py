"""A Redis that is killed, wiped, frozen, flushed, cut off and written to by redis-py."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

from redis import Redis as Client
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from tests.chaos.hand import Failed, Hand
from tests.chaos.plugin import decode
from tests.chaos.world import Blow, End, Unreadable, World, freeze
from tests.servers.proxy import Proxy
from tests.servers.redis import Redis
from tests.servers.server import HOST

PREFIX = "chaos/"


class RedisHand(Hand):
    """redis-py, with transactions by MULTI, on strings and hashes."""

    def __init__(self, port: int) -> None:
        self._client = Client(HOST, port, socket_timeout=2.0, retry=Retry(NoBackoff(), 0))

    def write(self, transaction: Mapping[str, str | None], rng: random.Random) -> None:
        def commands(pipe: Client) -> None:
            for key, text in transaction.items():
                if text is None:
                    pipe.delete(PREFIX + key)
                elif as_hash and "." in key:
                    pipe.delete(PREFIX + key)
                    pipe.hset(PREFIX + key, "v", text)
                else:
                    pipe.set(PREFIX + key, text)

        as_hash = rng.random() < 0.1
        self._do(lambda: self._transact(commands))

    def loose(self, key: str, other: str, text: str, rng: random.Random) -> None:
        client, key, other = self._client, PREFIX + key, PREFIX + other
        ways: list[Callable[[], object]] = [
            lambda: client.set(key, text),
            lambda: client.set(key, text, px=rng.randrange(1, 3000)),
            lambda: client.append(key, "+"),
            lambda: client.delete(key, other),
            lambda: client.rename(key, other),
            lambda: client.copy(key, other, replace=True),
            lambda: client.pexpire(key, rng.randrange(1, 2000)),
            lambda: client.persist(key),
            lambda: client.mset({key: text, other: text}),
            lambda: self._transact(lambda pipe: (pipe.delete(key), pipe.hset(key, "v", text))),
            lambda: self._transact(lambda pipe: (pipe.delete(key), pipe.rpush(key, text))),
            lambda: client.eval(
                "redis.call('SET', KEYS[1], ARGV[1]) redis.call('DEL', KEYS[2])", 2, key, other, text
            ),
            lambda: client.set("elsewhere/" + key, text),
            lambda: client.set("chaos0", text),
            lambda: self._elsewhere(key, text),
        ]
        self._do(rng.choice(ways))

    def close(self) -> None:
        self._client.close()

    def _do(self, what: Callable[[], object]) -> None:
        try:
            what()
        except RedisError as error:
            raise Failed from error

    def _transact(self, commands: Callable[[Client], object]) -> None:
        with self._client.pipeline(transaction=True) as pipe:
            commands(pipe)
            pipe.execute()

    def _elsewhere(self, key: str, text: str) -> None:
        """The same key in another database, which tracking tells of as well."""
        with self._client.pipeline(transaction=False) as pipe:
            pipe.select(1)
            pipe.set(key, text)
            pipe.select(0)
            pipe.execute()


hand = lambda where: RedisHand(int(where))  # noqa: E731


class RedisWorld(World):
    """One Redis that keeps its data, behind a proxy that the host goes through."""

    kind = "redis"

    def begin(self) -> None:
        self.server = self.stack.enter_context(Redis(self.folder / "redis", persistent=True))
        self.proxy = self.stack.enter_context(Proxy(self.server.address))
        self.where = str(self.server.port)
        liveness = self.rng.choice([1, 2])
        self.url = f"redis://{HOST}:{self.proxy.port}/0?prefix={PREFIX}&liveness={liveness}"

    def blows(self) -> Sequence[Blow]:
        server, proxy = self.server, self.proxy
        return [
            Blow("kill -9, restart", lambda _: server.restart(kill=True)),
            Blow("restart", lambda _: server.restart()),
            Blow("kill -9, restart empty", lambda _: server.restart(kill=True, keep_data=False), 1),
            Blow("kill -9, stay away", self._away),
            Blow("freeze", lambda _: freeze(server), 3),
            Blow("cut", lambda _: proxy.cut(), 3),
            Blow("end connections", lambda _: proxy.close()),
            Blow("stall", lambda _: _and_then(proxy.stall, proxy.flow), 3),
            Blow("stall and cut", lambda _: _and_then(proxy.stall, proxy.cut)),
            Blow("delay", lambda rng: _and_then(lambda: proxy.delay(rng.choice([0.02, 0.3])), proxy.flow)),
            Blow("refuse", self._refuse),
            Blow("FLUSHALL", lambda _: self._call("FLUSHALL"), 1),
            Blow("FLUSHDB ASYNC", lambda _: self._call("FLUSHDB", "ASYNC"), 1),
            Blow("FLUSHDB of another", lambda _: self._flush_other()),
            Blow("DEBUG SLEEP", lambda rng: self._call("DEBUG", "SLEEP", rng.choice([0.2, 1.4]))),
            Blow("CLIENT KILL", lambda _: self._call("CLIENT", "KILL", "TYPE", "normal")),
            Blow("output buffer limit", lambda _: self._limit()),
        ]

    def heal(self) -> None:
        self.proxy.flow()
        if self.server.running:
            self.server.thaw()
        else:
            self.server.start()

    def truth(self) -> Mapping[str, str | None]:
        try:
            return self._read()
        except RedisError as error:
            raise Unreadable(str(error)) from error

    def _read(self) -> Mapping[str, str | None]:
        found: dict[str, str | None] = {}
        with self.server.client() as client:
            names = list(client.scan_iter(f"{PREFIX}*", count=5000))
            for start in range(0, len(names), 1000):
                part = names[start : start + 1000]
                texts = dict(zip(part, client.mget(part), strict=True))
                others = [name for name, text in texts.items() if text is None]
                for name in others:  # no string, or gone
                    kind = client.type(name)
                    if kind == b"hash":
                        texts[name] = client.hget(name, "v")
                    elif kind == b"none":
                        del texts[name]
                for name, text in texts.items():
                    found[name.decode()[len(PREFIX) :]] = None if text is None else decode(text)
        return found

    def _call(self, *command: str | float) -> None:
        with self.server.client(socket_timeout=1.0) as client:
            try:
                client.execute_command(*command)
            except RedisError:
                return  # it is frozen or away

    def _flush_other(self) -> None:
        with self.server.client(socket_timeout=1.0, db=1) as client:
            try:
                client.flushdb()
            except RedisError:
                return

    def _limit(self) -> End:
        self._call("CONFIG", "SET", "client-output-buffer-limit", "normal 20kb 0 0")
        return lambda: self._call("CONFIG", "SET", "client-output-buffer-limit", "normal 0 0 0")

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
