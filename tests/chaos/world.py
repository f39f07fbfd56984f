"""A store and what may befall it: the part of a chaos that each kind of store has for itself."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from attrs import frozen

from tests.servers.server import Server

End = Callable[[], None]


class Unreadable(Exception):
    """The store does not say what it holds, for the moment."""


@frozen
class Blow:
    """Something that befalls a store. ``do`` begins it and may give what ends it."""

    name: str
    do: Callable[[random.Random], End | None]
    weight: int = 2
    tears: bool = False
    """Whether it leaves groups of which only a part is there."""
    rewinds: bool = False
    """Whether what was there before comes back."""
    alone: bool = False
    """Whether writers have to pause for it, as an operator would have them do."""


def freeze(server: Server) -> End | None:
    """Let nobody answer; nothing where a blow that lingers has taken the server away."""
    if not server.running:
        return None
    server.freeze()
    return server.thaw


class World(ABC):
    """A store of some kind. ``with`` starts and ends it; one thread uses it."""

    kind: str
    whole: bool = True
    """Whether a subscription shows what was committed together together."""
    where: str
    """How a writing process finds the store."""
    url: str
    """How the host finds it, through all that may befall it."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder = folder
        self.rng = rng
        self.stack = ExitStack()

    @abstractmethod
    def begin(self) -> None:
        """Start what there is to start; ``self.stack`` ends it."""

    @abstractmethod
    def blows(self) -> Sequence[Blow]:
        """What may befall it."""

    @abstractmethod
    def heal(self) -> None:
        """End everything that has befallen it: from now on it serves."""

    @abstractmethod
    def truth(self) -> Mapping[str, str | None]:
        """What it holds: key → text, None where there is something that is no value. Raises `Unreadable`."""

    def __enter__(self) -> Self:
        with ExitStack() as safe:
            safe.callback(self.stack.close)
            self.begin()
            safe.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.close()
