"""The one thread that calls hooks: takes what the inboxes have, makes a round of it, waits for more.

A round: the inboxes are emptied into the replicas, each lane gets the news or its ledger notes what changed
(`dispatch.intake`), then one pass forward in DAG order and one pass back. Between rounds nobody reads the replicas, so
all hooks of a round see one state. Where a round left something that can go on at once (a gate opened, say) another
follows.

`turn` does all that is to be done now and says when to look again; `run` is the thread around it. A harness or a
simulation calls `turn` itself.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from threading import get_ident

from datasync_core.dispatch.counts import Counts
from datasync_core.dispatch.faultlog import FaultLog
from datasync_core.dispatch.intake import Intake, in_order
from datasync_core.dispatch.lane import Lane
from datasync_core.dispatch.states import PluginState, StateName, describe, is_beginning, state_of
from datasync_core.model.errors import HostError, said
from datasync_core.model.faults import Fault
from datasync_core.model.owner import Owner
from datasync_core.model.runtime import Doorbell, Runtime
from datasync_core.spec.event import Event
from datasync_core.sync.inbox import Inbox
from datasync_core.sync.replica import Replica

log = logging.getLogger("datasync")


class Dispatcher:
    """Drives every lane. `turn`, `run` and `stop_plugins` belong to its thread; the rest says who may call it."""

    def __init__(self, runtime: Runtime, doorbell: Doorbell) -> None:
        self.runtime = runtime
        self.owner = Owner("this host", "make a new Host", HostError)
        self.round = 0
        self.running: tuple[str, str] | None = None
        """Plugin and hook that is being called. Any thread may read it."""
        self.event: Event | None = None
        """What the hook that is being called was given. Any thread may ask for the key that it handed out last."""
        self.thread: int | None = None
        """The thread that calls hooks, once it does."""
        self.steps = 0
        """Grows whenever it gets on, in a turn or to the next. Any thread may read it."""
        self.is_waiting = True
        """Whether it waits for work, or has ended. Any thread may read it."""
        self.states: dict[str, PluginState] = {}
        """The state of each loaded plugin as of the last turn. Replaced, never changed: any thread may read it."""
        self.settled = False
        """Whether the lanes had nothing due or pending that would go on by itself, as of the last turn."""
        self.stopping = False
        self._doorbell = doorbell
        self._lanes: list[Lane] = []
        self._intake = Intake([], [], frozenset(), self.report)
        self._unsettled: set[Lane] = set()
        self._commands: dict[Hashable, Callable[[], object]] = {}  # under the lock
        self._faults = FaultLog(runtime)
        self._telling: int | None = None  # the thread that tells the observers, while it does
        self._wishes: dict[str, str] = {}  # who asks for a resync, and why; under the lock
        self._waiters: set[Doorbell] = set()
        self._lock = runtime.lock()  # guards _commands, _waiters and _wishes
        self._began = 0.0  # when the last round began that left something to be done later
        self._counts: Counts | None = None

    def install(
        self,
        lanes: Sequence[Lane],
        inboxes: Iterable[tuple[str, Inbox, Replica]],
        delta: frozenset[str] = frozenset(),
        counts: Counts | None = None,
    ) -> None:
        """Say what is driven, before the first turn: lanes in DAG order, and each store's name, inbox and copy.

        ``delta`` names the plugins that a reconnect brings only the difference; ``counts`` keeps what each applied.
        """
        self._counts = counts
        self._lanes = list(lanes)
        self._intake = Intake(self._lanes, inboxes, delta, self.report)
        self._unsettled = set(lanes)

    # Any thread

    def submit(self, command: Callable[[], object], name: Hashable = None) -> None:
        """Run something on the dispatcher's thread, before its next round. Never waits.

        Any number of one name before the next round are one.
        """
        self.owner.check()
        with self._lock:
            self._commands[command if name is None else name] = command
        self._doorbell.ring()

    def is_telling(self) -> bool:
        """Whether the caller is inside an `on_fault`."""
        return self._telling == get_ident()

    def wish(self, plugin: str, reason: str) -> None:
        """A plugin asks for a resync: ``request``, or ``fault`` where its system lost its state. Never waits.

        Any number of wishes before the next round are one.
        """
        self.owner.check()
        with self._lock:
            if self._wishes.get(plugin) != "fault":
                self._wishes[plugin] = reason
        self._doorbell.ring()

    def ask_stop(self) -> None:
        """Let the running hook finish and end. Never waits; safe in a signal handler."""
        self.stopping = True
        self._doorbell.ring()

    @property
    def faults(self) -> deque[Fault]:
        """The latest faults. Any thread may read a copy."""
        return self._faults.latest

    def report(self, fault: Fault) -> None:
        """Log a fault, keep it for whoever asks, and tell the observers in the next turn. Never waits."""
        self.log(self.keep(fault))

    def keep(self, fault: Fault) -> Fault:
        """Do the same without the log, and return the fault with its time."""
        self.owner.check()
        fault = self._faults.keep(fault)
        self._doorbell.ring()
        return fault

    def log(self, fault: Fault) -> None:
        """Log a fault that was kept. As long as the application's handlers take."""
        self._faults.log(fault)

    def watch(self, waiter: Doorbell) -> None:
        """Ring ``waiter`` after each turn, until `unwatch`."""
        self.owner.check()
        with self._lock:
            self._waiters.add(waiter)

    def unwatch(self, waiter: Doorbell) -> None:
        """Ring it no more."""
        with self._lock:
            self._waiters.discard(waiter)

    def wake_waiters(self) -> None:
        """Ring whoever watches the turns."""
        with self._lock:
            for waiter in self._waiters:
                waiter.ring()

    def orders(self) -> int:
        """How many commands and wishes wait for the next round."""
        with self._lock:
            return len(self._commands) + len(self._wishes)

    def is_settled(self) -> bool:
        """Whether nothing is due or pending that would go on by itself."""
        waiting = self._has_news() or not self._intake.is_empty()
        return self.settled and not waiting

    # The dispatcher's thread

    def run(self) -> None:
        """Turn until asked to stop, then stop the plugins."""
        self.thread = get_ident()
        self.is_waiting = False
        try:
            while not self.stopping:
                deadline = self.turn()
                if not self._is_asked_to_stop():
                    self.is_waiting = True
                    self._doorbell.wait(None if deadline is None else deadline - self.runtime.monotonic())
                    self.is_waiting = False
            self.stop_plugins()
            self.wake_waiters()
        finally:
            self.is_waiting = True

    def turn(self) -> float | None:
        """Do all that is to be done now; when to look again at the latest (monotonic seconds, None: when rung)."""
        self.settled = False
        while True:
            self.steps += 1
            if self._commands or self._wishes:
                self._do_commands()
            active = self._intake.take()
            if self._unsettled:
                for lane in self._unsettled:
                    lane.take_in()
                active = sorted({*active, *self._unsettled}, key=in_order)
            if self._faults.untold:
                self._tell_faults()
            called = self._make_round(active) if active else False
            self._intake.settle()
            if called and self._counts is not None:
                self._counts.touch()
            if self.stopping or not (self._has_news() or (called and self._unsettled)):
                break
        deadline = self._next_try() if self._unsettled else None
        if not self.stopping:  # else the last round may have left out what was due
            self.settled = not self._unsettled or (
                deadline is None and self._intake.is_read() and not self._has_news()
            )
        if self._counts is not None:
            deadline = self._keep_counts(self._counts, deadline)
        if self._waiters:
            self.wake_waiters()
        return deadline

    def call(
        self, plugin: str, hook: str, function: Callable[..., None], *arguments: object
    ) -> BaseException | None:
        """Call a hook as the one that is running; what it raised.

        A hook that exits (`SystemExit`) or raises anything else hurts its plugin alone.
        """
        self.event = arguments[0] if arguments and isinstance(arguments[0], Event) else None
        self.running = (plugin, hook)
        try:
            function(*arguments)
        except BaseException as error:  # the plugin's, whatever it is: signals go to the main thread
            return error
        finally:
            self.running = None
        return None

    def resync(self, lanes: Iterable[Lane], reason: str, *, rejected: bool = False) -> None:
        """Plan a resync of these lanes and of those that require them, at once."""
        planned: dict[Lane, None] = {}
        for lane in lanes:
            planned.update(dict.fromkeys([lane, *lane.dependents]))
        for lane in planned:
            lane.plan(reason)
            lane.forgive(rejected=rejected)
            self._unsettled.add(lane)

    def _has_news(self) -> bool:
        return bool(self._commands or self._wishes or self._faults.untold)

    def _do_commands(self) -> None:
        with self._lock:
            commands, self._commands = self._commands, {}
            wishes, self._wishes = self._wishes, {}
        for command in commands.values():
            command()
        for lane in self._lanes if wishes else ():
            if lane.name in wishes:
                (self.fault if wishes[lane.name] == "fault" else self.request)(lane)

    def request(self, lane: Lane) -> None:
        """A plugin asks for a resync. Asking again soon after waits, so that one that always asks does no harm."""
        lane.pace()
        self.resync([lane], "request")

    def fault(self, lane: Lane) -> None:
        """A plugin reported that its system lost its state: nothing counts as applied, and a resync is planned."""
        for ledger in lane.ledgers.values():
            ledger.forget_applied()
        lane.pace()
        self.resync([lane], "fault")

    def release(self, lane: Lane) -> int:
        """Let go what the brake holds of a plugin and of those that require it; how many removals these are."""
        released = 0
        for one in (lane, *lane.dependents):
            released += one.held()
            one.brake.release(one.ledgers.values())
            self._unsettled.add(one)
        return released

    def stop_plugins(self) -> None:
        """Call `on_stop` in reverse order."""
        for lane in reversed(self._lanes):
            lane.stop()
            self.steps += 1
        if self._counts is not None:
            self._counts.save(self._stock(), self.runtime.monotonic())
        self._look(self._lanes[::-1])

    def _next_try(self) -> float | None:
        """When something goes on by itself (monotonic seconds); None: only when something else happens."""
        since = self._began
        moments = [moment for lane in self._unsettled if (moment := lane.deadline(since)) is not None]
        return min(moments, default=None)

    def _keep_counts(self, counts: Counts, deadline: float | None) -> float | None:
        """Save the counts if it is time to; the deadline, or when it is time, whichever is sooner."""
        moment = counts.deadline()
        if moment is None:
            return deadline
        now = self.runtime.monotonic()
        if moment > now:
            return moment if deadline is None else min(moment, deadline)
        counts.save(self._stock(), now)
        return deadline

    def _stock(self) -> dict[str, int]:
        return {lane.name: lane.stock() for lane in self._lanes if lane.succeeded and lane.plugin.watches}

    def _is_asked_to_stop(self) -> bool:
        return self.stopping  # other threads set it, which a type checker cannot know

    def _brake(self, lanes: Iterable[Lane]) -> None:
        """Hold removals that nobody asked for, also in what a braked plugin requires, or let them go."""
        for lane in lanes:
            lane.look_at_brake()
        for lane in lanes:
            lane.hold(with_dependents=any(other.brake.tripped is not None for other in lane.dependents))

    def _make_round(self, lanes: Sequence[Lane]) -> bool:
        """One pass forward and one back over the lanes that something concerns; whether a hook was called."""
        self.round += 1
        if self._intake.behind or self._unsettled:
            self._brake([lane for lane in lanes if not lane.clean])
            self._began = self.runtime.monotonic()
        called = False
        left: list[Lane] = []
        for lane in lanes:
            if self.stopping:
                lane.take_in()
            else:
                try:
                    if (lane.clean and lane.tell()) or lane.forward():
                        called = True
                except Exception as error:  # a mistake of ours in one lane's turn is that lane's alone
                    lane.stumble(error)
                    called = True
            self.steps += 1
            if not lane.clean:
                left.append(lane)
        if left:
            for lane in reversed(left):
                if lane.dependents and not self.stopping:
                    try:
                        called |= lane.back()
                    except Exception as error:
                        lane.stumble(error)
                        called = True
                self.steps += 1
            self._look(left)
        return called

    def _look(self, lanes: Iterable[Lane]) -> None:
        """Note which lanes are settled, and say which states have changed."""
        changed: dict[str, PluginState] = {}
        for lane in lanes:
            lane.look_at_failures()
            if lane.is_busy() or lane.is_held():
                self._unsettled.add(lane)
            else:
                self._unsettled.discard(lane)
                lane.clean = lane.is_clean()
            state, before = state_of(lane), self.states.get(lane.name)
            if state != before:
                changed[lane.name] = state
                counts_down = before is not None and before.state is state.state is StateName.HELD
                level = logging.DEBUG if counts_down or is_beginning(state, lane) else logging.INFO
                said = {"plugin": lane.name, "state": str(state.state)}
                log.log(level, "%s", describe(state, lane), extra=said)
        if changed:
            self.states = {**self.states, **changed}

    def _tell_faults(self) -> None:
        for fault in self._faults.take():  # what observers add themselves is for the next turn
            for lane in self._lanes:
                self.steps += 1
                observer = lane.plugin.on_fault
                if observer is None or not lane.started:
                    continue
                if self.stopping:
                    return
                self._telling = get_ident()
                error = self.call(lane.name, "on_fault", observer, fault)
                self._telling = None
                if error is not None:  # no fault of its own: it would be told to the same observer
                    place = {"plugin": lane.name}
                    log.warning("%s: on_fault failed: %s", lane.name, said(error), extra=place)
