"""What an operator orders while a hook hangs is done once, when it has returned (G9)."""

from __future__ import annotations

from datasync_core.dispatch.dispatcher import Dispatcher
from datasync_core.model.runtime import RealRuntime


def test_G9_orders_of_one_name_before_a_round_are_one() -> None:
    runtime = RealRuntime()
    dispatcher = Dispatcher(runtime, runtime.doorbell())
    done: list[str] = []
    for number in range(1000):
        dispatcher.submit(lambda number=number: done.append(f"all {number}"), "all")  # type: ignore[misc]  # mypy infers no lambda with defaults
        dispatcher.submit(lambda number=number: done.append(f"one {number}"), "one")  # type: ignore[misc]  # mypy infers no lambda with defaults
    dispatcher.submit(lambda: done.append("nameless"))
    dispatcher.submit(lambda: done.append("nameless"))
    dispatcher.turn()
    assert done == ["all 999", "one 999", "nameless", "nameless"]
    dispatcher.turn()
    assert len(done) == 4
