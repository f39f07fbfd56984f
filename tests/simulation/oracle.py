"""Checks every call of every hook, and every quiet moment, against the guarantees (DESIGN's words, not its code).

The oracle listens at three places: what the replicas take in, what is asked of the dispatcher, and what the hooks
are told. From these it keeps a `Shadow` of each plugin.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from attrs import define, field, frozen

from datasync_core import Change, Event, Host, Watch
from datasync_core.dispatch.dispatcher import Dispatcher
from datasync_core.dispatch.wiring import Feed
from datasync_core.model.errors import EventExpired
from datasync_core.model.faults import Fault, FaultKind
from datasync_core.model.keys import covers
from datasync_core.ops.inspection import Inspection
from datasync_core.sync.inbox import Changes, Segment
from datasync_core.sync.replica import Replica
from datasync_core.testing import VirtualRuntime
from tests.simulation.audits import Audits
from tests.simulation.brakes import Brakes
from tests.simulation.hooks import Hooks
from tests.simulation.plugin import Driven, as_text
from tests.simulation.promises import Promises
from tests.simulation.publications import Publications
from tests.simulation.reader import Reader
from tests.simulation.shadow import Shadow
from tests.simulation.store import SimulatedStore
from tests.simulation.system import Key


class Violation(AssertionError):
    """A guarantee does not hold."""


@frozen
class Told:
    """One call, as it was told."""

    shadow: Shadow
    resync: bool
    puts: Mapping[Key, str]
    deletes: frozenset[Key]
    there: frozenset[Key]
    """Keys of the replicas when it was made."""
    withheld: frozenset[Key]


@define
class Round:
    """The calls of one round so far."""

    number: int = -1
    forward: list[int] = field(factory=list)
    back: list[int] = field(factory=list)
    content: dict[str, dict[str, str]] = field(factory=dict)


class Oracle:
    """Sees everything. Owned by whoever runs."""

    def __init__(self, runtime: VirtualRuntime, stores: Mapping[str, SimulatedStore], hold: float) -> None:
        self.runtime = runtime
        self.stores = stores
        self.hold = hold
        self.shadows: dict[str, Shadow] = {}
        self.told_of: list[tuple[float, str, str]] = []
        """The trace: when, what, and about whom."""
        self.calls = 0
        self.faults = 0
        self.failures = 0
        self.alarms = 0
        self.hangs = 0
        self.waits = 0
        self.broken: Violation | None = None
        """The first violation."""
        self.inspection: Inspection
        self.hooks: Hooks
        self.promises: Promises
        self.publications: Publications
        self._brakes: Brakes
        self._audits: dict[str, Audits] = {}
        self._host: Host | None = None
        self._round = Round()
        self._content: dict[str, dict[str, str]] = {}
        """What each replica holds."""
        self._shown = dict.fromkeys(stores, 0)
        """Which of its states each exact store showed last."""
        self._reports: Counter[str] = Counter()
        """How many faults of each plugin were reported and not published."""
        self._raised_in: dict[str, int] = {}
        """The round in which each plugin raised last."""
        self._started: list[str] = []
        self._stopped: list[str] = []

    # From the history

    def attach(
        self, host: Host, plugins: Mapping[str, Driven], expected: Mapping[str, int], hang: float | None
    ) -> None:
        """Listen to a host that has loaded and not started; ``hang``: seconds until its watchdog calls a hook so."""
        self._host, self.inspection = host, host.inspect()
        self._round = Round()
        self._raised_in, self._reports = {}, Counter()
        self._started, self._stopped = [], []
        self.shadows = {}
        for order, plugin in enumerate(host.plugins):
            character = plugins[plugin.name].character
            requires = tuple(self.shadows[name] for name in character.requires)
            shadow = Shadow(character, order, True, requires, expected=expected.get(plugin.name, 0))
            self.shadows[plugin.name] = shadow
            above = list(requires)
            while above:
                required = above.pop()
                if shadow not in required.dependents:
                    required.dependents.append(shadow)
                    above.extend(required.requires)
        for shadow in self.shadows.values():
            character = shadow.character
            shadow.whole = not shadow.dependents or character.whole or not character.optimised
        self.hooks = Hooks(self.runtime, host, hang, self.fail)
        self.promises = Promises(self.shadows.values(), self.fail)
        self.publications = Publications(self.inspection, self.shadows, self.fail)
        self._brakes = Brakes(self.inspection.plugins, self.shadows, self.fail, self.trace)
        self._audits = {}
        # To listen is to replace methods: what only reads goes through `inspection`.
        wiring, dispatcher = host._wiring, host._dispatcher
        for store, feed in wiring.feeds.items():
            self._listen(store, feed)
        for lane in wiring.lanes.values():
            lane.stumble = self._stumbled  # type: ignore[method-assign]
        self._listen_to_commands(dispatcher)
        self._listen_to_answers(host, dispatcher)

    def trace(self, what: str, whom: object = "") -> None:
        """Note something for the story of a failure."""
        self.told_of.append((self.runtime.monotonic(), what, str(whom)))

    def reported(self, name: str) -> None:
        """A plugin reports a fault."""
        self._reports[name] += 1
        self.promises.reported(self.shadows[name])
        self.hooks.ending = self.hooks.ending or self.promises.restart is not None

    def requested(self, name: str) -> None:
        """A plugin asks for a resync."""
        self.promises.requested(self.shadows[name])

    def is_reliable(self, store: str, keys: Iterable[str]) -> bool:
        """Whether a store will tell of what is written to these keys now."""
        return self._audits[store].is_reliable(keys)

    def ends(self) -> None:
        """The host is asked to stop, or made to."""
        self.hooks.ending = True

    def fail(self, guarantee: str, text: str) -> None:
        """Raise a violation, and keep it: who called may catch everything."""
        if self.broken is None:
            self.broken = Violation(f"{guarantee}: {text}")
            self.trace("BROKEN", self.broken)
        raise self.broken

    # From the plugins

    def started(self, plugin: Driven) -> None:
        """`on_start` returns."""
        shadow = self.shadows[plugin.name]
        for required in shadow.requires:
            if not required.started:
                self.fail("G5", f"{plugin.name} was started before {required.name}, which it requires")
        shadow.started = True
        shadow.failed = None
        self._started.append(plugin.name)

    def stopped(self, plugin: Driven) -> None:
        """`on_stop` is called."""
        orders = [self.shadows[name].order for name in self._stopped]
        if any(order < self.shadows[plugin.name].order for order in orders):
            self.fail("G5", f"{plugin.name} was stopped after {self._stopped}")
        self._stopped.append(plugin.name)

    def told(
        self,
        plugin: Driven,
        event: Event,
        told: Mapping[Watch[Any], Sequence[Change[Any]]],
        *,
        resync: bool,
    ) -> Told:
        """A hook is called with an event."""
        shadow = self.shadows[plugin.name]
        self.calls += 1
        puts: dict[Key, str] = {}
        deletes: set[Key] = set()
        for watch, changes in told.items():
            for change in changes:
                self._check_previous(shadow, watch.store, change)
                if change.deleted:
                    if any(key[0] == watch.store and covers(watch.path, key[1]) for key in puts):
                        self.fail("G5", f"{plugin.name}: deletes do not come first")
                    deletes.add((watch.store, change.key))
                else:
                    puts[watch.store, change.key] = as_text(change.value)
        hook = f"resync ({event.reason})" if resync else "change"
        self.trace(f"{plugin.name} {hook} #{event.round}", f"+{sorted(puts)} -{sorted(deletes)}")
        self._check_order(shadow, event, resync=resync, puts=puts, deletes=deletes)
        raised = self._raised_in.get(shadow.name) == event.round
        self.promises.told(shadow, event.reason, resync=resync, raised=raised)
        self._check_picture(event)
        self._check_due(shadow, event, resync=resync, deletes=deletes)
        withheld = (
            frozenset(shadow.deletes()) if resync and shadow.succeeded and not shadow.whole else frozenset()
        )
        self._check_handed(shadow, resync=resync, puts=puts, deletes=deletes, withheld=withheld)
        self._check_shown(shadow, plugin, event, deletes)
        if resync and not shadow.succeeded:  # an earlier life may have applied what cannot be read now
            unread = {key for key in shadow.content if not shadow.valid(key)}
            shadow.uncertain |= unread
            shadow.maybe |= unread
        return Told(shadow, resync, puts, frozenset(deletes), frozenset(shadow.content), withheld)

    def failed(self, call: Told, error: BaseException) -> None:
        """The hook raised."""
        if isinstance(error, Violation):
            return
        self.failures += 1
        shadow = call.shadow
        self.trace(f"{shadow.name} raises", repr(error))
        if isinstance(error, EventExpired):
            self.fail("G8", f"{shadow.name}: what it is told says in its own hook that it is over")
        for key in (*call.puts, *call.deletes):
            shadow.doubt(key)
        shadow.maybe |= call.there
        shadow.failed = error
        self._raised_in[shadow.name] = self._round.number
        self.promises.failed(shadow)

    def succeeded(self, call: Told, retried: set[Key], rejected: set[Key]) -> None:
        """The hook returned."""
        shadow = call.shadow
        if retried or rejected:
            self.trace(f"{shadow.name} leaves", f"retry {sorted(retried)} reject {sorted(rejected)}")
        shadow.failed = None
        left = retried | rejected | call.withheld
        if not shadow.succeeded:  # an earlier life may have applied what is rejected now
            shadow.uncertain |= rejected
        if call.resync:
            shadow.succeeded = True
            shadow.expected = 0
            self.promises.served(shadow)
            for key in [key for key in shadow.uncertain if key not in left and not shadow.frozen(key)]:
                shadow.settle(key, call.puts.get(key))
            shadow.aside.clear()
            later = {key for key in shadow.maybe if key not in shadow.content} if not shadow.whole else set()
            shadow.maybe = {
                key for key in shadow.maybe if key in shadow.uncertain or shadow.frozen(key)
            } | later
        for key in (*call.puts, *call.deletes):
            if key not in left:
                shadow.settle(key, call.puts.get(key))
        for key in call.withheld:
            shadow.uncertain.add(key)
            shadow.maybe.add(key)
        for key in retried:
            shadow.doubt(key)
            shadow.aside.add(key)
        for key in rejected:
            shadow.rejected.add(key)
            shadow.inferred.discard(key)
            shadow.aside.discard(key)
            shadow.maybe.add(key)
        if self._raised_in.get(shadow.name) != self._round.number:  # else what raised there is tried again
            self.promises.recovered(shadow)
        self.publications.applied([shadow])

    # Checks of one call

    def _check_previous(self, shadow: Shadow, store: str, change: Change[Any]) -> None:
        key = (store, change.key)
        applied = shadow.applied.get(key)
        previous = None if change.previous is None else as_text(change.previous)
        if previous != applied and not (key in shadow.doubtful and previous == shadow.good.get(key)):
            self.fail("G7", f"{shadow.name} {change}: previous is {previous!r}, applied was {applied!r}")
        if not change.deleted and (change.kind == "CREATE") != (previous is None):
            self.fail("G7", f"{shadow.name} {change}: previous is {previous!r}")

    def _check_order(
        self, shadow: Shadow, event: Event, *, resync: bool, puts: Mapping[Key, str], deletes: set[Key]
    ) -> None:
        name = shadow.name
        if event.first == shadow.succeeded:
            self.fail("G4", f"{name}: event.first is {event.first}")
        if not resync and not shadow.succeeded:
            self.fail("G4", f"{name}: on_change before a resync succeeded")
        if shadow.unread and not shadow.succeeded:
            self.fail("G4", f"{name}: called before each of its stores was read")
        if not shadow.started:
            self.fail("G5", f"{name}: called before on_start returned")
        if event.round != self._round.number:
            self._round = Round(event.round)
        round_ = self._round
        back = not resync and not shadow.whole and bool(deletes)
        if back and puts:
            self.fail("G5", f"{name}: creates and deletes in one call, though others require it")
        if back:
            if round_.back and round_.back[-1] <= shadow.order:
                self.fail("G5", f"{name}: the pass back is not in reverse order")
            round_.back.append(shadow.order)
            return
        if round_.back:
            self.fail("G5", f"{name}: called forward after the pass back began")
        if round_.forward and round_.forward[-1] >= shadow.order:
            where = "G6" if round_.forward[-1] == shadow.order else "G5"
            self.fail(
                where, f"{name}: called out of order, or twice in the pass forward of round {event.round}"
            )
        round_.forward.append(shadow.order)

    def _check_picture(self, event: Event) -> None:
        for name, store in self.stores.items():
            copy = self.inspection.stores.get(name)
            if copy is None or not copy.read:
                continue
            content = self._content[name]
            if name not in self._round.content:
                self._round.content[name] = content
                if store.exact and self._audits[name].is_true():
                    self._check_state(name, store, content)
            elif self._round.content[name] != content:
                self.fail("G14", f"store {name} changed within round {event.round}")

    def _check_state(self, name: str, store: SimulatedStore, content: Mapping[str, str]) -> None:
        times = store.states.get(frozenset((key, text.encode()) for key, text in content.items()), [])
        if not times:
            self.fail("G6", f"a round shows a state in which store {name} never was: {content}")
        later = [time for time in times if time >= self._shown[name]]
        if not later:
            self.fail(
                "G2", f"a round shows a state in which store {name} was before what it showed: {content}"
            )
        self._shown[name] = later[0]

    def _check_due(self, shadow: Shadow, event: Event, *, resync: bool, deletes: set[Key]) -> None:
        name = shadow.name
        for required in shadow.requires:
            why = required.closes()
            if why is not None:
                self.fail(
                    "gate", f"{name} is called while {required.name}, which it requires, is not ready: {why}"
                )
        if shadow.at_start and shadow.braked is not None and not shadow.succeeded:
            self.fail("G10", f"{name} is called at the start, though too much is gone")
        wrong = [key for key in deletes if shadow.holding and key in shadow.inferred]
        if wrong:
            self.fail("G10", f"{name}: {wrong[0]} is removed, though the brake holds it")
        if not resync and not shadow.whole and deletes:
            for other in shadow.dependents:
                why = other.blocks()
                if why is not None and not self._overdue(name):
                    self.fail("pass back", f"{name}: {min(deletes)} is deleted while for {other.name} {why}")

    def _overdue(self, name: str) -> bool:
        faults = self.inspection.faults
        now = self.runtime.time()
        return any(
            one.kind is FaultKind.DELETES_OVERDUE and one.plugin == name and one.time == now
            for one in faults[-20:]
        )

    def _check_handed(
        self,
        shadow: Shadow,
        *,
        resync: bool,
        puts: Mapping[Key, str],
        deletes: set[Key],
        withheld: frozenset[Key],
    ) -> None:
        name = shadow.name
        for key, text in puts.items():
            if shadow.content.get(key) != text:
                self.fail("G1", f"{name} is told {key} = {text!r}, the copy has {shadow.content.get(key)!r}")
            if shadow.frozen(key):
                self.fail("G8", f"{name} is told of {key}, which is frozen")
            if not resync and key not in shadow.maybe and shadow.applied.get(key) == text:
                self.fail("formula", f"{name} is told of {key}, which it has applied")
        for key in deletes:
            if key in shadow.content:
                self.fail("G1", f"{name} is told that {key} is gone, and it is there")
            if key in shadow.rejected:
                self.fail("formula", f"{name} is told of {key}, which it has rejected")
            if key not in shadow.applied and key not in shadow.maybe:
                self.fail("formula", f"{name} is told to delete {key}, of which it never heard")
        back = not resync and not shadow.whole and bool(deletes)
        due: list[Key] = []
        if resync:
            due += [key for key in shadow.content if not shadow.frozen(key)]
        elif not back:
            due += [key for key in shadow.puts() if key not in shadow.aside]
        if (resync and not withheld) or back or (not resync and shadow.whole):
            due += [key for key in shadow.deletes() if resync or key not in shadow.aside]
        missing = [key for key in due if key not in puts and key not in deletes]
        if missing:
            self.fail("G6", f"{name} is not told of {missing[0]}, which is pending")

    def _check_shown(self, shadow: Shadow, plugin: Driven, event: Event, deletes: set[Key]) -> None:
        single = len({watch.store for watch in plugin.watches}) == 1
        shown: dict[Key, str] = {}
        for watch in plugin.watches:
            directory = watch.path[: watch.offset]
            shown.update(
                {(watch.store, directory + key): as_text(value) for key, value in event[watch].items()}
            )

        def full(key: Any) -> Key:
            return (plugin.watches[0].store, key) if single else key

        invalid, held = {full(key) for key in event.invalid}, {full(key) for key in event.held}
        expected_held = shadow.inferred - shadow.rejected if shadow.holding else set()
        if held != expected_held:
            self.fail("G10", f"{shadow.name}: held are {sorted(held)}, should be {sorted(expected_held)}")
        unread = {key for key in shadow.content if not shadow.valid(key)}
        if invalid != unread | shadow.rejected:
            text = f"named are {sorted(invalid)}, should be {sorted(unread)} and {sorted(shadow.rejected)}"
            self.fail("G8", f"{shadow.name}: {text}")
        frozen_ = invalid | held
        shadow.unreadable = unread
        for key in {**shadow.content, **shadow.applied, **shown}:
            if key in shadow.content and key not in frozen_:
                right: set[str | None] = {shadow.content[key]}
            elif key in deletes:
                right = {None}
            else:
                right = {shadow.applied.get(key)}
                if key in shadow.pinned and key in frozen_:
                    right = {shadow.good.get(key)}
                elif key in shadow.doubtful:
                    right.add(shadow.good.get(key))
            if shown.get(key) not in right:
                self.fail(
                    "formula", f"{shadow.name}: event shows {key} = {shown.get(key)!r}, right is {right}"
                )

    # Quiet moments

    def quiet(self) -> None:
        """Nobody can go on by himself: what was to be done at once must be done."""
        host = self.host
        if host.crashed() is not None:
            self.fail("crash", repr(host.crashed()))
        self._check_inboxes()
        self.hooks.quiet()
        if host.running() is not None or self.hooks.ending:
            return
        self.promises.quiet()
        if any(self._reports.values()):
            self.fail("report", f"what was reported is not published: {+self._reports}")
        for store, copy in self.inspection.stores.items():
            simulated = self.stores[store]
            if simulated.is_read() and copy.health is not None and copy.health.connected:
                held = {key: text.encode() for key, text in self._content[store].items()}
                there = {key: value for key, value in simulated.values().items() if copy.watches(key)}
                audits = self._audits[store]
                audits.quiet()
                if held != there:
                    wrong = {key for key in held.keys() | there.keys() if held.get(key) != there.get(key)}
                    if wrong - audits.may_differ():
                        self.fail("G2", f"store {store} has {there}, the copy {held}")
        excuses: dict[str, str] = {}
        for name, shadow in self.shadows.items():
            excuse = self._excuse(shadow, excuses)
            if excuse is not None:
                excuses[name] = excuse
        for name, shadow in self.shadows.items():
            if name not in excuses:
                self._check_deletes(shadow, excuses)
            self._check_bounds(shadow)

    def _excuse(self, shadow: Shadow, excuses: Mapping[str, str]) -> str | None:
        """Why a plugin is behind; fails where there is no reason."""
        name = shadow.name
        plugin = self.inspection.plugins[name]
        waiting = [required.name for required in shadow.requires if required.name in excuses]
        if not shadow.succeeded and plugin.is_held_at_start:
            return "the brake holds its start"
        if plugin.waits_until > self.runtime.monotonic():
            return "it has asked again and again, or its last call raised"
        if shadow.failed is not None or not shadow.started or plugin.call_failed:
            left = not shadow.started or shadow.puts() or shadow.deletes() or plugin.resync_due is not None
            if not plugin.call_failed and left and not waiting:
                self.fail("stuck", f"{name} failed ({shadow.failed!r}) and is not tried again")
            return "it failed"
        if waiting:
            return f"waits for {waiting[0]}"
        if shadow.unread and not shadow.succeeded:
            return "its store was never read"
        if not shadow.succeeded or self.promises.owed(shadow) is not None:
            why = self.promises.owed(shadow) or "startup"
            self.fail("stuck", f"{name} is not resynced ({why}), and nothing is in its way")
        puts = [key for key in shadow.puts() if key not in shadow.aside]
        if puts:
            self.fail("stuck", f"{name}: {puts[0]} is pending, and nothing is in its way")
        return None

    def _check_deletes(self, shadow: Shadow, excuses: Mapping[str, str]) -> None:
        name = shadow.name
        deletes = [key for key in shadow.deletes() if key not in shadow.aside]
        blocked = not shadow.whole and any(
            other.blocks() or other.name in excuses or not other.succeeded for other in shadow.dependents
        )
        if deletes and not blocked:
            self.fail("stuck", f"{name}: {deletes[0]} is to be deleted, and nothing is in its way")

    def _check_bounds(self, shadow: Shadow) -> None:
        for store, ledger in self.inspection.plugins[shadow.name].stores.items():
            for key in ledger.pending:
                full = (store, key)
                if not any(
                    full in one for one in (shadow.content, shadow.good, shadow.rejected, shadow.maybe)
                ):
                    self.fail("G9", f"{shadow.name} remembers {key}, which came and went unseen")

    def _check_inboxes(self) -> None:
        for store, copy in self.inspection.stores.items():
            for one, other in pairwise(copy.staged):
                if isinstance(one, Changes) and isinstance(other, Changes):
                    self.fail("G9", f"the inbox of {store} keeps changes apart that could be one")

    # What it listens to

    @property
    def host(self) -> Host:
        assert self._host is not None
        return self._host

    def _listen(self, store: str, feed: Feed) -> None:
        replica = feed.replica
        original = replica.apply
        self._content[store] = {}
        reader = Reader(self.stores[store])
        reader.listen(feed.inbox)
        audits = self._audits[store] = Audits(self.stores[store], reader, self.fail)

        def apply(segments: Sequence[Segment]) -> None:
            before = _entries(replica)
            again = replica.synced
            original(segments)
            after = _entries(replica)
            reader.read(before)
            self._content[store] = {key: entry[0] for key, entry in after.items()} if replica.synced else {}
            self.trace(
                f"copy of {store}", " ".join(f"{key}={entry[0]}" for key, entry in sorted(after.items()))
            )
            if replica.synced:
                self._took(store, before, after, reader)
            audits.took()
            if again and reader.whole:
                self.promises.owe_watchers(self.shadows.values(), store, "reconnect")

        replica.apply = apply  # type: ignore[method-assign]

    def _took(
        self,
        store: str,
        before: dict[str, tuple[str, int]],
        after: dict[str, tuple[str, int]],
        reader: Reader,
    ) -> None:
        for shadow in self.shadows.values():
            paths = [path for where, path in shadow.character.watches if where == store]
            if not paths:
                continue

            def mine(of: Mapping[str, Any], paths: list[str] = paths) -> dict[Key, Any]:
                return {(store, key): of[key] for key in of if any(covers(path, key) for path in paths)}

            others = {key: text for key, text in shadow.content.items() if key[0] != store}
            shadow.content = {**others, **{key: text for key, (text, _) in mine(after).items()}}
            shadow.unread = not all(
                self.inspection.stores[where].read for where, _ in shadow.character.watches
            )
            shadow.change(mine(before), mine(after), set(mine(dict.fromkeys(reader.explicit))))
            written = set() if self.stores[store].revisions else reader.written
            for key in mine(dict.fromkeys(written | reader.back)):
                shadow.thaw(key)

    def _stumbled(self, error: Exception) -> None:
        """The core made a mistake in a plugin's turn."""
        self.fail("crash", f"{type(error).__name__}: {error}")

    def _listen_to_commands(self, dispatcher: Dispatcher) -> None:
        fault, request = dispatcher.fault, dispatcher.request
        release, resync, brake = dispatcher.release, dispatcher.resync, dispatcher._brake

        def on_fault(lane: Any) -> None:
            self.trace("fault begins", lane.name)
            self.promises.begins(self.shadows[lane.name], "fault")
            self.shadows[lane.name].lose()
            fault(lane)

        def on_request(lane: Any) -> None:
            self.promises.begins(self.shadows[lane.name], "request")
            request(lane)

        def on_release(lane: Any) -> int:
            self.trace("release", lane.name)
            for shadow in (self.shadows[lane.name], *self.shadows[lane.name].dependents):
                shadow.release()
            return release(lane)

        def on_resync(lanes: Iterable[Any], reason: str, *, rejected: bool = False) -> None:
            lanes = list(lanes)
            self.trace(f"resync ({reason})", [lane.name for lane in lanes])
            for lane in lanes if rejected else ():
                self.promises.owe(self.shadows[lane.name], reason)
                for shadow in (self.shadows[lane.name], *self.shadows[lane.name].dependents):
                    shadow.rejected.clear()
            resync(lanes, reason, rejected=rejected)

        def on_brake(lanes: Iterable[Any]) -> None:
            brake(lanes)
            self._brakes.look()

        dispatcher.request = on_request  # type: ignore[method-assign]
        dispatcher.fault = on_fault  # type: ignore[method-assign]
        dispatcher.release = on_release  # type: ignore[method-assign]
        dispatcher.resync = on_resync  # type: ignore[method-assign]
        dispatcher._brake = on_brake  # type: ignore[method-assign]

    def _listen_to_answers(self, host: Host, dispatcher: Dispatcher) -> None:
        """Hear what the host says to people and to who waits."""
        keep, settled = dispatcher.keep, host._is_settled

        def on_fault(fault: Fault) -> Fault:
            match fault.kind:
                case FaultKind.AUDIT if fault.store is not None:
                    self.alarms += 1
                    self._audits[fault.store].told(fault)
                    self.promises.owe_watchers(self.shadows.values(), fault.store, "audit")
                case FaultKind.HOOK_HANGS:
                    self.hangs += 1
                    self.hooks.told(fault)
                case FaultKind.REPORTED if fault.plugin is not None:
                    self._reports[fault.plugin] -= 1
            return keep(fault)

        def on_settled() -> bool:
            answer = settled()
            if answer:
                self.publications.settled(self.runtime._current)
            return answer

        dispatcher.keep = on_fault  # type: ignore[method-assign]
        host._is_settled = on_settled  # type: ignore[method-assign]


def _entries(replica: Replica) -> dict[str, tuple[str, int]]:
    return {
        key: (entry.value.decode(), entry.revision)
        for shelf in replica.shelves.all.values()
        for key, entry in shelf.entries.items()
    }
