"""One tracked connection: commands and their answers, and between them the names of keys that changed.

Answers and pushes come on one stream, in the order in which the server wrote them. What is pushed is kept until
somebody takes it. Each read asks redis-py for one thing, answer or push (``push_request``): it would otherwise
recurse once for each push that waits. Whatever fails ends the connection: redis-py would make another one, without
tracking, at the next command.

This is where redis-py's own parts are touched that it does not document (`Connection._parser`, ``_sock``); seen to
work with 6.4 to 8.1.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from redis.exceptions import InvalidResponse, RedisError, ResponseError

from datasync_core.transport import ConnectionLost, Misconfigured, StoreError
from datasync_transports.redis.connection import Link, greeting
from datasync_transports.redis.failures import concerns_keys, is_forbidden, lacking, meaning, senseless
from datasync_transports.redis.paths import escaped

_PUSH: Final = object()
_BYTES = frozenset([bytes])
_JUNK = (AttributeError, LookupError, OverflowError, RecursionError, TypeError, ValueError)
Command = Sequence[str | bytes | int]


class Wire:
    """A connection on which nothing is asked twice. Owned by one thread; `cut` may be called by any."""

    def __init__(
        self,
        connection: Link,
        where: str,
        user: str | None,
        wanted: Callable[[bytes], bool] | None = None,
        patterns: Sequence[str] = (),
        master: bool = False,
    ) -> None:
        """``wanted``: which of the keys that are named matter; None: all. ``patterns``: what all that is used matches;
        empty: what is asked for. ``master``: whether a server that is a replica is a lost one.
        """
        self.dirty: set[bytes] = set()
        """Keys that the server named since they were taken last."""
        self.flushed = False
        """Whether the server said that a database was emptied."""
        self.proven = time.monotonic()
        """When it was last seen that the server is there, and is what it has to be."""
        self.heard = self.proven
        """When it said something last."""
        self.asked: float | None = None
        """When it was asked for a sign of life that has not come yet."""
        self._connection = connection
        self._where = where
        self._user = user
        self._wanted = wanted
        self._patterns = patterns
        self._master = master
        self._broken: Exception | None = None
        self._is_junk = False  # whether it was told of changes in a form that cannot be
        inside: Any = connection
        parser = inside._parser
        self._socket: socket.socket = inside._sock.inner
        self._ahead: Callable[..., bool] | None = getattr(
            parser, "read_from_socket", None
        )  # hiredis alone has it
        if self._ahead is not None and getattr(parser, "_hiredis_PushNotificationType", None) is None:
            raise Misconfigured(f"{where} needs hiredis 3.2 and redis 6.4 or later, or no hiredis at all")
        parser.set_invalidation_push_handler(self._invalidated)
        self._parser = parser

    def track(self, prefixes: Iterable[bytes]) -> None:
        """Let the server name what changes from now on; prefixes do not overlap, none: everything."""
        self.call(
            "CLIENT", "TRACKING", "ON", "BCAST", *(w for prefix in prefixes for w in ("PREFIX", prefix))
        )

    def prove(self, key: str) -> None:
        """Raise `Misconfigured` unless we may do all that reading may ever need, with this key for example."""
        commands: list[Command] = [("PING",), ("SCAN", 0, "COUNT", 1)]
        commands += [(name, key) for name in ("MGET", "EXISTS", "TYPE", "HGETALL")]
        commands += [("MULTI",), ("EXEC",)]
        answers = zip(commands, self.pipeline(commands), strict=True)
        refused = [(command, answer) for command, answer in answers if is_forbidden(answer)]
        rights = [_name(command) for command, answer in refused if not concerns_keys(answer)]
        if rights:
            raise Misconfigured(f"{self._where}: {lacking(self._user, rights)}")
        for command, answer in refused:
            raise self.refused(answer, command)

    def call(self, *command: str | bytes | int) -> Any:
        """The answer to one command; raises a `StoreError` where that is an error."""
        [answer] = self.pipeline([command])
        if isinstance(answer, ResponseError):
            raise self.refused(answer, command)
        return answer

    def refused(self, error: ResponseError, command: Command) -> StoreError:
        """What the host is told of an answer that is an error."""
        key = command[1] if len(command) > 1 else ""
        keys = self._patterns or [
            escaped(key).decode(errors="replace") if isinstance(key, bytes) else str(key)
        ]
        told = meaning(self._where, error, self._user, _name(command), keys=keys)
        told.__cause__ = error
        return told

    def senseless(self, command: Command) -> StoreError:
        """Give up the connection: an answer to this command cannot be one, so that none after it can be trusted."""
        error = senseless(self._where, str(command[0]))
        self._broken = error
        return error

    def pipeline(self, commands: Sequence[Command]) -> list[Any]:
        """The answers to several commands that are sent together; errors are among them as they are."""
        connection = self._connection
        try:
            self._check()
            connection.deadline.begin()
            connection.send_packed_command([b"".join(map(_packed, commands))])
            while self.asked is not None:
                self._sign(self._read())
            answers: list[Any] = []
            while len(answers) < len(commands):
                answer = self._read()
                if answer is not _PUSH:
                    answers.append(answer)
        except (RedisError, OSError) as error:
            raise self._lost(error) from error
        return answers

    def ping(self) -> None:
        """Ask for a sign of life; the answer comes with whatever is read next."""
        try:
            self._check()
            self._connection.deadline.begin()
            self._connection.send_command(*(("HELLO", 3) if self._master else ("PING",)))
            self.asked = time.monotonic()
        except (RedisError, OSError) as error:
            raise self._lost(error) from error

    def listen(self, at_most: int = 10_000) -> bool:
        """Take in what has arrived, without waiting for more than the rest of what has begun; whether that was all."""
        try:
            self._check()
            self._connection.deadline.begin()
            while self._has_more():
                if not at_most:
                    return False  # the rest may wait in the parser, where nobody sees that it does
                at_most -= 1
                answer = self._read()
                if answer is not _PUSH and self.asked is None:
                    raise ConnectionLost(f"{self._where} said something that nobody had asked for")
                self._sign(answer)
        except (RedisError, OSError) as error:
            raise self._lost(error) from error
        return True

    def take(self) -> set[bytes]:
        """The keys that were named since the last time."""
        taken, self.dirty = self.dirty, set()
        return taken

    def wait(self, timeout: float, bell: int) -> None:
        """Wait until the server says something, ``bell`` (a file descriptor) can be read, or the time is over."""
        poller = select.poll()
        poller.register(self._socket, select.POLLIN)
        poller.register(bell, select.POLLIN)
        poller.poll(max(timeout, 0.0) * 1000.0)

    def cut(self) -> None:
        """End the conversation under whoever waits for an answer. Any thread."""
        try:
            # not the TLS socket's own, which takes itself apart under a reader
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        except OSError:
            return  # it is over already

    def hurry(self) -> None:
        """Give what is asked just now no more than a second. Any thread."""
        self._connection.deadline.hurry()

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.disconnect()

    def _check(self) -> None:
        if self._broken is not None:
            raise ConnectionLost(f"{self._where}: the connection was lost") from self._broken

    def _lost(self, error: Exception) -> Exception:
        self._broken = error
        return meaning(self._where, error, self._user)

    def _read(self) -> Any:
        try:
            answer = self._connection.read_response(push_request=True)
        except ResponseError as error:
            answer = error
        except _JUNK as error:  # out of the library's parser, which expects sound answers
            raise InvalidResponse(str(error)) from error
        if self._is_junk:
            raise InvalidResponse("what it names as changed are no keys")
        self.heard = time.monotonic()
        if not self._master:  # a replica speaks as well
            self.proven = self.heard
        return answer

    def _sign(self, answer: Any) -> None:
        """Take what may be the sign of life that was asked for. Whoever may ask nothing else may say HELLO."""
        if answer is _PUSH:
            return
        self.asked = None
        if self._master:
            self.proven = time.monotonic()
            if isinstance(answer, ResponseError) or _role(answer) != "master":
                error = ConnectionLost(f"{self._where} is no master any more; the Sentinels are asked for it")
                self._broken = error
                raise error

    def _has_more(self) -> bool:
        if self._ahead is None:
            return self._connection.can_read(0)
        # Not can_read: under TLS a socket may be readable for what is no data of ours, and reading would wait for it.
        return self._parser._reader.has_data() or self._ahead(timeout=0, raise_on_timeout=False)

    def _invalidated(self, message: list[Any]) -> object:
        keys = message[1] if len(message) == 2 else ()
        if not (keys is None or (isinstance(keys, list) and _BYTES.issuperset(map(type, keys)))):
            self._is_junk = True  # the library would log an error that is raised here, and go on
        elif keys is None:
            self.flushed = True
        elif self._wanted is None:
            self.dirty.update(keys)
        else:
            self.dirty.update(filter(self._wanted, keys))
        return _PUSH


def _role(answer: object) -> str | None:
    """The server's role as it says; None where it says nothing that makes sense."""
    try:
        return greeting(answer).get("role")
    except (TypeError, ValueError):
        return None


def _packed(command: Command) -> bytes:
    """The command as it is sent; redis-py's own way takes longer for a thousand keys than the server does."""
    words = [word if isinstance(word, bytes) else str(word).encode() for word in command]
    return b"*%d\r\n%b" % (len(words), b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words]))


def _name(command: Command) -> str:
    first = str(command[0]).lower()
    return f"{first}|{str(command[1]).lower()}" if first == "client" else first
