"""Writing: MULTI for what belongs together, WATCH for what is expected."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence

from redis.exceptions import ResponseError

from datasync_core.transport import (
    Conflict,
    ConnectionLost,
    Delete,
    Owner,
    Put,
    StoreError,
    Unsupported,
    Writer,
)
from datasync_transports.redis.connection import Place
from datasync_transports.redis.digest import digest
from datasync_transports.redis.link import Line
from datasync_transports.redis.paths import Paths
from datasync_transports.redis.reading import Change, Reader
from datasync_transports.redis.wire import Command, Wire


class RedisWriter(Writer):
    """Writes over a connection of its own, which it makes when first used, and anew where the server closed it
    while nothing was asked. Any thread may call it. A put replaces whatever the key held, a hash, too.
    """

    def __init__(self, place: Place, liveness: float) -> None:
        self._place = place
        self._owner = Owner(f"a writer of {place.where}")
        self._liveness = liveness
        self._lock = threading.Lock()
        self._line = Line()
        self._wire: Wire | None = None
        self._proven: Wire | None = None  # the one over which we may make transactions

    def commit(self, ops: Sequence[Put | Delete], *, expect: Mapping[str, int] = {}) -> int:
        self._owner.check()
        if any(isinstance(op, Put) and op.alive for op in ops):
            raise Unsupported(f"{self._place.where} cannot bind a key to the life of a host")
        commands = [_command(op) for op in {op.key: op for op in ops}.values()]
        with self._lock:
            try:
                wire = self._opened()
            except ConnectionLost as error:
                error.unwritten = True
                raise
            try:
                if expect:
                    self._commit_if(wire, commands, expect)
                elif len(commands) > 1:
                    self._transact(wire, commands)
                else:
                    self._ask(wire, commands)
            except Conflict:
                raise
            except BaseException:
                self._drop()  # keys may be watched still, and answers be on their way
                raise
        return 0

    def close(self) -> None:
        if not self._owner.is_here:
            return
        self._line.cut()
        wire = self._wire
        if wire is not None:
            wire.cut()  # else a commit that is under way would be waited for
        with self._lock:
            self._drop()
            self._line = Line()

    def _commit_if(self, wire: Wire, commands: Sequence[Command], expect: Mapping[str, int]) -> None:
        """Compare and write; again, where somebody else wrote between the two."""
        self._prove(wire)
        keys = [key.encode() for key in expect]
        reader = Reader(wire, Paths([]), watched=True)
        deadline = time.monotonic() + self._liveness
        while True:
            self._ask(wire, [("WATCH", *keys)])
            try:
                changes = reader.read(keys)
                for key, expected in expect.items():
                    change = changes[key.encode()]
                    if expected != (0 if change.gone else digest(change.value)):
                        raise Conflict(self._difference(change, expected))
            except Conflict:
                self._ask(wire, [("UNWATCH",)])
                raise
            if self._ask(wire, [("MULTI",), *commands, ("EXEC",)])[-1] is not None:
                return
            if time.monotonic() >= deadline:
                raise StoreError(
                    f"{self._place.where}: others have written the same keys all the time for {self._liveness:g} s"
                )

    def _difference(self, change: Change, expected: int) -> str:
        where = self._place.where
        if not expected:
            return f"{change.key} is in {where}, and was expected not to be there"
        return f"{change.key} {'is not there' if change.gone else 'has another value'} in {where} than what is expected"

    def _transact(self, wire: Wire, commands: Sequence[Command]) -> None:
        self._prove(wire)
        if self._ask(wire, [("MULTI",), *commands, ("EXEC",)])[-1] is None:
            error = ConnectionLost(
                f"{self._place.where} did not carry the transaction out, though nothing is watched on this"
                " connection: is it shared by a proxy in between?"
            )
            error.unwritten = True
            raise error

    def _prove(self, wire: Wire) -> None:
        """Raise unless we may make transactions: behind a MULTI that is refused each command would run for itself."""
        if self._proven is not wire:
            self._ask(wire, [("MULTI",), ("EXEC",)])
            self._proven = wire

    def _ask(self, wire: Wire, commands: Sequence[Command]) -> list[object]:
        """The answers, none of which may be an error."""
        answers = wire.pipeline(commands)
        inner = answers[-1] if isinstance(answers[-1], list) else []
        for command, answer in (
            *zip(commands, answers, strict=True),
            *zip(commands[1:], inner, strict=False),
        ):
            if isinstance(answer, ResponseError):
                raise wire.refused(answer, command)
        return answers

    def _opened(self) -> Wire:
        if self._wire is not None:
            try:
                self._wire.listen()
            except ConnectionLost:  # the server closed what was idle; nothing was lost with it
                self._drop()
        if self._wire is None:
            place = self._place
            self._wire = Wire(place.connect(self._liveness, self._line), place.where, place.account.shown)
        return self._wire

    def _drop(self) -> None:
        wire, self._wire, self._proven = self._wire, None, None
        if wire is not None:
            wire.close()


def _command(op: Put | Delete) -> Command:
    key = op.key.encode()
    if isinstance(op, Delete):
        return ("DEL", key)
    if op.ttl is None:
        return ("SET", key, op.value)
    return ("SET", key, op.value, "PX", max(1, round(op.ttl * 1000)))
