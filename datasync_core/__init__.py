"""datasync: act on data that somebody else owns, with nothing lost.

The names for plugin authors, imported when first used, so that ``datasync-host --version`` stays quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasync_core.host import Host
    from datasync_core.model.changes import Change, Kind
    from datasync_core.model.entries import Delete, Put
    from datasync_core.model.errors import Reject, Retry
    from datasync_core.model.faults import Fault
    from datasync_core.spec.context import Context, Publisher
    from datasync_core.spec.event import Event
    from datasync_core.spec.hooks import hookimpl
    from datasync_core.spec.watch import Watch
else:
    _HOMES = {
        "Change": "model.changes",
        "Context": "spec.context",
        "Delete": "model.entries",
        "Event": "spec.event",
        "Fault": "model.faults",
        "Host": "host",
        "Kind": "model.changes",
        "Publisher": "spec.context",
        "Put": "model.entries",
        "Reject": "model.errors",
        "Retry": "model.errors",
        "Watch": "spec.watch",
        "hookimpl": "spec.hooks",
    }

    def __getattr__(name):
        from importlib import import_module

        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value

    def __dir__():
        return sorted({*globals(), *_HOMES})


__all__ = [
    "Change",
    "Context",
    "Delete",
    "Event",
    "Fault",
    "Host",
    "Kind",
    "Publisher",
    "Put",
    "Reject",
    "Retry",
    "Watch",
    "hookimpl",
]
