"""One configured store: a transport under a name, seen through its prefix and separator.

Keys of the host are relative and separated by ``/``. In the store they begin with ``prefix`` (in the store's own
notation), and ``separator`` and ``/`` change places, so that every key has exactly one name on each side.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TypeVar
from urllib.parse import quote

from datasync_core.model.entries import Batch, Capabilities, Cursor, Delete, Entry, Gone, Put
from datasync_core.model.errors import ConfigError
from datasync_core.model.keys import Subtree, is_subtree
from datasync_core.model.url import REDACTED
from datasync_core.spec.transport import Subscription, Transport, Writer

Renamed = TypeVar("Renamed", bound=Entry | Gone)


class Store:
    """A named store. Opens nothing until used; any thread may call it."""

    def __init__(
        self,
        name: str,
        transport: Transport,
        *,
        prefix: str = "",
        separator: str = "/",
        secret: Collection[str] = (),
    ) -> None:
        """``secret``: which of prefix and separator must not be shown.

        Raises `ConfigError` for a separator that is not one character.
        """
        if len(separator) != 1:
            raise ConfigError(f"store {name}: separator is one character, got {separator!r}")
        self.name = name
        self.transport = transport
        self._names = _Names(prefix, separator) if prefix or separator != "/" else None
        given = [("prefix", prefix, ""), ("separator", separator, "/")]
        self._shown = [
            f"{option}={REDACTED if option in secret else quote(value, safe='/:,')}"
            for option, value, default in given
            if value != default
        ]

    @property
    def url(self) -> str:
        """Where it is, with prefix and separator wherever these were set, as an operator may see it."""
        text = str(self.transport.url)
        shown = "&".join(self._shown)
        return f"{text}{'&' if '?' in text else '?'}{shown}" if shown else text

    @property
    def capabilities(self) -> Capabilities:
        """What the store can do."""
        return self.transport.capabilities

    @property
    def compares_values(self) -> bool:
        """Whether ``expect`` takes what stands for values (`Transport.revision_of`), for want of revisions."""
        return self.capabilities.compare and not self.capabilities.revisions

    def key(self, key: str) -> str:
        """A key of the host as the store has it."""
        return key if self._names is None else self._names.key(key)

    def subscribe(self, paths: Sequence[str]) -> Subscription:
        """A new subscription to these paths."""
        if self._names is None:
            return self.transport.subscribe(paths)
        return _MappedSubscription(
            self.transport.subscribe([self._names.path(path) for path in paths]), self._names
        )

    def writer(self) -> Writer:
        """A new writer. Raises `Unsupported` where the store is read-only."""
        writer = self.transport.writer()
        return writer if self._names is None else _MappedWriter(writer, self._names)

    def close(self) -> None:
        """Let go of the transport."""
        self.transport.close()

    def __repr__(self) -> str:
        return f"<store {self.name}: {self.url}>"


class _Names:
    """Translates keys: ours to the store's and back."""

    def __init__(self, prefix: str, separator: str) -> None:
        self.prefix = prefix
        self._start = len(prefix)
        self._swap = None if separator == "/" else str.maketrans({separator: "/", "/": separator})

    def path(self, path: str) -> str:
        text = self.key(path)
        return Subtree(text) if is_subtree(path) else text

    def key(self, key: str) -> str:
        return self.prefix + (key if self._swap is None else key.translate(self._swap))

    def strip(self, key: str) -> str:
        key = key[self._start :]
        return key if self._swap is None else key.translate(self._swap)


class _MappedSubscription(Subscription):
    """A subscription whose keys are renamed in place: the transport gave them away."""

    def __init__(self, inner: Subscription, names: _Names) -> None:
        self._inner = inner
        self._strip = names.strip

    def snapshot(self) -> Iterator[Sequence[Entry]]:
        for chunk in self._inner.snapshot():
            yield self._rename(chunk)

    def resume(self, cursor: Cursor) -> None:
        self._inner.resume(cursor)

    def poll(self, timeout: float) -> Batch | None:
        batch = self._inner.poll(timeout)
        if batch is not None:
            self._rename(batch.changes)
        return batch

    @property
    def cursor(self) -> Cursor | None:
        return self._inner.cursor

    @property
    def revision(self) -> int:
        return self._inner.revision

    def wake(self) -> None:
        self._inner.wake()

    def close(self) -> None:
        self._inner.close()

    def _rename(self, changes: Sequence[Renamed]) -> Sequence[Renamed]:
        strip = self._strip
        for change in changes:
            change.key = strip(change.key)
        return changes


class _MappedWriter(Writer):
    def __init__(self, inner: Writer, names: _Names) -> None:
        self._inner = inner
        self._key = names.key

    def commit(self, ops: Sequence[Put | Delete], *, expect: Mapping[str, int] = {}) -> int:
        key = self._key
        renamed: list[Put | Delete] = [
            Put(key(op.key), op.value, op.ttl, op.alive) if isinstance(op, Put) else Delete(key(op.key))
            for op in ops
        ]
        return self._inner.commit(renamed, expect={key(name): revision for name, revision in expect.items()})

    def close(self) -> None:
        self._inner.close()
