"""The names for transport authors: ``from datasync_core.transport import Transport, Subscription, Entry, …``."""

from datasync_core.model.duplicates import name_twice
from datasync_core.model.entries import Batch, Capabilities, Cursor, Delete, Entry, Gone, Put
from datasync_core.model.errors import (
    AuthenticationFailed,
    Conflict,
    ConnectionLost,
    CursorExpired,
    Misconfigured,
    StoreError,
    Unsupported,
)
from datasync_core.model.keys import Subtree, covers, is_subtree, key_name, outermost
from datasync_core.model.owner import Owner
from datasync_core.model.url import Url
from datasync_core.spec.listing import ListingTransport, Reader, Unchanged
from datasync_core.spec.stranger import stranger
from datasync_core.spec.transport import Subscription, Transport, Writer

__all__ = [
    "AuthenticationFailed",
    "Batch",
    "Capabilities",
    "Conflict",
    "ConnectionLost",
    "Cursor",
    "CursorExpired",
    "Delete",
    "Entry",
    "Gone",
    "ListingTransport",
    "Misconfigured",
    "Owner",
    "Put",
    "Reader",
    "StoreError",
    "Subscription",
    "Subtree",
    "Transport",
    "Unchanged",
    "Unsupported",
    "Url",
    "Writer",
    "covers",
    "is_subtree",
    "key_name",
    "name_twice",
    "outermost",
    "stranger",
]
