"""When a plugin may be called again: after a call that raised, and after it asked for a resync itself."""

from __future__ import annotations

from contextlib import suppress

from attrs import define, frozen

from datasync_core.model.errors import Reject, Retry, UsageError, seconds
from datasync_core.model.runtime import Runtime
from datasync_core.sync.backoff import Backoff

FLOOR = 0.1
"""Seconds that somebody waits at least who chooses a delay himself, doubled with each time in a row."""


@frozen
class Patience:
    """How long to wait: seconds between attempts, failures before a resync is tried, seconds deletes wait."""

    first: float = 0.5
    most: float = 60.0
    resync_after: int = 3
    hold: float = 15.0


@define
class Trouble:
    """A call that raised: nothing of the plugin is tried before ``due`` (None: before something changes)."""

    text: str
    attempts: int
    due: float | None


class Attempts:
    """One plugin's waits, all on the monotonic clock. Owned by the dispatcher thread."""

    def __init__(self, patience: Patience, runtime: Runtime) -> None:
        self.trouble: Trouble | None = None
        """What the last call raised."""
        self._patience = patience
        self._runtime = runtime
        self._backoff = Backoff(patience.first, patience.most, runtime.random)
        self._pace = Backoff(patience.first, patience.most, runtime.random)
        self._asked: float | None = None  # when the plugin last asked for a resync
        self._not_before = 0.0  # when the resync that it asked for may be made

    def fail(self, text: str, error: BaseException) -> None:
        """A call raised: the next comes after a backoff, when a `Retry` says, or (`Reject`) on a change."""
        attempts = self._backoff.attempts + 1
        delay = self._backoff.next()
        if isinstance(error, Retry):
            with suppress(UsageError):  # a delay that is none: the usual backoff serves
                wanted = seconds(error.delay)
                delay = delay if wanted is None else max(wanted, self._floor(attempts))
        due = None if isinstance(error, Reject) else self._runtime.monotonic() + delay
        self.trouble = Trouble(text, attempts, due)

    def recover(self) -> None:
        """A call succeeded, or there is nothing left to try again."""
        self.trouble = None
        self._backoff.reset()

    def wants_resync(self) -> bool:
        """Whether so many changes in a row failed that a resync may help."""
        trouble = self.trouble
        return (
            trouble is not None
            and trouble.due is not None
            and trouble.attempts % self._patience.resync_after == 0
        )

    def pace(self) -> None:
        """The plugin asks for a resync itself: at once, but where it asks again soon after, it has to wait."""
        now = self._runtime.monotonic()
        if self._asked is None or now - self._asked > self._patience.most:
            self._pace.reset()
        else:
            self._not_before = now + self._pace.next()
        self._asked = now

    def waits(self, *, stirred: bool, resync: bool) -> bool:
        """Whether nothing may be called yet. ``stirred``: something changed since; ``resync``: one is due."""
        now = self._runtime.monotonic()
        if resync and self._not_before > now:
            return True
        if self.trouble is None:
            return False
        if self.trouble.due is not None:
            return self.trouble.due > now
        return not stirred  # it was rejected: in trouble until a call succeeds, and a gate may keep that

    def moments(self, *, resync: bool) -> list[float]:
        """When a wait ends."""
        moments = [] if self.trouble is None or self.trouble.due is None else [self.trouble.due]
        return [*moments, self._not_before] if resync else moments

    def key_wait(self, attempts: int, wanted: float | None) -> float:
        """Seconds that one key waits that is set aside ``attempts`` times in a row; ``wanted``: as its plugin says."""
        if wanted is not None:
            return max(wanted, self._floor(attempts))
        backoff = Backoff(self._patience.first, self._patience.most, self._runtime.random)
        backoff.attempts = attempts - 1
        return backoff.next()

    def _floor(self, attempts: int) -> float:
        """The least wait after so many attempts in a row, whatever the plugin says: a delay of 0 is no hot loop."""
        return min(self._patience.most, FLOOR * 2.0 ** min(attempts - 1, 62))
