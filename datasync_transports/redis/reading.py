"""Reading many keys at once, whatever is in them: strings as they are, hashes as JSON objects, the rest as errors.

``MGET`` says nil for a key that is not there and for one that is no string alike; only then are types asked for. A
store where others than strings were met is asked for types first. How many keys are read at once follows from how
large their values are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from redis.exceptions import ResponseError

from datasync_core.transport import Entry, Gone, key_name
from datasync_transports.redis.failures import is_forbidden
from datasync_transports.redis.paths import Paths
from datasync_transports.redis.wire import Command, Wire

_SCAN = 2000  # names that one SCAN looks at; more is hardly faster, and others wait for it
_AT_ONCE = 10_000  # keys
_BYTES = 16 * 1024 * 1024  # of values, about
_TURNS = 3  # at reading keys by their types, which may change in between
_FIRST = 128  # keys that are read at once before it is known how large values are
_NAMES = frozenset([bytes])
_VALUES = frozenset([bytes, type(None)])

Change = Entry | Gone


class Reader:
    """Reads over one wire. Owned by its thread."""

    def __init__(self, wire: Wire, paths: Paths, *, watched: bool = False) -> None:
        """``watched``: all that is read is under a ``WATCH``, which an ``EXEC`` in between would end."""
        self._wire = wire
        self._watched = watched
        self._paths = paths
        self._mixed = False  # whether others than strings were met
        self._ahead: Command | None = None  # the next SCAN, which goes along with a read
        self._scanned: Any = None  # its answer
        self.at_once = _FIRST
        """How many keys may be read as one state now."""

    def everything(self) -> Iterator[list[Entry]]:
        """All that lies below the paths, in chunks. What changes meanwhile may be missed, or come twice."""
        self._ahead = self._scanned = None
        yield from self._chunks(list(self._paths.keys), last=True)
        pattern = self._paths.pattern
        if pattern is None:
            return
        cursor: bytes | int = 0
        waiting: list[bytes] = []
        while True:
            scanned, self._scanned = self._scanned, None
            command = _scan(cursor, pattern)
            cursor, names = self._page(scanned or self._wire.call(*command), command)
            waiting += self._paths.below(names)
            self._ahead = _scan(cursor, pattern) if cursor else None
            yield from self._chunks(waiting, last=not cursor)
            if not cursor:
                return

    def read(self, keys: Sequence[bytes]) -> dict[bytes, Change]:
        """What is in these keys at one moment of the store; when this returns, all that was done up to that moment
        is among the names that the wire has heard.

        The server sends the names that a turn of its loop has gathered at the end of that turn, after the answers: a
        second question, asked when the first was answered, comes in a later one.
        """
        kinds = self._kinds(keys) if self._mixed else {}
        for _ in range(_TURNS):
            strings = [key for key in keys if kinds.get(key, "none") in ("string", "none")]
            hashes = [key for key in keys if kinds.get(key) == "hash"]
            values, fields = self._values(strings, hashes)
            absent = [key for key, value in zip(strings, values, strict=True) if value is None]
            left = self._wire.call("EXISTS", *absent) if absent else self._wire.call("PING")
            doubtful = [key for key, found in fields.items() if isinstance(found, ResponseError)]
            if absent and left:
                doubtful += absent
            if doubtful:
                found = self._kinds(doubtful)
                kinds.update(found)
                if (
                    any(kind not in ("string", "none") for kind in found.values())
                    or fields.keys() & found.keys()
                ):
                    continue
            return self._changes(keys, kinds, dict(zip(strings, values, strict=True)), fields)
        return self._surely(keys)

    def _surely(self, keys: Sequence[bytes]) -> dict[bytes, Change]:
        """The same where types change faster than they are asked for: each key as a string and as a hash, at once."""
        commands: list[Command] = [("MGET", *keys)]
        commands += [(name, key) for key in keys for name in ("TYPE", "HGETALL")]
        values, *rest = self._together(commands)
        for command, answer in zip(commands, (values, *rest), strict=True):
            if is_forbidden(answer):
                raise self._wire.refused(answer, command)
        self._wire.call("PING")
        kinds = self._named(keys, rest[::2])
        self._check(values, len(keys))
        fields = self._hashes(keys, rest[1::2])
        return self._changes(keys, kinds, dict(zip(keys, values, strict=True)), fields)

    def _chunks(self, waiting: list[bytes], *, last: bool) -> Iterator[list[Entry]]:
        """Read and take away from what waits, as long as it fills a chunk."""
        while waiting and (last or len(waiting) >= min(self.at_once, _SCAN)):
            keys = waiting[: self.at_once]
            del waiting[: len(keys)]
            yield [change for change in self._loosely(keys) if not change.gone]

    def _loosely(self, keys: list[bytes]) -> Iterator[Change]:
        """What is in these keys, each at a moment of its own."""
        kinds = self._kinds(keys) if self._mixed else dict.fromkeys(keys, "string")
        strings = [key for key in keys if kinds[key] == "string"]
        values, fields = self._values(strings, [key for key in keys if kinds[key] == "hash"], together=False)
        texts = dict(zip(strings, values, strict=True))
        absent = [key for key, value in texts.items() if value is None]
        if absent and not self._mixed:  # they were there a moment ago
            found = self._kinds(absent)
            kinds.update(found)
            hashes = [key for key, kind in found.items() if kind == "hash"]
            fields.update(self._values([], hashes, together=False)[1])
        yield from self._changes(keys, kinds, texts, fields).values()

    def _kinds(self, keys: Sequence[bytes]) -> dict[bytes, str]:
        kinds = self._named(keys, self._ask([("TYPE", key) for key in keys]))
        self._mixed = self._mixed or any(kind not in ("string", "none") for kind in kinds.values())
        return kinds

    def _values(
        self, strings: Sequence[bytes], hashes: Sequence[bytes], *, together: bool = True
    ) -> tuple[list[bytes | None], dict[bytes, Any]]:
        """The strings and the hashes' fields (an error for what is no hash); ``together``: at one moment."""
        commands: list[Command] = [("MGET", *strings)] if strings else []
        commands += [("HGETALL", key) for key in hashes]
        at_once = together and len(commands) > 1
        answers = self._together(commands) if at_once else self._along(commands)
        for command, answer in zip(commands, answers, strict=True):
            if is_forbidden(answer) or (isinstance(answer, ResponseError) and command[0] == "MGET"):
                raise self._wire.refused(answer, command)
        values: list[bytes | None] = self._check(answers[0], len(strings)) if strings else []
        fields = self._hashes(hashes, answers[1:] if strings else answers)
        self._learn(values, fields)
        return values, fields

    def _along(self, commands: Sequence[Command]) -> list[Any]:
        """The answers; the SCAN that is due is sent along, so that the server works while we do."""
        ahead, self._ahead = self._ahead, None
        if ahead is None:
            return self._wire.pipeline(commands) if commands else []
        *answers, self._scanned = self._wire.pipeline([*commands, ahead])
        if isinstance(self._scanned, ResponseError):
            raise self._wire.refused(self._scanned, ahead)
        return answers

    def _together(self, commands: Sequence[Command]) -> list[Any]:
        """The answers of a transaction; under a ``WATCH`` that is open, its own ``EXEC`` says whether it was one."""
        if self._watched:
            return self._wire.pipeline(commands)
        answers = self._ask([("MULTI",), *commands, ("EXEC",)])[-1]
        if not isinstance(answers, list) or len(answers) != len(commands):
            raise self._wire.senseless(("EXEC",))
        return answers

    def _check(self, values: Any, count: int) -> list[bytes | None]:
        """What ``MGET`` has answered, if that can be it."""
        if not isinstance(values, list) or len(values) != count or not _VALUES.issuperset(map(type, values)):
            raise self._wire.senseless(("MGET",))
        return values

    def _named(self, keys: Sequence[bytes], answers: Sequence[Any]) -> dict[bytes, str]:
        """The types that ``TYPE`` has answered."""
        kinds = {}
        for key, kind in zip(keys, answers, strict=True):
            if not isinstance(kind, bytes) or not kind.isascii():
                raise self._wire.senseless(("TYPE",))
            kinds[key] = kind.decode()
        return kinds

    def _hashes(self, keys: Sequence[bytes], answers: Sequence[Any]) -> dict[bytes, Any]:
        """The fields, or an error for what is no hash, that ``HGETALL`` has answered."""
        for answer in answers:
            sound = isinstance(answer, dict) and _NAMES.issuperset(map(type, (*answer, *answer.values())))
            if not sound and not isinstance(answer, ResponseError):
                raise self._wire.senseless(("HGETALL",))
        return dict(zip(keys, answers, strict=True))

    def _page(self, answer: Any, command: Command) -> tuple[int, list[bytes]]:
        """The cursor and the names of one ``SCAN``."""
        match answer:
            case [bytes() as cursor, list() as names] if cursor.isdigit() and _NAMES.issuperset(
                map(type, names)
            ):
                return int(cursor), names
        raise self._wire.senseless(command)

    def _ask(self, commands: Sequence[Command]) -> list[Any]:
        """The answers, none of which may be an error."""
        answers = self._wire.pipeline(commands)
        for command, answer in zip(commands, answers, strict=True):
            if isinstance(answer, ResponseError):
                raise self._wire.refused(answer, command)
        return answers

    def _learn(self, values: list[bytes | None], fields: dict[bytes, Any]) -> None:
        count = len(values) + len(fields)
        if count:
            size = sum(map(len, filter(None, values)))
            for found in fields.values():
                if isinstance(found, dict):
                    size += sum(map(len, found)) + sum(map(len, found.values()))
            self.at_once = max(1, min(_AT_ONCE, _BYTES * count // max(size, 1), 8 * max(count, _FIRST)))

    def _changes(
        self,
        keys: Sequence[bytes],
        kinds: dict[bytes, str],
        texts: dict[bytes, bytes | None],
        fields: dict[bytes, Any],
    ) -> dict[bytes, Change]:
        changes: dict[bytes, Change] = {}
        for key in keys:
            value = texts.get(key)
            try:
                name, error = key.decode(), None
            except UnicodeDecodeError:
                shown = key.decode(errors="backslashreplace")
                name, error = key_name(key), f"the key {shown} is no UTF-8 text; write it anew"
            else:
                if "\0" in name:
                    name = key_name(key)
            if value is None:
                kind = kinds.get(key, "none")
                if kind == "hash" and key in fields:
                    value, wrong = _object(fields[key])
                    error = error or wrong
                elif kind not in ("string", "none", "hash"):
                    value, error = (
                        b"",
                        error or f"the key holds a {kind}, which is no value; strings and hashes are",
                    )
            changes[key] = Gone(name) if value is None else Entry(name, value, 0, error)
        return changes


def _scan(cursor: bytes | int, pattern: bytes) -> Command:
    return "SCAN", cursor, "MATCH", pattern, "COUNT", _SCAN


def _object(fields: Any) -> tuple[bytes | None, str | None]:
    """A hash as a JSON object of texts, always in the same order, or what is wrong with it; None: there is none."""
    if not isinstance(fields, dict) or not fields:
        return None, None
    texts: dict[str, str] = {}
    for name, value in fields.items():
        try:
            texts[name.decode()] = value.decode()
        except UnicodeDecodeError:
            shown = name.decode(errors="backslashreplace")
            return b"", f"the field {shown} of the hash is no UTF-8 text, which JSON has to be"
    return msgspec.json.encode(texts, order="deterministic"), None
