"""In which state each plugin and store is, in words: for the log, the command line and whoever asks."""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen

from datasync_core.dispatch.lane import Lane


class StateName(StrEnum):
    """The states of a plugin."""

    WAITING = "waiting"
    IN_SYNC = "in_sync"
    RETRYING = "retrying"
    HELD = "held"
    FAILED = "failed"
    DISABLED = "disabled"
    STOPPED = "stopped"


@frozen
class PluginState:
    """A plugin's state and why."""

    name: str
    state: StateName
    reason: str = ""
    resyncs: int = 0
    """Of a plugin that is in sync: how many resyncs brought it there, so that each of them is another state."""


def state_of(lane: Lane) -> PluginState:
    """The state of a plugin that was loaded. The dispatcher's thread."""
    if lane.stopped:
        return PluginState(lane.name, StateName.STOPPED)
    if lane.failed is not None:
        return PluginState(lane.name, StateName.FAILED, lane.failed)
    if lane.is_held_at_start():
        return PluginState(lane.name, StateName.HELD, _held(lane))
    trouble = lane.trouble
    if trouble is not None:
        then = "tried again on change" if trouble.due is None else f"attempt {trouble.attempts + 1} follows"
        return PluginState(lane.name, StateName.RETRYING, f"{trouble.text} ({then})")
    if lane.is_held():
        return PluginState(lane.name, StateName.HELD, _held(lane))
    if lane.settled and not lane.is_busy():
        return PluginState(lane.name, StateName.IN_SYNC, lane.last, lane.resyncs)
    gate = lane.gate()
    if gate is not None:
        return PluginState(lane.name, StateName.WAITING, gate)
    unread = lane.unread()
    if unread and not lane.succeeded:
        return PluginState(lane.name, StateName.WAITING, f"store {', '.join(sorted(unread))}: not read yet")
    if lane.settled:
        return PluginState(lane.name, StateName.IN_SYNC, lane.last, lane.resyncs)
    return PluginState(lane.name, StateName.WAITING, lane.resync or "not started")


def _held(lane: Lane) -> str:
    release = f"datasync-host release {lane.name}"
    if lane.waits_with is not None:
        return f"waits with {lane.waits_with}, which requires it and is held"
    if lane.is_held_at_start():
        return f"the store has {lane.keys()} of {lane.brake.tripped} keys; to go on with these: {release}"
    stock = f" of {lane.brake.tripped}" if lane.brake.tripped is not None else ""
    return f"{lane.held()}{stock} keys are gone without having been deleted; to remove them: {release}"


def is_beginning(state: PluginState, lane: Lane) -> bool:
    """Whether a plugin waits only because everything has just begun: each start begins so."""
    if state.state is not StateName.WAITING or lane.succeeded or lane.missing is not None:
        return False
    return all(one.trouble is None and one.failed is None for one in lane.requires)


def describe(state: PluginState, lane: Lane) -> str:
    """A state as the log says it: ``hello: in sync, 1 key (startup)``."""
    reason = state.reason
    trouble = lane.trouble
    if state.state is StateName.RETRYING and trouble is not None:  # what failed was logged when it did
        when = "on change" if trouble.due is None else f"attempt {trouble.attempts + 1} follows"
        return f"{state.name}: {state.state}: {when}"
    if state.state is not StateName.IN_SYNC:
        return f"{state.name}: {state.state}: {reason}" if reason else f"{state.name}: {state.state}"
    if not lane.plugin.watches:
        return f"{state.name}: in sync"
    number, total = lane.not_applied()
    keys = f"{number} of {total}" if number else str(total)
    left = " not applied" if number else ""
    return f"{state.name}: in sync, {keys} key{'' if total == 1 else 's'}{left} ({reason})"
