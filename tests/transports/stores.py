"""A store as tests see it, and what they do with subscriptions."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from datasync_core.transport import Batch, Cursor, Delete, Put, Subscription, Transport, Writer

Held = dict[str, tuple[bytes, int]]


class Store:
    """One store; each `transport` is another user of it."""

    def __init__(self, make: Callable[[], Transport]) -> None:
        self._make = make
        self._stack = ExitStack()

    def transport(self) -> Transport:
        made = self._make()
        self._stack.callback(made.close)
        return made

    def subscribe(self, *paths: str) -> Subscription:
        made = self.transport().subscribe(paths)
        self._stack.callback(made.close)
        return made

    def writer(self) -> Writer:
        made = self.transport().writer()
        self._stack.callback(made.close)
        return made

    def commit(self, *ops: Put | Delete) -> int:
        writer = self.transport().writer()
        try:
            return writer.commit(ops)
        finally:
            writer.close()

    def closing(self, close: Callable[[], object]) -> None:
        """Call that at the end, too."""
        self._stack.callback(close)

    def close(self) -> None:
        self._stack.close()


def read(subscription: Subscription) -> Held:
    """What a snapshot holds."""
    return {entry.key: (entry.value, entry.revision) for chunk in subscription.snapshot() for entry in chunk}


def values(held: Held) -> dict[str, bytes]:
    return {key: value for key, (value, _) in held.items()}


def apply(held: Held, batch: Batch) -> None:
    """Do to ``held`` what a batch says; no key may go back to an older revision."""
    if batch.cleared:
        held.clear()
    for change in batch.changes:
        if change.gone:
            held.pop(change.key, None)
        else:
            assert change.revision >= held.get(change.key, (b"", 0))[1], f"{change.key} went back"
            held[change.key] = (change.value, change.revision)


def follow(
    subscription: Subscription, held: Held, until: Callable[[], bool], seconds: float = 60.0
) -> list[Batch]:
    """Poll and apply until a condition holds; the batches that came."""
    batches: list[Batch] = []
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, f"not reached within {seconds} s, with {len(held)} keys"
        batch = subscription.poll(0.1)
        if batch is not None:
            batches.append(batch)
            apply(held, batch)
    return batches


def cursor_of(subscription: Subscription) -> Cursor:
    """Where it stands; there must be such a place."""
    cursor = subscription.cursor
    assert cursor is not None
    return cursor


def drain(subscription: Subscription) -> list[Batch]:
    """All that is there now."""
    batches: list[Batch] = []
    while (batch := subscription.poll(0.0)) is not None:
        batches.append(batch)
    return batches


def keys(batches: Sequence[Batch]) -> list[str]:
    return [change.key for batch in batches for change in batch.changes]
