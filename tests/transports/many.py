"""How many keys a large store has in the conformance suites."""

from __future__ import annotations

import os

MEASURED = any(name.startswith("COVERAGE_") for name in os.environ)
"""Whether coverage is measured: each key then costs several times as much, and shows nothing more."""
MANY = 10_000 if MEASURED else 100_000
