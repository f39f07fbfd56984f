"""Every exception that datasync raises, as one tree.

    DatasyncError
    ├── ConfigError            a setting is unknown or wrong                         (exit 3)
    ├── UsageError             a command or call was used wrongly                    (exit 2)
    ├── PluginError            a plugin cannot be loaded, or breaks a rule           (exit 4)
    │   └── GraphError         requirements that miss something or run in a circle   (exit 4)
    ├── HostError              a host cannot run here, or cannot do this now         (exit 1)
    ├── InvalidValue           bytes that do not decode into a watch's type
    ├── EventExpired           an event was used after its hook had returned
    └── StoreError             a store does not do what was asked                    (exit 1 or 5)
        ├── ConnectionLost     continuity cannot be proven any more; try again
        ├── CursorExpired      the place to resume from is gone; read a snapshot
        ├── AuthenticationFailed
        ├── Misconfigured      trying again will not help until a setting changes
        ├── Conflict           an ``expect=`` did not hold; nothing was written
        └── Unsupported        this store cannot do that (see its capabilities)

    Reject, Retry              raised by plugin authors; signals to the dispatcher, not faults of datasync

Each message says what is wrong, where, and what would be right, in one sentence, and never holds a secret.
"""

from __future__ import annotations

LONGEST = 4096
"""Characters that are kept of a text which is not ours: hundreds are kept, logged and shown, and each may be 20 MB."""


class DatasyncError(Exception):
    """Root of the tree: ``except DatasyncError`` catches what datasync raises, and nothing else."""


class ConfigError(DatasyncError):
    """A setting is unknown or wrong; the message names file, line, key and the nearest right name."""


class UsageError(DatasyncError):
    """A command or a call was used in a way that cannot work."""


class PluginError(DatasyncError):
    """A plugin cannot be loaded, or breaks one of the rules for plugins."""


class GraphError(PluginError):
    """Requirements that name a missing plugin or that run in a circle."""


class HostError(DatasyncError):
    """A host cannot run here (its name is taken), or cannot do what was asked now (it is stopped)."""


class InvalidValue(DatasyncError):
    """Bytes that do not decode into the type of a watch.

    The message has the path in the value and what was expected: ``expected int, got str at $.metric``.
    """


class EventExpired(DatasyncError):
    """An event, or a mapping taken from it, was used after its hook had returned."""

    def __init__(self) -> None:
        super().__init__("this event is over: it is valid only inside the hook, so copy what you keep")


class StoreError(DatasyncError):
    """A store does not do what was asked. Messages name the store, never its password."""


class ConnectionLost(StoreError):
    """Continuity cannot be proven any more; connect again, then resume or read a snapshot."""

    unwritten = False
    """Out of a commit: whether it is known that nothing was written, because nothing was sent."""


class CursorExpired(StoreError):
    """The place to resume from is gone, or belongs to another history: read a snapshot."""


class AuthenticationFailed(StoreError):
    """The store refused who we say we are."""


class Misconfigured(StoreError):
    """The store cannot be used with these settings; trying again does not help."""


class Conflict(StoreError):
    """An expectation (``expect=``) did not hold; nothing of the transaction was written."""


class Unsupported(StoreError):
    """This store cannot do that; its ``capabilities`` say so."""


class Reject(Exception):
    """Raised by a plugin: do not try this again until something changes.

    Out of a hook it concerns the whole event, inside ``with change:`` that key alone.
    """

    reason: str = "rejected by the plugin"  # of a subclass that does not call this one's __init__

    def __init__(self, reason: str = "rejected by the plugin") -> None:
        super().__init__(reason)
        self.reason = reason


class Retry(Exception):
    """Raised by a plugin: try this again after ``delay`` seconds (``None``: by the usual backoff)."""

    reason: str = "to be retried"
    delay: float | None = None

    def __init__(self, reason: str = "to be retried", delay: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.delay = delay


def error_text(error: object) -> str:
    """Return ``str(error)``, cut where it is long, or where that fails a sentence that says so.

    The text of an exception is the code of whoever wrote its class: it may raise anything, and exit.
    """
    try:
        return cut(
            str.__str__(str(error))
        )  # plain text of a subclass of str, which may have methods of its own
    except BaseException:
        return f"a {type(error).__name__} whose text cannot be made"


def cut(text: str, longest: int = LONGEST) -> str:
    """Return a text of at most ``longest`` characters: of a longer one head and tail, and between them its length.

    >>> cut("device said: " + "Z" * 1000 + " (busy)", 64)
    'device said: ZZZZZZZZZ [cut: 1020 characters in all] ZZZZ (busy)'
    """
    if len(text) <= longest:
        return text
    mark = f" [cut: {len(text)} characters in all] "
    tail = (longest - len(mark)) // 3
    return text[: longest - len(mark) - tail] + mark + text[len(text) - tail :]


def said(error: BaseException) -> str:
    """An exception in one line, whatever it is: its text is somebody else's code, may fail, and have any length."""
    try:
        return cut(f"{type(error).__name__}: {str.__str__(str(error))}")
    except BaseException:  # a text that exits, too
        return f"{type(error).__name__}, whose text cannot be made"


def said_reason(signal: Reject | Retry) -> str:
    """The reason of a signal as text."""
    try:
        return cut(str.__str__(str(signal.reason)))
    except BaseException:
        return said(signal)


def seconds(delay: object) -> float | None:
    """A delay as a number of seconds from 0, None where none is given.

    Raises `UsageError` for anything else: not a number, or not a finite one.
    """
    if delay is None:
        return None
    if isinstance(delay, bool) or not isinstance(delay, int | float) or not 0 <= delay < float("inf"):
        raise UsageError(f"a delay is a number of seconds from 0, or None; got {delay!r}")
    return float(delay)
