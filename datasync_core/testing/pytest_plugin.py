"""The pytest plugin: gives tests the fixture `harness`, and shows what plugins were told where a test fails.

pytest loads this module in every project of an environment in which the host is installed, so it imports nothing
but pytest; the kit comes with the first use of the fixture. Nothing here needs a pytest newer than the Python.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from datasync_core.testing.harness import Harness


class HarnessFactory:
    """What the fixture `harness` is: called like `Harness`, it makes one; `stop` stops all. The test's thread."""

    def __init__(self) -> None:
        self.made: list[Harness] = []

    def __call__(self, **arguments: Any) -> Harness:
        """A harness; arguments are those of `datasync_core.testing.Harness`. Stopped at the end of the test."""
        from datasync_core.testing.harness import Harness

        harness = Harness(**arguments)
        self.made.append(harness)
        return harness

    def stop(self) -> None:
        """Call `on_stop` of every plugin that still runs."""
        for harness in self.made:
            harness.stop()


@pytest.fixture
def harness() -> Iterator[HarnessFactory]:
    """Make a Harness that drives plugins in this test: harness(routes=acme_routes, config={"routes": {...}})."""
    factory = HarnessFactory()
    yield factory
    factory.stop()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: Any, call: Any) -> None:
    """Before pytest makes the report of a test that failed: add the calls and states of its harnesses."""
    factory = getattr(item, "funcargs", {}).get("harness")
    if call.when == "call" and call.excinfo is not None and isinstance(factory, HarnessFactory):
        for made in factory.made:
            item.add_report_section("call", "datasync harness", repr(made))
