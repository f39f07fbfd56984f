from __future__ import annotations

import threading

from datasync_core.testing import VirtualRuntime


def test_every_thread_ends_with_its_runtime_also_those_that_wait_for_ever() -> None:
    with VirtualRuntime() as runtime:

        def wait() -> None:
            runtime.block(lambda: False, None)

        threads = [runtime.start(wait, f"waits {number}").real for number in range(5)]
        runtime.run(1)
        assert set(threads) <= set(threading.enumerate())
    assert not set(threads) & set(threading.enumerate())
    assert not any(thread.is_alive() for thread in threads)
