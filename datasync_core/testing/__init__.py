"""Kits for authors: `Harness` drives plugins under a test, `TransportConformance` holds a transport to the rules.

`VirtualRuntime` is what simulations stand on: it decides who runs by a seed. All names are imported when they are
first used, so the pytest plugin costs nothing where it is not, and `Harness` needs no pytest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasync_core.testing.calls import Call, Told
    from datasync_core.testing.conformance.outside import OutsideStore
    from datasync_core.testing.conformance.suite import TransportConformance
    from datasync_core.testing.harness import Harness
    from datasync_core.testing.virtual import Deadlock, VirtualRuntime
else:
    _HOMES = {
        "Call": "calls",
        "Deadlock": "virtual",
        "Harness": "harness",
        "OutsideStore": "conformance.outside",
        "Told": "calls",
        "TransportConformance": "conformance.suite",
        "VirtualRuntime": "virtual",
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


__all__ = ["Call", "Deadlock", "Harness", "OutsideStore", "Told", "TransportConformance", "VirtualRuntime"]
