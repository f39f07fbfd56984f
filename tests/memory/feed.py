"""A store that is written as fast as it is read: its changes are made when they are asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

from datasync_core.transport import (
    Batch,
    Capabilities,
    Cursor,
    CursorExpired,
    Entry,
    Gone,
    Subscription,
    Transport,
    Url,
)

Step = Batch | Exception | None
CHUNK = 1000


class Feed(Transport):
    """``script(feed)`` yields what each `poll` gives: a batch, nothing for now, or what it raises.

    Only the thread that reads it may touch ``truth``, or any thread after the script has ended.
    """

    capabilities = Capabilities(resumable=True, transactions=True, revisions=True, raw=True)

    def __init__(self, script: Callable[[Feed], Iterator[Step]], content: Mapping[str, bytes] = {}) -> None:
        super().__init__(Url("feed"))
        self.truth: dict[str, tuple[bytes, int]] = {key: (value, 1) for key, value in content.items()}
        self.revision = 1
        self.history = "first"
        self.last = ""  # the key that was written last
        self.error: Exception | None = None  # a mistake of the script
        self.steps = script(self)

    def change(self, values: Mapping[str, bytes | None]) -> Batch:
        """Write these (None: delete) in one transaction."""
        self.revision += 1
        changes: list[Entry | Gone] = []
        for key, value in values.items():
            if value is None:
                self.truth.pop(key, None)
                changes.append(Gone(key, self.revision))
            else:
                self.truth[key] = (value, self.revision)
                self.last = key
                changes.append(Entry(key, value, self.revision))
        return Batch(changes)

    def content(self, under: str) -> dict[str, bytes]:
        """What is there now below a directory, by name."""
        return {
            key.removeprefix(under): value for key, (value, _) in self.truth.items() if key.startswith(under)
        }

    def subscribe(self, paths: Sequence[str]) -> Subscription:
        return Following(self)


class Following(Subscription):
    """A place in a feed's script, which all its subscriptions share."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._woken = threading.Event()
        self._position = 0

    def snapshot(self) -> Iterator[Sequence[Entry]]:
        keys = [*self._feed.truth]
        for start in range(0, len(keys), CHUNK):
            yield [Entry(key, *self._feed.truth[key]) for key in keys[start : start + CHUNK]]
        self._position = self._feed.revision

    def resume(self, cursor: Cursor) -> None:
        if cursor != Cursor(self._feed.history, str(self._feed.revision)):
            raise CursorExpired("the feed cannot go on from there")
        self._position = self._feed.revision

    def poll(self, timeout: float) -> Batch | None:
        try:
            step = next(self._feed.steps)
        except StopIteration:
            self._woken.wait(timeout)
            return None
        except Exception as error:
            self._feed.error = error
            raise
        self._position = self._feed.revision
        if isinstance(step, Exception):
            raise step
        return step

    @property
    def cursor(self) -> Cursor | None:
        return Cursor(self._feed.history, str(self._position))

    @property
    def revision(self) -> int:
        return self._position

    def wake(self) -> None:
        self._woken.set()

    def close(self) -> None:
        pass
