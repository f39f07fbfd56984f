"""Checks of `wake` and `close`, which any thread may call at any time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from datasync_core.model.errors import StoreError
from datasync_core.testing.conformance.rules import Rule, holds, require
from datasync_core.testing.conformance.site import Site, doc


class CallChecks:
    """Part of `TransportConformance`."""

    @holds(Rule.CALLS)
    def test_wake_from_another_thread_ends_a_poll(self, site: Site) -> None:
        copy = site.copy().read()
        copy.poll(0.0)
        with _soon(copy.subscription.wake):
            _ends(site, lambda: copy.poll(2 * site.patience), "a poll that another thread woke")
        site.put("a", doc(1))
        copy.follow()

    @holds(Rule.CALLS)
    def test_wake_before_a_poll_ends_it(self, site: Site) -> None:
        copy = site.copy()
        copy.subscription.wake()
        copy.read()
        copy.subscription.wake()
        copy.subscription.wake()
        _ends(site, lambda: copy.poll(2 * site.patience), "the poll after wake")
        site.put("a", doc(1))
        copy.follow()

    @holds(Rule.CALLS)
    def test_close_from_another_thread_ends_a_poll(self, site: Site) -> None:
        copy = site.copy().read()
        copy.poll(0.0)
        with _soon(copy.subscription.close):
            raised = _ends(
                site, lambda: _raises(copy.poll, 2 * site.patience), "a poll that another thread closed"
            )
        require(raised, "a poll that another thread closed returned; raise ConnectionLost")

    @holds(Rule.CALLS)
    def test_close_may_come_first_twice_and_in_a_snapshot(self, site: Site) -> None:
        unused = site.subscribe([site.prefix])
        unused.close()
        unused.close()
        unused.wake()
        require(_raises(unused.poll, 0.0), "poll after close returned; raise ConnectionLost")
        site.fill({f"k{i}": doc(i) for i in range(1500)})
        copy = site.copy()
        chunks = iter(copy.subscription.snapshot())
        copy.take(next(chunks))
        copy.subscription.close()
        try:
            for chunk in chunks:
                copy.take(chunk)
        except StoreError:
            pass
        else:
            require(
                copy.is_true(), "a snapshot that was closed ended as if it were whole; raise ConnectionLost"
            )
        copy.subscription.close()
        copy.subscription.wake()
        copy.subscription.close()

    @holds(Rule.CALLS)
    def test_a_writer_and_a_transport_may_be_closed_twice(self, site: Site) -> None:
        writer = site.writer()
        if writer is not None:
            writer.close()
            writer.close()
        site.transport.close()
        site.transport.close()

    @holds(Rule.CALLS)
    def test_several_subscriptions_live_beside_each_other(self, site: Site) -> None:
        first, second = site.copy().read(), site.copy().read()
        first.subscription.close()
        site.put("a", doc(1))
        second.follow()
        site.copy().read().check()


class _soon:  # noqa: N801 - used as a statement
    """Call something on another thread, once the block has begun."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._run, name="conformance", daemon=True)
        self._call = call

    def __enter__(self) -> None:
        self._thread.start()
        self._begun.set()

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def _run(self) -> None:
        self._begun.wait()
        self._call()


def _ends(site: Site, call: Callable[[], object], what: str) -> bool:
    """Require that a call ends well before its own time; whether what it returned is true."""
    began = time.monotonic()
    result = site.within(4 * site.patience, call, what)
    took = time.monotonic() - began
    require(took < site.patience, f"{what} took {took:.1f} s to end, as though nobody had called")
    return bool(result)


def _raises(poll: Callable[[float], object], timeout: float) -> bool:
    try:
        poll(timeout)
    except StoreError:
        return True
    return False
