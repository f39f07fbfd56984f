"""A place of its own in the store for each check, and copies of it as subscriptions tell them.

A `Site` writes from outside and remembers what it wrote; a `Copy` follows one subscription and is compared with
that. So a check says only what happens, and what must be seen follows.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import TypeVar

from datasync_core.model.entries import Batch, Capabilities, Cursor, Delete, Entry, Put
from datasync_core.model.errors import CursorExpired, StoreError, Unsupported
from datasync_core.model.keys import Subtree, covers, is_subtree
from datasync_core.spec.transport import Subscription, Transport, Writer
from datasync_core.testing.conformance.outside import OutsideStore
from datasync_core.testing.conformance.rules import Broken, raises, require

T = TypeVar("T")
_AT_ONCE = 100  # keys in one transaction from outside: etcd takes 128
_PACE = 0.0005  # seconds between writes in the background: no store's history is overrun by them
_SHOWN = 3  # differences in a message


def doc(number: int) -> bytes:
    """A value: a JSON document that any store of documents takes."""
    return b'{"n": %d}' % number


class Site:
    """Where one check writes: all its keys begin with ``prefix``. Writes come from one thread at a time."""

    def __init__(self, transport: Transport, outside: OutsideStore, patience: float) -> None:
        self.transport = transport
        self.outside = outside
        self.patience = patience
        self.prefix = f"conformance-{uuid.uuid4().hex[:12]}/"
        self.truth: dict[str, bytes] = {}
        """Key → value (as `canonical` has it) of what was written and not deleted."""
        self._stack = ExitStack()

    @property
    def can(self) -> Capabilities:
        """What the transport declares."""
        return self.transport.capabilities

    def canonical(self, value: bytes) -> bytes:
        """What is compared: the bytes where any are kept, else the document, however it is written."""
        if self.can.raw:
            return value
        try:
            return json.dumps(json.loads(value), sort_keys=True).encode()
        except ValueError:
            return value

    def put(self, name: str, value: bytes) -> None:
        """Write one key from outside."""
        self.outside.put(self.prefix + name, value)
        self.truth[self.prefix + name] = self.canonical(value)

    def delete(self, name: str) -> None:
        """Remove one key from outside."""
        self.outside.delete(self.prefix + name)
        del self.truth[self.prefix + name]

    def fill(self, values: Mapping[str, bytes]) -> None:
        """Write many keys, some at once where that can be."""
        items = [(self.prefix + name, value) for name, value in values.items()]
        if self.outside.commit is None:
            for key, value in items:
                self.outside.put(key, value)
        else:
            for start in range(0, len(items), _AT_ONCE):
                self.outside.commit(dict(items[start : start + _AT_ONCE]))
        self.truth.update((key, self.canonical(value)) for key, value in items)

    def committer(self) -> Callable[[Mapping[str, bytes]], object] | None:
        """What writes several names in one transaction, from outside or else by the transport; None: nothing can."""
        outside = self.outside.commit
        if outside is not None:
            return lambda values: outside({self.prefix + name: value for name, value in values.items()})
        writer = self.writer()
        if writer is None:
            return None
        return lambda values: writer.commit([Put(self.prefix + n, value) for n, value in values.items()])

    def write(self, writer: Writer, *ops: Put | Delete, expect: Mapping[str, int] = {}) -> int:
        """Commit by the transport's own writer; keys are names here. The revision."""
        placed = [
            Put(self.prefix + op.key, op.value, op.ttl, op.alive)
            if isinstance(op, Put)
            else Delete(self.prefix + op.key)
            for op in ops
        ]
        revision = writer.commit(
            placed, expect={self.prefix + name: number for name, number in expect.items()}
        )
        for op in placed:
            if isinstance(op, Put):
                self.truth[op.key] = self.canonical(op.value)
            else:
                self.truth.pop(op.key, None)
        return revision

    def refused(self, writer: Writer, what: str, *ops: Put | Delete, expect: Mapping[str, int] = {}) -> None:
        """Require that a commit raises `Unsupported` and writes nothing."""
        before = dict(self.truth)
        if not raises(
            Unsupported,
            lambda: self.write(writer, *ops, expect=expect),
            f"{what} is not declared, and commit",
        ):
            self.truth = before
            raise Broken(f"{what} is not declared and yet was taken; declare it, or raise Unsupported")
        require(self.copy().read().is_true(), f"{what} raised Unsupported, but something of it was written")

    def writer(self) -> Writer | None:
        """A writer, closed at the end; None where the transport is read-only."""
        try:
            writer = self.transport.writer()
        except Unsupported:
            return None
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
            raise Broken(
                f"writer() raised {found}; expected a Writer, or Unsupported of a read-only store"
            ) from error
        self._stack.callback(_quietly, writer.close)
        return writer

    def copy(self, *names: str, everything: bool = False) -> Copy:
        """A copy of what lies under these names (none: all of this site), not read yet; closed at the end."""
        places = [self._path(name) for name in names or ("",)]
        return Copy(self, [""] if everything else places)

    def subscribe(self, paths: Sequence[str]) -> Subscription:
        """A subscription, closed at the end."""
        subscription = self.transport.subscribe(paths)
        self._stack.callback(_quietly, subscription.close)
        return subscription

    def close(self) -> None:
        """Close what was opened."""
        self._stack.close()

    def within(self, seconds: float, call: Callable[[], T], what: str) -> T:
        """What ``call`` returns or raises, on a thread of its own; `Broken` where that takes longer."""
        results: list[T] = []
        errors: list[Exception] = []

        def run() -> None:
            try:
                results.append(call())
            except Exception as error:
                errors.append(error)

        thread = threading.Thread(target=run, name="conformance", daemon=True)
        thread.start()
        thread.join(seconds)
        require(not thread.is_alive(), f"{what} did not return within {seconds:g} s")
        if errors:
            raise errors[0]
        return results[0]

    @contextmanager
    def meanwhile(self, act: Callable[[int], None]) -> Iterator[None]:
        """Do ``act(1)``, ``act(2)``, … on another thread while the block runs; at the end raise what it raised."""
        ended = threading.Event()
        errors: list[Exception] = []

        def run() -> None:
            number = 0
            try:
                while not ended.wait(_PACE):
                    number += 1
                    act(number)
            except Exception as error:
                errors.append(error)

        thread = threading.Thread(target=run, name="conformance", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
        if errors:
            raise errors[0]

    def _path(self, name: str) -> str:
        return Subtree(self.prefix + name) if isinstance(name, Subtree) else self.prefix + name


class Copy:
    """What one subscription told so far. Owned by one thread."""

    def __init__(self, site: Site, paths: Sequence[str]) -> None:
        self.entries: dict[str, Entry] = {}
        """By key; those of others in the same store are left out."""
        self.subscription = site.subscribe(paths)
        self._site = site
        self._paths = paths
        self._values: dict[str, bytes] = {}

    @property
    def values(self) -> Mapping[str, bytes]:
        """Key → value (as `Site.canonical` has it) of what is there."""
        return self._values

    @property
    def cursor(self) -> Cursor | None:
        """Where the subscription stands."""
        return self.subscription.cursor

    def read(self) -> Copy:
        """Read a snapshot to its end."""
        for chunk in self.subscription.snapshot():
            self.take(chunk)
        return self

    def resume(self, before: Copy, cursor: Cursor | None) -> None:
        """Go on where another copy stood."""
        require(cursor is not None, "resumable is declared, but there is no cursor after a snapshot")
        assert cursor is not None
        self.entries, self._values = dict(before.entries), dict(before._values)
        try:
            self.subscription.resume(cursor)
        except CursorExpired as error:
            raise Broken(
                f"resumable is declared, but a cursor just given out has expired: {error}"
            ) from error

    def poll(self, timeout: float) -> Batch | None:
        """Poll once and apply what came."""
        batch = self.subscription.poll(timeout)
        if batch is not None:
            if batch.cleared:
                self.entries.clear()
                self._values.clear()
            for change in batch.changes:
                if change.gone:
                    self.entries.pop(change.key, None)
                    self._values.pop(change.key, None)
                else:
                    self.take([change])
        return batch

    def take(self, entries: Iterable[Entry]) -> None:
        """Apply entries."""
        site = self._site
        for entry in entries:
            if entry.key.startswith(site.prefix):
                self.entries[entry.key] = entry
                shown = entry.value if entry.error is None else b"an error: " + entry.error.encode()
                self._values[entry.key] = site.canonical(shown)

    def is_true(self) -> bool:
        """Whether it equals what was written."""
        return self._values == self._expected()

    def follow(self) -> list[Batch]:
        """Poll until it equals what was written, and then while there is more at once; the batches that came."""
        batches: list[Batch] = []
        deadline = time.monotonic() + self._site.patience
        while not self.is_true():
            if time.monotonic() >= deadline:
                raise Broken(f"{self.difference()}, {self._site.patience:g} s after it was written")
            batches += filter(None, [self.poll(0.2)])
        while time.monotonic() < deadline and (batch := self.poll(0.0)) is not None:
            batches.append(batch)
        self.check()
        return batches

    def check(self) -> None:
        """Require that it equals what was written."""
        require(self.is_true(), self.difference())

    def difference(self) -> str:
        """Where it differs from what was written, in words."""
        expected, found = self._expected(), self._values
        wrong = sorted(key for key in {*expected, *found} if expected.get(key) != found.get(key))
        words = [f"{key} {_is(found.get(key))} and not {_was(expected.get(key))}" for key in wrong[:_SHOWN]]
        more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        return f"under {self._paths}: {'; '.join(words)}{more}"

    def until_lost(self, seconds: float, what: str) -> StoreError:
        """Poll as the host does, until that raises; what it raises. `Broken` where it does not."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                self.poll(min(left, 5.0))
            except StoreError as error:
                return error
        raise Broken(f"{what}, and poll told nothing of it for {seconds:g} s; raise ConnectionLost")

    def _expected(self) -> dict[str, bytes]:
        truth = self._site.truth
        keys = {path for path in self._paths if not is_subtree(path)}
        subtrees = [path for path in self._paths if is_subtree(path)]
        return {
            key: value
            for key, value in truth.items()
            if key in keys or any(covers(path, key) for path in subtrees)
        }


def _quietly(close: Callable[[], None]) -> None:
    with suppress(
        Exception
    ):  # checks of their own hold `close` to its rule; this would only hide what they said
        close()


def _is(value: bytes | None) -> str:
    return "is absent" if value is None else f"is {_short(value)}"


def _was(value: bytes | None) -> str:
    return "absent" if value is None else _short(value)


def _short(value: bytes) -> str:
    return repr(value) if len(value) < 60 else f"{value[:40]!r}… ({len(value)} bytes)"
