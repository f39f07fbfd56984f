"""What a running host says of itself, as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from datasync_core.dispatch.lane import Lane
from datasync_core.dispatch.states import PluginState, StateName
from datasync_core.dispatch.wiring import Feed, Wiring
from datasync_core.model.faults import Fault
from datasync_core.ops.absence import connection
from datasync_core.ops.failing import failing
from datasync_core.sync.reflector import Health
from datasync_core.sync.store import Store


def status(
    host: str,
    stores: Mapping[str, Store],
    health: Mapping[str, Health],
    wiring: Wiring,
    states: Mapping[str, PluginState],
    faults: Iterable[Fault],
    now: float,
    running: tuple[str, str, float] | None = None,
    hanging: tuple[str, str, float] | None = None,
) -> dict[str, Any]:
    """``{host, stores: [{name, …}], plugins: [{name, state, reason, …}], faults: […], running, hanging}``.

    ``running`` is plugin, hook and since when of a hook that takes its time, or None: states of plugins and keys of
    stores are from before it was called. ``hanging`` is the same of one that does not return; its plugin
    is None where the dispatcher itself stands still. Times are seconds since
    the Unix epoch, but for ``now``, which is monotonic; ``keys`` counts what is watched. Any thread may ask.
    """
    return {
        "host": host,
        "running": _call(running),
        "hanging": _call(hanging),
        "stores": [
            _store(store, health.get(name), wiring.feeds.get(name), now) for name, store in stores.items()
        ],
        "plugins": [_plugin(state, wiring.lanes.get(name), now) for name, state in sorted(states.items())],
        "faults": [
            {
                "time": fault.time,
                "kind": str(fault.kind),
                "text": fault.text,
                "plugin": fault.plugin,
                "store": fault.store,
                "key": fault.key,
                "count": fault.count,
                "last": fault.last,
            }
            for fault in list(faults)
        ],
    }


def _call(call: tuple[str, str, float] | None) -> dict[str, Any] | None:
    if call is None:
        return None
    plugin, hook, since = call
    return {"plugin": plugin or None, "hook": hook, "since": since}


def _store(store: Store, health: Health | None, feed: Feed | None, now: float) -> dict[str, Any]:
    said: dict[str, Any] = {
        "name": store.name,
        "url": store.url,
        "watched": health is not None,
    }
    if health is not None and feed is not None:
        said |= connection(health, now)
        said |= {"keys": len(feed.replica), "revision": feed.replica.revision, "snapshots": health.snapshots}
    return said


def _plugin(state: PluginState, lane: Lane | None, now: float) -> dict[str, Any]:
    said: dict[str, Any] = {"name": state.name, "state": str(state.state), "reason": state.reason}
    if lane is not None:
        number, total = lane.not_applied()
        said |= {
            "in_sync": state.state is StateName.IN_SYNC,
            "complete": state.state is StateName.IN_SYNC and not number,
            "not_applied": number,
            "of": total,
            "keys": lane.keys(),
            "undelivered": lane.undelivered(),
            "set_aside": lane.set_aside(),
            "failing": failing(lane, now),
            "requires": list(lane.plugin.requires),
        }
    return said
