"""One plugin's way through the rounds: start, resync, changes, retries, stop.

A lane knows what its plugin is due (`dispatch.standing`) and delivers it when `dispatch.dispatcher` gives it its turn:
`forward` in DAG order (resyncs, creates and updates), `back` in reverse (deletes, where other plugins require this
one). A plugin that keeps up gets a round's changes by `tell` instead: straight from the copy, with nothing to look up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from datasync_core.dispatch.attempts import Patience
from datasync_core.dispatch.brake import Brake
from datasync_core.dispatch.call import Call
from datasync_core.dispatch.ledger import Ledger
from datasync_core.dispatch.reports import (
    log_recovered,
    report_invalid,
    report_rejected,
    report_set_aside,
)
from datasync_core.dispatch.standing import Standing
from datasync_core.model.errors import Reject, said, said_reason
from datasync_core.model.faults import Fault, FaultKind
from datasync_core.model.runtime import Runtime
from datasync_core.plugins.plugin import Plugin
from datasync_core.spec.context import Context
from datasync_core.spec.event import Event


class Desk(Protocol):
    """What a lane needs of the dispatcher."""

    runtime: Runtime
    round: int
    event: Event | None
    running: tuple[str, str] | None
    stopping: bool

    def call(
        self, plugin: str, hook: str, function: Callable[..., None], *arguments: object
    ) -> BaseException | None:
        """Call a hook as the one that is running; what it raised."""

    def report(self, fault: Fault) -> None:
        """Tell of a fault. Any thread."""


class Lane(Standing):
    """One plugin's deliveries. Owned by the dispatcher thread."""

    def __init__(
        self,
        plugin: Plugin,
        ledgers: Mapping[str, Ledger],
        context: Context,
        desk: Desk,
        patience: Patience,
        brake: Brake,
        *,
        missing: str | None = None,
    ) -> None:
        super().__init__(plugin, ledgers, desk.runtime, patience, brake, missing)
        self._raised_in = -1  # the round in which the pass forward raised
        self._context = context
        self._desk = desk

    def plan(self, reason: str) -> None:
        """A resync is due; the first one stays the first."""
        self.take_in()
        if self.plugin.watches and self.resync is None:
            self.resync = reason

    def pace(self) -> None:
        """The plugin asks for a resync itself: at once, but where it asks again soon after, it has to wait."""
        if self.resync is None:  # else the one that is due serves this, too
            self.attempts.pace()

    def look_at_brake(self) -> None:
        """Trip the brake, or let it go, by what is there now."""
        if self.failed is not None or self.unread():
            return
        said = self.brake.look(self.ledgers.values(), first=not self.succeeded)
        if said is not None:
            text = f"{self.name}: {said}; to remove them: datasync-host release {self.name}"
            self._desk.report(Fault(FaultKind.BRAKE, text, plugin=self.name))

    def hold(self, *, with_dependents: bool) -> None:
        """Hold removals while the brake is on here, or (``with_dependents``) in a plugin that requires this one."""
        self.waits_with = None
        if self.brake.tripped is not None:
            self.brake.hold(self.ledgers.values())
        elif with_dependents:
            self.brake.hold(self.ledgers.values())
            braked = [one for one in self.dependents if one.is_held_at_start()]
            if braked and not self.succeeded and self.brake.is_short(self.ledgers.values()):
                self.waits_with = braked[0].name
        elif self.held():
            self.brake.release(self.ledgers.values())

    def forgive(self, *, rejected: bool = False) -> None:
        """Try at once what waits for its next attempt; ``rejected``: also what was given up on."""
        self.attempts.trouble = None
        if rejected:
            for ledger in self.ledgers.values():
                ledger.thaw_rejected()

    def take_in(self) -> None:
        """From now on this plugin is told by its ledgers: they note what it was not told yet."""
        self.clean = False
        for shelf, _, ledger in self.news.take() if self.news.items else ():
            ledger.absorb(shelf)

    def tell(self) -> bool:
        """The pass forward of a plugin that keeps up. Whether its hook was called; if not, it is not clean any more."""
        news = self.news
        if self.requires and not all([lane.clean for lane in self.requires]) and self.gate() is not None:
            self.take_in()
            return False
        if news.unusual or not news.raw:
            with self._decoding():
                usual = news.is_usual(deletes=not self.dependents or self.plugin.whole)
            if not usual:
                self.take_in()
                return False
        hook = self.plugin.on_change
        assert hook is not None  # else this is not clean
        desk = self._desk
        event = Event(news, self.name, "change", False, desk.round)
        error = None
        # As `Desk.call` does; to call that would cost as much again.
        desk.event = event
        desk.running = (self.name, "on_change")
        try:
            hook(event)
        except BaseException as raised:
            error = raised
        desk.running = None
        if error is None and not news.said:
            event.expire()
            news.items.clear()
            news.single, news.unusual = None, False
            if news.values:
                news.values.clear()
            if self.dependents:
                self._encourage()
            return True
        self.take_in()
        call = Call(self.ledgers, self.plugin.watches, resync=False)
        for part in call.parts.values():
            part.collect_changes(desk.runtime.monotonic(), puts=True, deletes=True)
        news.repeat(call)
        if not self._write("on_change", call, event, error, "change") and self.attempts.wants_resync():
            self.resync = "retry"
        return True

    def forward(self) -> bool:
        """The pass forward: start, resync, or creates and updates. Whether a hook was called."""
        if self.failed is not None or self._waits():
            return False
        if not self.started:
            return self._start()
        if self.gate() is not None or self.is_held_at_start() or (not self.succeeded and self.unread()):
            return False
        if self.resync is not None:
            return self._resync(self.resync)
        call = self._collect(puts=True, deletes=self.whole)
        if call is None:
            if self.trouble is not None and not self.is_behind():
                self.attempts.recover()  # what failed is frozen by now: nothing to try again
            return False
        if self.plugin.on_change is None:
            return self._resync("change")
        return self._change(call)

    def back(self) -> bool:
        """The pass back: deletes of a plugin that others require. Whether a hook was called."""
        if self.whole or not self.succeeded or self.failed is not None or self.gate() is not None:
            return False
        raised = self._raised_in == self._desk.round  # what is deleted here may be what was in its way
        if not raised and (self.resync is not None or self._waits()):
            return False
        call = self._collect(puts=False, deletes=True)
        if call is None:
            self.held_since = None
            return False
        if not self._may_delete():
            return False
        return self._change(call)

    def stop(self) -> None:
        """Call `on_stop`, where `on_start` returned."""
        self.take_in()
        if self.started and not self.stopped and self.plugin.on_stop is not None:
            error = self._desk.call(self.name, "on_stop", self.plugin.on_stop)
            if error is not None:
                self._report("on_stop", error)
        self.stopped = True

    def _waits(self) -> bool:
        stirred = any(ledger.stirred for ledger in self.ledgers.values())
        return self.attempts.waits(stirred=stirred, resync=self.resync is not None)

    def stumble(self, error: Exception) -> None:
        """A mistake of ours in this plugin's turn: it alone pays for it, and is tried again."""
        self.take_in()
        text = f"{self.name}: a mistake of datasync: {said(error)}"
        self.attempts.fail(text, error)
        self._desk.report(Fault(FaultKind.MISTAKE, text, plugin=self.name, cause=error))

    def _start(self) -> bool:
        if self.missing is not None or not all(required.started for required in self.requires):
            return False
        if self.plugin.on_start is None:
            self.started = True
            return self.forward()
        error = self._desk.call(self.name, "on_start", self.plugin.on_start, self._context)
        if isinstance(error, Reject):
            self.failed = f"on_start: {said_reason(error)}"
            self._report("on_start", error)
        elif error is not None:
            self._fail("on_start", error)
        else:
            self.started = True
            self.attempts.recover()
            if not self._desk.stopping:
                self.forward()
        return True

    def _collect(self, *, puts: bool, deletes: bool) -> Call | None:
        if not any(ledger.behind for ledger in self.ledgers.values()):
            return None
        call = Call(self.ledgers, self.plugin.watches, resync=False)
        now = self._desk.runtime.monotonic()
        with self._decoding():
            for part in call.parts.values():
                if part.ledger.behind:
                    part.collect_changes(now, puts=puts, deletes=deletes)
        report_invalid(self.name, self.failures, self._desk.report)
        return None if call.is_empty() else call

    @contextmanager
    def _decoding(self) -> Iterator[None]:
        """Let the watchdog see a codec that hangs: it is the plugin's code as its hooks are."""
        self._desk.running = (self.name, "a codec")
        try:
            yield
        finally:
            self._desk.running = None

    def _may_delete(self) -> bool:
        """Whether nothing above is still to let go of what is deleted here, or it took too long."""
        blockers = [
            lane.name
            for lane in self.dependents
            if lane.failed is None and any(ledger.has_blockers() for ledger in lane.ledgers.values())
        ]
        now = self._desk.runtime.monotonic()
        if blockers:
            if self.held_since is None:
                self.held_since = now
            if now < self.held_since + self._patience.hold:
                return False
            text = (
                f"{self.name}: deletes waited {self._patience.hold:g} s for {', '.join(blockers)} and go now"
            )
            self._desk.report(Fault(FaultKind.DELETES_OVERDUE, text, plugin=self.name))
        self.held_since = None
        return True

    def _resync(self, reason: str) -> bool:
        call = Call(self.ledgers, self.plugin.watches, resync=True)
        with self._decoding():
            for part in call.parts.values():
                part.collect_state(withhold=self.succeeded and not self.whole)
        report_invalid(self.name, self.failures, self._desk.report)
        hook = self.plugin.on_resync
        assert hook is not None  # refused at load
        if self._deliver("on_resync", hook, call, "retry" if self.trouble is not None else reason):
            self.succeeded = True
            self.resync = None
            self.brake.expected = 0
            self.resyncs += reason != "change"
        elif self.resync is None:
            self.resync = "retry"
        return True

    def _change(self, call: Call) -> bool:
        hook = self.plugin.on_change
        assert hook is not None  # `whole` otherwise
        if not self._deliver("on_change", hook, call, "change") and self.attempts.wants_resync():
            self.resync = "retry"
        return True

    def _deliver(self, name: str, hook: Callable[[Event], None], call: Call, reason: str) -> bool:
        event = Event(call, plugin=self.name, reason=reason, first=not self.succeeded, round=self._desk.round)
        error = self._desk.call(self.name, name, hook, event)
        return self._write(name, call, event, error, reason)

    def _write(self, name: str, call: Call, event: Event, error: BaseException | None, reason: str) -> bool:
        """Write down what became of a call; whether it succeeded."""
        handed = event.handed if error is not None else None
        event.expire()
        for ledger in self.ledgers.values():
            ledger.stirred = False
        if error is not None:
            call.fail()
            self._fail(name, error, handed)
            self._raised_in = self._desk.round
            return False
        if self.trouble is not None:
            self.last = "retry"
        elif reason != "change":
            self.last = reason
        if self._raised_in != self._desk.round:  # else the creates that raised wait on
            self.attempts.recover()
        report_rejected(self.name, call, self.failures, self._desk.report)
        report_set_aside(self.name, call, self.failures, self._desk.report)
        applied = call.succeed(self._desk.runtime.monotonic(), self.attempts.key_wait)
        if self.failures:
            parts = call.parts.items()
            told = self.failures.keys() if call.resync else {store: part.handed for store, part in parts}
            log_recovered(self.name, self.failures, told)
        if applied:
            self._encourage()
        return True

    def look_at_failures(self) -> None:
        """Log which keys no longer fail though no call was needed: the store has again what was applied."""
        if self.failures:
            log_recovered(self.name, self.failures)

    def _encourage(self) -> None:
        """Those that require this one may try again what they set aside."""
        for lane in self.dependents:
            if self in lane.requires:
                for ledger in lane.ledgers.values():
                    for aside in ledger.aside.values():
                        if aside.eager:
                            aside.due = 0.0

    def _fail(self, hook: str, error: BaseException, key: str | None = None) -> None:
        self.attempts.fail(self._report(hook, error, key), error)

    def _report(self, hook: str, error: BaseException, key: str | None = None) -> str:
        at = f" at {key}" if key is not None else ""
        text = f"{self.name}: {hook} failed{at}: {said(error)}"
        self._desk.report(Fault(FaultKind.HOOK_FAILED, text, plugin=self.name, key=key, cause=error))
        return text


def connect(lanes: Mapping[str, Lane], requires: Mapping[str, Sequence[str]]) -> None:
    """Tell each lane which others it requires and which require it."""
    for name, lane in lanes.items():
        lane.requires = [lanes[other] for other in requires.get(name, ()) if other in lanes]
    for number, lane in enumerate(lanes.values()):
        lane.number = number
        above, seen = list(lane.requires), set()
        while above:
            required = above.pop()
            if required.name not in seen:
                seen.add(required.name)
                required.dependents.append(lane)
                above.extend(required.requires)
