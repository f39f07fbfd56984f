"""Kits for authors: `Harness` drives plugins under a test, `VirtualRuntime` decides who runs by a seed."""

from datasync_core.testing.harness import Call, Harness
from datasync_core.testing.virtual import Deadlock, VirtualRuntime

__all__ = ["Call", "Deadlock", "Harness", "VirtualRuntime"]
