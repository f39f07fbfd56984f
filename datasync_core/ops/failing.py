"""The keys of a plugin that are not applied now, and why: what is to be mended, whatever faults there were since."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from datasync_core.dispatch.lane import Lane
from datasync_core.dispatch.ledger import Aside, Frozen, Ice
from datasync_core.model.errors import cut

MOST = 1000
"""Keys of one plugin that are listed; of more their number is told."""
SHORT = 256
"""Characters of a reason in this list; `explain` has it whole."""

_WORDS = {Ice.INVALID: "invalid", Ice.REJECTED: "rejected"}


def failing(lane: Lane, now: float) -> dict[str, Any]:
    """``{number, keys: [{key, store, what, why, count, since, last, retry_in}]}``; ``now`` is monotonic. Any thread.

    ``what`` is failing, invalid or rejected; ``count``, ``since`` and ``last`` (seconds since the Unix epoch) say how
    often so for this reason, and when, and are None in the moment before it is told.
    """
    found = [one for store in lane.ledgers for one in _found(lane, store)]
    return {"number": len(found), "keys": [_told(lane, now, *one) for one in found[:MOST]]}


def _found(lane: Lane, store: str) -> Iterator[tuple[str, str, Aside | Frozen]]:
    ledger = lane.ledgers[store]
    for key, aside in list(
        ledger.aside.items()
    ):  # one step of the interpreter: the dispatcher may be at work
        yield store, key, aside
    for key, frozen in list(ledger.frozen.items()):
        if frozen.ice is not Ice.HELD:
            yield store, key, frozen


def _told(lane: Lane, now: float, store: str, key: str, why: Aside | Frozen) -> dict[str, Any]:
    failure = lane.failures.get(store, key)
    return {
        "key": key,
        "store": store,
        "what": _WORDS[why.ice] if isinstance(why, Frozen) else "failing",
        "why": cut(why.reason, SHORT),
        "count": None if failure is None else failure.count,
        "since": None if failure is None else failure.since,
        "last": None if failure is None else failure.last,
        "retry_in": max(why.due - now, 0.0) if isinstance(why, Aside) else None,
    }
