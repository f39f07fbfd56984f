"""Why a key is where it is: store and revision, who watches it, decoding, what is waited for, the next attempt.

Everything is read from the board and by look-ups of the one key, so any thread may ask, also while a hook hangs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from datasync_core.dispatch.lane import Lane
from datasync_core.dispatch.ledger import Ice, Ledger
from datasync_core.dispatch.states import PluginState, StateName
from datasync_core.dispatch.wiring import Feed, Wiring
from datasync_core.model.entries import Entry
from datasync_core.model.keys import covers
from datasync_core.ops.absence import connection, next_try
from datasync_core.spec.watch import Watch
from datasync_core.sync.reflector import Health


def explain(
    key: str,
    wiring: Wiring,
    health: Mapping[str, Health],
    states: Mapping[str, PluginState],
    now: float,
) -> dict[str, Any]:
    """``{key, stores: [{name, present, revision, …}], plugins: [{plugin, what, why, …}]}``; ``now`` is monotonic."""
    stores = [_store(name, feed, health.get(name), key, now) for name, feed in wiring.feeds.items()]
    plugins = [
        _plugin(lane, store, ledger, key, states.get(lane.name), now)
        for lane in wiring.lanes.values()
        for store, ledger in lane.ledgers.items()
        if _watch_of(ledger, key) is not None
    ]
    watched = sorted({watch.path for lane in wiring.lanes.values() for watch in lane.plugin.watches})
    return {"key": key, "stores": stores, "plugins": plugins, "watched": watched}


def in_words(said: Mapping[str, Any]) -> Iterator[str]:
    """What `explain` gave, as lines for people."""
    for store in said["stores"]:
        if not store["reached"]:
            never, why = "not read yet", ""
            if store["lost"]:
                never, why = "never reached", f": {store['lost']}; {next_try(store)}"
            line = f"store {store['name']}: {never}, so nothing is known of {said['key']}{why}"
        elif store["present"]:
            size = "unreadable: " + store["error"] if store["error"] else f"{store['size']} bytes"
            line = f"store {store['name']}: {said['key']} is there at revision {store['revision']} ({size})"
        else:
            line = f"store {store['name']}: {said['key']} is not there"
        if store["reached"] and not store["connected"]:
            line = f"{line}, as of the last connection: {store['lost']}; {next_try(store)}"
        yield line
    for plugin in said["plugins"]:
        yield f"{plugin['plugin']} watches it by {plugin['watch']!r}: {plugin['what']}"
        yield from (f"  {why}" for why in plugin["why"])
    if not said["plugins"]:
        paths = ", ".join(map(repr, said["watched"])) or "nothing"
        yield f"no plugin watches {said['key']}; watched are {paths}"


def _store(name: str, feed: Feed, health: Health | None, key: str, now: float) -> dict[str, Any]:
    entry = feed.replica.shelves.peek(key)
    said: dict[str, Any] = {"name": name, "connected": True, "reached": True, "lost": None, "retry_in": None}
    if health is not None:  # a harness has no connections
        link = connection(health, now)
        said |= {field: link[field] for field in ("connected", "reached", "retry_in")}
        said["lost"] = None if health.connected else link["error"]
    said["present"] = entry is not None
    if entry is not None:
        said |= {"revision": entry.revision, "size": len(entry.value), "error": entry.error}
    return said


def _plugin(
    lane: Lane, store: str, ledger: Ledger, key: str, state: PluginState | None, now: float
) -> dict[str, Any]:
    watch = _watch_of(ledger, key)
    assert watch is not None
    entry = ledger.replica.shelves.peek(key)
    behind, frozen, aside = ledger.behind, ledger.frozen.get(key), ledger.aside.get(key)
    applied = behind.get(key, entry if ledger.based else None) if frozen is None else frozen.applied
    untold = lane.news.untold(ledger, key)
    if key in untold:
        applied = untold[key]
    uncertain = key in ledger.uncertain
    braked = lane.is_held_at_start()  # of an earlier life only counts are known: it may be any key
    unread = not ledger.replica.synced
    told = not (uncertain or key in untold or braked or unread) and frozen is None and _equal(entry, applied)
    why: list[str] = []
    if frozen is not None:
        what = {Ice.INVALID: "invalid", Ice.REJECTED: "rejected", Ice.HELD: "held by the brake"}[frozen.ice]
        why.append(frozen.reason)
        why.append(_kept(applied))
    elif told:
        what = "applied" if entry is not None else "not there, and not applied"
    elif unread:
        what = "not known, as the store was not read yet"
    elif braked and entry is None:
        what = "not there, and held by the brake if it was applied before"
    else:
        what = "pending" if entry is not None else "its delete is pending"
        if uncertain:
            why.append("a call that had it failed, or it was set aside: it is delivered again in any case")
        if aside is not None:
            why.append(
                f"set aside: {aside.reason}; attempt {aside.attempts + 1} in {max(aside.due - now, 0):.1f} s"
            )
    if not told and state is not None and state.state is not StateName.IN_SYNC:
        why.append(f"{lane.name} is {state.state}: {state.reason}")
    trouble = lane.trouble
    if not told and trouble is not None and trouble.due is not None:
        why.append(f"next attempt in {max(trouble.due - now, 0):.1f} s")
    return {
        "plugin": lane.name,
        "store": store,
        "watch": watch.path,
        "what": what,
        "why": why,
        "state": None if state is None else str(state.state),
        "applied_revision": None if applied is None else applied.revision,
        "uncertain": uncertain,
        "next_attempt": _next_attempt(lane, aside.due if aside is not None else None, now),
    }


def _next_attempt(lane: Lane, due: float | None, now: float) -> float | None:
    """Seconds until the next attempt, where one is planned."""
    trouble = lane.trouble
    moment = trouble.due if trouble is not None else due
    return None if moment is None else max(moment - now, 0.0)


def _kept(applied: Entry | None) -> str:
    if applied is None:
        return "there is no applied value to keep: none came since the host began, or its delete was applied"
    return f"the plugin keeps what it applied last: revision {applied.revision} ({len(applied.value)} bytes)"


def _equal(entry: Entry | None, applied: Entry | None) -> bool:
    if entry is None or applied is None:
        return entry is applied
    return entry.value == applied.value and entry.error == applied.error


def _watch_of(ledger: Ledger, key: str) -> Watch[Any] | None:
    """The watch that decides for a key: the longest of the plugin's that covers it."""
    watches = [watch for watch in ledger.shelves_of if covers(watch.path, key)]
    return max(watches, key=lambda watch: len(watch.path), default=None)
