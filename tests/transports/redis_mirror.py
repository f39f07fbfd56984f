"""What one subscription to a Redis has told so far, for tests."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from datasync_core.plugins.transports import make_transport
from datasync_core.transport import Batch, Entry, StoreError, Url

PATIENCE = 60.0
"""Seconds until a change must be told; a sound transport uses none of them."""


class Mirror:
    """A copy that follows one subscription; owned by one thread. ``with`` closes it.

    Nothing ends a wait for ``liveness`` seconds but what the server says, unless a test asks for less.
    """

    def __init__(self, url: str, paths: Sequence[str] = ("p/",), *, liveness: float = 600.0) -> None:
        self.transport = make_transport(Url.parse(url), {})
        self.transport.liveness = liveness
        self.subscription = self.transport.subscribe(paths)
        self.entries: dict[str, Entry] = {}
        self.batches: list[Batch] = []

    @property
    def values(self) -> dict[str, bytes]:
        """Those that can be read."""
        return {key: entry.value for key, entry in self.entries.items() if entry.error is None}

    @property
    def errors(self) -> dict[str, str]:
        return {key: entry.error for key, entry in self.entries.items() if entry.error is not None}

    def read(self) -> Self:
        for chunk in self.subscription.snapshot():
            self.entries.update((entry.key, entry) for entry in chunk)
        return self

    def poll(self, timeout: float = 0.2) -> Batch | None:
        batch = self.subscription.poll(timeout)
        if batch is not None:
            self.batches.append(batch)
            if batch.cleared:
                self.entries.clear()
            for change in batch.changes:
                if change.gone:
                    self.entries.pop(change.key, None)
                else:
                    self.entries[change.key] = change
        return batch

    def until(self, holds: Callable[[], bool]) -> None:
        """Poll until that holds."""
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, (
                f"after {PATIENCE} s there is {list(self.entries.values())[:5]}"
            )
            self.poll()

    def until_lost(self) -> StoreError:
        """Poll until that raises; what it raises."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                self.poll()
            except StoreError as error:
                return error
        raise AssertionError(f"nothing was lost in {PATIENCE} s")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.subscription.close()
        self.transport.close()
