"""A fault: something that broke, told to `on_fault` observers, the log and the state board alike."""

from __future__ import annotations

from enum import StrEnum

from attrs import field, frozen


class FaultKind(StrEnum):
    """What broke."""

    STORE_LOST = "store lost"
    STORE_BACK = "store back"
    STORE_WENT_BACK = "store went back"
    HOOK_FAILED = "hook failed"
    HOOK_HANGS = "hook hangs"
    KEY_FAILED = "key failed"
    VALUE_INVALID = "value invalid"
    VALUE_REJECTED = "value rejected"
    BRAKE = "brake"
    REPORTED = "reported by plugin"
    DELETES_OVERDUE = "deletes overdue"
    AUDIT = "audit"
    MISTAKE = "mistake of datasync"
    LEFTOVERS = "leftovers"
    STATE_DIRECTORY = "state directory"


@frozen
class Fault:
    """One thing that broke: where, what, and when.

    ``time`` is seconds since the Unix epoch. ``cause`` is the exception, where there was one.
    """

    kind: FaultKind
    text: str
    plugin: str | None = None
    store: str | None = None
    key: str | None = None
    time: float = 0.0
    cause: BaseException | None = field(default=None, eq=False, repr=False)
    count: int = 1
    """How often so far: a key that goes on failing for the same reason is one fault, told at its first time."""
    last: float = 0.0
    """When it was counted last; ``time`` is when first."""
