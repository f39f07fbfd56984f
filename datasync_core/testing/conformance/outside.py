"""The store as somebody else sees it: what the author of a transport tells the suite."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import frozen


@frozen
class OutsideStore:
    """One store, reached by other means than the transport under test (the store's own client, files, …).

    ``url``, ``put`` and ``delete`` enable all checks but those below. A call returns when the store has it. Calls
    come from one thread at a time, not always the same one. Keys are those that the transport shows.
    """

    url: str
    """What a user would write. Secrets in it are looked for in the texts of errors."""
    put: Callable[[str, bytes], object]
    """Write one key. Values are JSON documents, and any bytes where the transport declares ``raw``."""
    delete: Callable[[str], object]
    """Remove one key that is there."""
    commit: Callable[[Mapping[str, bytes | None]], object] | None = None
    """Write several keys in one transaction; None removes. Transactions are checked with it (else with the
    transport's own writer), and a hundred thousand keys are written faster."""
    clear: Callable[[], object] | None = None
    """Remove everything at once, as a flush does: rule 5, ``Batch(cleared=True)``."""
    vanish: Callable[[], object] | None = None
    """Take the whole root away, as an unmount does: rule 5, `ConnectionLost`. Comes last; nothing is put back."""
    stop: Callable[[], object] | None = None
    """Let the store stop answering and keep its connections (SIGSTOP): rule 3, with ``go``."""
    go: Callable[[], object] | None = None
    """Let it answer again."""
    lose: Callable[[], object] | None = None
    """Cut the transport's connections, so that they are closed; none can be made: rules 1 and 7, with ``back``."""
    back: Callable[[], object] | None = None
    """Let connections be made again. Nothing is put or deleted between the two."""
