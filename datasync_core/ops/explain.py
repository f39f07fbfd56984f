"""Why a key is where it is: store and revision, who watches it, decoding, what is waited for, the next attempt.

Everything is read from the board and by look-ups of the one key, so any thread may ask, also while a hook hangs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from datasync_core.dispatch.ledger import Ice
from datasync_core.dispatch.states import PluginState, StateName
from datasync_core.model.entries import Entry
from datasync_core.model.keys import shown
from datasync_core.ops.absence import connection, next_try
from datasync_core.ops.inspection import Inspection, KeyView, LedgerView, PluginView, StoreView
from datasync_core.spec.unknown import unknown_fields


def explain(key: str, inspection: Inspection, now: float) -> dict[str, Any]:
    """``{key, stores: [{name, present, revision, …}], plugins: [{plugin, what, why, …}]}``; ``now`` is monotonic."""
    stores = [_store(name, store, key, now) for name, store in inspection.stores.items()]
    plugins = [
        _plugin(plugin, store, ledger, view, inspection.states.get(plugin.name), now)
        for plugin in inspection.plugins.values()
        for store, ledger in plugin.stores.items()
        if (view := ledger.key(key)) is not None
    ]
    watched = sorted({path for plugin in inspection.plugins.values() for path in plugin.paths})
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


def _store(name: str, store: StoreView, key: str, now: float) -> dict[str, Any]:
    entry, health = store.entry(key), store.health
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
    plugin: PluginView, store: str, ledger: LedgerView, view: KeyView, state: PluginState | None, now: float
) -> dict[str, Any]:
    entry, applied, waiting = view.entry, view.applied, view.waiting
    braked = plugin.is_held_at_start  # of an earlier life only counts are known: it may be any key
    unread = not ledger.read
    told = (
        not (view.uncertain or view.untold or braked or unread)
        and view.blocked is None
        and _equal(entry, applied)
    )
    why: list[str] = []
    if view.blocked is not None:
        names = {Ice.INVALID: "invalid", Ice.REJECTED: "rejected", Ice.HELD: "held by the brake"}
        what = names[view.blocked.ice]
        why.append(view.blocked.reason)
        why.append(_kept(applied))
    elif told:
        what = "applied" if entry is not None else "not there, and not applied"
        if entry is not None and (unknown := unknown_fields(view.watch, entry.value)):
            why.append(f"ignored, as its type has no such field: {shown(', '.join(unknown))}")
    elif unread:
        what = "not known, as the store was not read yet"
    elif braked and entry is None:
        what = "not there, and held by the brake if it was applied before"
    else:
        what = "pending" if entry is not None else "its delete is pending"
        if view.uncertain:
            why.append("a call that had it failed, or it was set aside: it is delivered again in any case")
        if waiting is not None:
            left = max(waiting.due - now, 0)
            why.append(f"set aside: {waiting.reason}; attempt {waiting.attempts + 1} in {left:.1f} s")
    if not told and state is not None and state.state is not StateName.IN_SYNC:
        why.append(f"{plugin.name} is {state.state}: {state.reason}")
    if not told and plugin.next_call is not None:
        why.append(f"next attempt in {max(plugin.next_call - now, 0):.1f} s")
    moment = plugin.next_call if plugin.call_failed else waiting.due if waiting is not None else None
    return {
        "plugin": plugin.name,
        "store": store,
        "watch": view.watch.path,
        "what": what,
        "why": why,
        "state": None if state is None else str(state.state),
        "applied_revision": None if applied is None else applied.revision,
        "uncertain": view.uncertain,
        "next_attempt": None if moment is None else max(moment - now, 0.0),
    }


def _kept(applied: Entry | None) -> str:
    if applied is None:
        return "there is no applied value to keep: none came since the host began, or its delete was applied"
    return f"the plugin keeps what it applied last: revision {applied.revision} ({len(applied.value)} bytes)"


def _equal(entry: Entry | None, applied: Entry | None) -> bool:
    if entry is None or applied is None:
        return entry is applied
    return entry.value == applied.value and entry.error == applied.error
