"""What an event reads from: a view of the copy as one plugin sees it, made for one call.

The dispatcher's parts give it (`dispatch.news`, `dispatch.call`), an event asks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from datasync_core.model.entries import Entry

if TYPE_CHECKING:
    from datasync_core.spec.watch import Watch

Key = str | tuple[str, str]


Run: TypeAlias = (
    "tuple[Watch[Any], Collection[str], Iterable[Entry], Iterable[Entry | None], Iterable[Any] | None]"
)
"""A watch, keys under it, and in the same order their entries, what was applied of them, and the values where these
are decoded already.

Columns rather than rows, so that changes are made of them without a step of the interpreter for each.
"""


Single: TypeAlias = "tuple[Watch[Any], Entry, Entry | None]"
"""The watch, the entry and what was applied of the one key that is told."""


Gone: TypeAlias = "tuple[Watch[Any], str, Entry | None]"
"""The watch, the key and the applied entry of what is to be deleted."""


class State(Protocol):
    """The keys of one watch as one plugin sees them: the replica, but for last good and not yet deleted values."""

    def get(self, key: str) -> Entry | None: ...
    def __iter__(self) -> Iterator[Entry]: ...
    def __len__(self) -> int: ...


class View(Protocol):
    """What one call shows. Every method belongs to the dispatcher thread."""

    watches: tuple[Watch[Any], ...]
    one_store: bool
    single: Single | None
    """What is told where that is known to be one create or update: a quicker `told`."""

    @property
    def invalid(self) -> Mapping[Key, str]:
        """Key → why, of what cannot be told."""

    @property
    def held(self) -> Mapping[Key, str]:
        """Key → why, of removals that the brake holds."""

    def state(self, watch: Watch[Any]) -> State:
        """The whole state of a watch."""

    def told(self, watch: Watch[Any] | None) -> tuple[Iterable[Gone], Iterable[Run]]:
        """What is to be deleted in this call (empty: false), and what to be created or updated; None: of all watches.

        Where the runs come as a list, one loop is made of them all.
        """

    def frozen(self, watch: Watch[Any], key: str) -> bool:
        """Whether no diff may touch a key: it is invalid, rejected, held, or its delete comes later."""

    def revision(self, watch: Watch[Any]) -> int:
        """The newest revision known of a watch's store."""

    def retry(self, store: str | None, key: str, reason: str, delay: float | None) -> None:
        """Keep a key pending. ``store`` None: whichever watches it."""

    def reject(self, store: str | None, key: str, reason: str) -> None:
        """Give up on a key until it changes."""
