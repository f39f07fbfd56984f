"""One history: a seed draws plugins, stores and troubles, plays so many steps, heals everything and compares.

`play` is all that a test needs. The same seed makes the same history, to the last switch of threads.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from attrs import define, evolve, field

from datasync_core import Host
from datasync_core.config.settings import Brake, HostSettings, PluginSettings, RetrySettings, Settings
from datasync_core.dispatch.counts import PAUSE, Counts
from datasync_core.testing import VirtualRuntime
from tests.simulation.oracle import Oracle, Violation
from tests.simulation.plan import Plan
from tests.simulation.plugin import Character, Driven, Life, Optimised
from tests.simulation.store import SimulatedStore
from tests.simulation.system import Key, System
from tests.simulation.workload import Workload
from tests.simulation.writer import Writer

HOLD = 6.0
HANG = 8.0
RETRY = RetrySettings(0.5, 4.0, 3)
LIVELOCK = 20_000
"""Looks at the clock of a thread that never waits."""
RAW = {"p0", "p2"}
"""Plugins that take values as bytes; who is called so is drawn."""


class Kept(Counts):
    """Counts that survive in memory what a host does not."""

    def __init__(self, life: Life, kept: dict[str, int], runtime: VirtualRuntime) -> None:
        super().__init__(Path("nowhere"), runtime)
        self._life = life
        self._kept = kept

    def load(self) -> Mapping[str, int]:
        return dict(self._kept)

    def save(self, counts: Mapping[str, int], now: float) -> None:
        self._stale = False
        self._next = now + PAUSE
        if not self._life.dead:
            self._kept.update(counts)


@define
class Report:
    """What a history was."""

    plan: Plan
    operations: int = 0
    calls: int = 0
    failures: int = 0
    """Calls that raised."""
    faults: int = 0
    """Connections lost, flushes, restores, wiped devices, restarts."""
    refusals: int = 0
    """How often a device refused something."""
    alarms: int = 0
    """Audits that found something."""
    hangs: int = 0
    """Hooks that were named while they hung."""
    waits: int = 0
    """Waits that ended because every plugin had what was written, or was named."""
    restarts: int = 0
    """Hosts that ended because a plugin's report asked for it."""
    violation: str | None = None
    story: list[str] = field(factory=list, repr=False)
    """The plugins, and what was done to them, without what came of it."""
    trace: list[str] = field(factory=list, repr=False)

    def __str__(self) -> str:
        told = "\n".join(self.trace)
        return f"seed {self.plan.seed}, {len(self.plan.steps)} steps: {self.violation}\n{told}"


def play(seed: int, steps: int = 80) -> Report:
    """Play the history of a seed; the report says what it broke, if anything."""
    return play_plan(Plan.drawn(seed, steps))


def play_plan(plan: Plan) -> Report:
    """Play a history."""
    with _Impatient(plan.seed) as runtime:
        history = History(plan, runtime)
        try:
            history.run()
        except Exception as error:  # a mistake anywhere is one
            history.report.violation = str(history.oracle.broken or f"{type(error).__name__}: {error}")
        return history.summary()


class _Impatient(VirtualRuntime):
    """Ends a history in which one thread goes on and on, and lets no other."""

    _asked = 0

    def monotonic(self) -> float:
        if self._current is not None:
            self._asked += 1
            if self._asked > LIVELOCK:
                raise Violation(
                    f"livelock: {self._current.name} looks at the clock again and again, and never waits"
                )
        return super().monotonic()

    def block(self, ready: Callable[[], bool], timeout: float | None) -> bool:
        self._asked = 0
        return super().block(ready, timeout)


class History:
    """One history in the making. The thread that made it steers."""

    def __init__(self, plan: Plan, runtime: VirtualRuntime) -> None:
        self.rng = rng = random.Random(plan.seed)
        self.runtime = runtime
        self.report = Report(plan)
        exact, single = rng.random() < 0.6, rng.random() < 0.75
        self.stores = {
            name: SimulatedStore(
                name,
                runtime,
                rng,
                exact=exact,
                resumable=rng.random() < 0.6,
                revisions=exact or rng.random() < 0.5,
            )
            for name in (["main"] if single else ["main", "aux"])
        }
        for store in self.stores.values():
            store.flaky = rng.choice([0.0, 0.0, 0.02, 0.1])
        self.audit = rng.choice([None, None, 5.0, 15.0])
        """Seconds between audits."""
        self.system = System(strict=rng.random() < 0.7)
        self.characters = _without(_characters(rng, list(self.stores)), plan.without)
        for one in self.characters:
            self.system.add(one.name, one.directory)
        keys = min(rng.randrange(2, 6), plan.keys)
        self.workloads = [
            Workload(store, self.characters, rng, keys)
            for store in self.stores.values()
            if any(one.directory and (store.name, one.directory) in one.watches for one in self.characters)
        ]
        self.oracle = Oracle(runtime, self.stores, HOLD)
        self.counts: dict[str, int] = {}
        self.life = Life()
        self.plugins: dict[str, Driven] = {}
        self.host: Host | None = None
        self.writers: list[Writer] = []
        """Those that have not had their answer."""
        self._calls_before = 0

    def run(self) -> None:
        """All of it."""
        rng = self.rng
        self.report.story += [str(one) for one in self.characters]
        for workload in self.workloads:
            for _ in range(rng.randrange(4)):
                self._does(f"write to {workload.store.name}", workload.write())
        self._does("start")
        self.start()
        for number in self.report.plan.steps:
            self._draw_from(number)
            self.step()
            for _ in range(rng.choice([0, 3, 10, 40])):
                if not self._step():
                    break
            self._check()
            if self.oracle.promises.restart is not None:
                self._restart()
        self._draw_from(self.report.plan.seed)
        self.heal()

    def _restart(self) -> None:
        """The host ended by itself, and whoever runs it starts it again."""
        self.report.restarts += 1
        self.end(kill=False)
        self.start()

    def summary(self) -> Report:
        """What it was."""
        report, oracle = self.report, self.oracle
        report.operations += sum(workload.operations for workload in self.workloads)
        report.calls, report.failures = oracle.calls, oracle.failures
        report.alarms, report.hangs, report.waits = oracle.alarms, oracle.hangs, oracle.waits
        report.faults += sum(store.breaks for store in self.stores.values())
        report.refusals = self.system.refusals
        if report.violation is not None:
            for when, what, whom in oracle.told_of:
                report.trace.append(f"{when:10.3f} {what}: {whom}")
                if what == "BROKEN":
                    break
        return report

    def start(self) -> None:
        """A new life of the host."""
        self.life = life = Life()
        self.plugins = {
            one.name: (Optimised if one.optimised else Driven)(
                one,
                life,
                self.runtime,
                self.rng,
                self.system,
                self.system.devices[one.name],
                self.oracle,
                one.trouble,
            )
            for one in self.characters
        }
        settings = {
            one.name: PluginSettings(
                one.name,
                reconnect="delta" if one.delta else "resync",
                fault_policy=one.policy,  # type: ignore[arg-type]  # one of three
                brake=Brake(0.5, one.brake),
                retry=RETRY,
            )
            for one in self.characters
        }
        host_settings = HostSettings("simulated", hook_timeout=HANG, hold=HOLD, retry=RETRY, audit=self.audit)
        self.host = host = Host(
            dict(self.stores),
            dict(self.plugins),
            settings=Settings(host_settings, {}, settings, Path()),
            runtime=self.runtime,
        )
        host._counts = Kept(life, self.counts, self.runtime)
        host.load()
        assert not host.problems, host.problems
        watched = self.rng.random() < 0.2  # its looks cost more than all the rest
        if not watched:
            host.watchdog.start = lambda: None  # type: ignore[method-assign]
        self.oracle.attach(host, self.plugins, self.counts, HANG if watched else None)
        host.start()

    def end(self, *, kill: bool) -> None:
        """End the host, or the process that it is."""
        assert self.host is not None
        self.report.faults += 1
        self._does("kill" if kill else "stop")
        self.life.dead = kill
        self.oracle.ends()
        begun = self.runtime.monotonic()
        patience = self.rng.choice([2.0, 1000.0])
        if not self.host.stop(patience):
            self.oracle.hooks.gives_up()
            if self.runtime.monotonic() > begun + patience:
                raise Violation("G12: a stop that gives up takes longer than it may")
            if not self.host.stop(1000):
                raise Violation("G12: the host does not stop")
        self._check_crash()
        while self.writers and self.runtime.step():
            self._check()
        self.oracle.publications.ended()
        for one in self.characters:  # who cannot find its own leftovers begins anew, as its system does
            if one.mode == "changes":
                self.system.wipe(self.system.devices[one.name])

    def publish(self) -> None:
        """Write through the host, and wait for what becomes of it, on a thread of its own."""
        assert self.host is not None
        workload = self.rng.choice(self.workloads)
        values = workload.harmless(1 if not workload.store.exact else self.rng.randrange(1, 3))
        self._does(f"publish to {workload.store.name}", values)
        writer = Writer(
            self.host, self.oracle, self.runtime, workload.store, values, self.rng.choice([None, None, 3.0])
        )
        self.report.operations += 1
        writer.thread = self.runtime.start(lambda: self._write(writer), "writer")
        self.writers.append(writer)

    def _write(self, writer: Writer) -> None:
        try:
            writer.run()
        except Violation:
            pass  # the oracle keeps it
        finally:
            self.writers.remove(writer)

    def step(self) -> None:  # noqa: C901 - one case for each thing that happens
        """Something happens."""
        rng = self.rng
        assert self.host is not None
        store = rng.choice(list(self.stores.values()))
        what = rng.randrange(47)
        if what < 20:
            workload = rng.choice(self.workloads)
            self._does(f"write to {workload.store.name}", workload.write())
            return
        if what < 27:
            seconds = rng.choice([0.1, 1.0, 5.0, 5.0, 20.0])
            self._pass(seconds, all_of_it=rng.random() < 0.6)
            return
        fault = True
        match what:
            case 27 | 28:
                self._does("lose", store.name)
                store.lose(away=rng.random() < 0.7)
            case 29 | 30 | 31:
                if store.away:
                    self._does("back", store.name)
                store.back()
                fault = False
            case 32:
                self._does("forget", store.name)
                store.forget()
            case 33 if rng.random() < 0.4:
                self._does("flush", store.name)
                store.clear()
            case 34 if rng.random() < 0.6:
                empty = rng.random() < 0.4
                self._does("restore", f"{store.name} empty={empty}")
                store.restore(empty=empty)
            case 34:
                self._does("back up", store.name)
                store.back_up()
                fault = False
            case 35 if rng.random() < 0.5:
                plugin = rng.choice(list(self.plugins.values()))
                self._does("device loses its state", plugin.name)
                plugin.lose_state(rng.choice([1, 1, 4]))
            case 36 if rng.random() < 0.5:
                self.end(kill=rng.random() < 0.5)
                for workload in self.workloads:
                    for _ in range(rng.randrange(3)):
                        self._does("write while down", workload.write())
                if rng.random() < 0.2:
                    self._does("flush", store.name)
                    store.clear()
                self.start()
            case 37 if rng.random() < 0.5:
                names = rng.sample(list(self.plugins), rng.randrange(2))
                self._does("ask for a resync", names or "of all")
                self.host.resync(*names)
                fault = False
            case 38:
                name = rng.choice(list(self.plugins))
                self._does("ask to release", name)
                self.host.release(name)
                fault = False
            case 39:
                plugin = rng.choice(list(self.plugins.values()))
                plugin.trouble = rng.choice([0.0, plugin.character.trouble, 0.9])
                self._does(f"trouble {plugin.trouble}", plugin.name)
                fault = False
            case 40 | 41 if all(one.revisions for one in self.stores.values()):
                self.publish()
                fault = False
            case 42 | 45 | 46 if self.audit is not None:
                changes = rng.choice(self.workloads).write(silent=True)
                self._does("change in silence", changes)
            case 43 if self.audit is not None and rng.random() < 0.3:
                self._does("swap in silence", store.name)
                store.swap()
            case 44:
                plugin = rng.choice(list(self.plugins.values()))
                self._does("ask for a resync", plugin.name)
                plugin.ask_for_resync()
                fault = False
            case _:
                fault = False
        self.report.faults += fault

    def heal(self) -> None:
        """Take every trouble away, let time pass, and compare; then repair what only people can, and compare again."""
        assert self.host is not None
        self._does("heal")
        for store in self.stores.values():
            store.flaky = 0.0
            store.back()
        for plugin in self.plugins.values():
            plugin.trouble = 0.0
        self._pass(40)
        if self.oracle.promises.restart is not None:  # a hook that hung said so
            self._restart()
            self._pass(40)
        if self._is_idle():
            self.oracle.publications.ended()
        if not self.system.strict:
            self._compare(named=True)
        for workload in self.workloads:
            workload.repair()
        self._pass(30)
        for name in self.plugins:
            self.host.release(name)
        self._pass(30)
        self.host.resync()
        self._pass(90)
        self._compare(named=False)
        self.oracle.publications.ended()
        self.end(kill=False)

    def _is_idle(self) -> bool:
        """Whether no plugin is tried again by itself."""
        assert self.host is not None
        now = self.runtime.monotonic()
        return all(plugin.next_attempt(now) is None for plugin in self.host.inspect().plugins.values())

    def _draw_from(self, number: int) -> None:
        """Everything that is drawn from here on, by whomever, comes from this number."""
        self.rng.seed(number)
        self.runtime._seed.seed(number)

    def _does(self, what: str, whom: object = "") -> None:
        self.report.story.append(f"{what} {whom}".rstrip())
        self.oracle.trace(what, whom)

    def _pass(self, seconds: float, *, all_of_it: bool = True) -> None:
        """Let time pass, perhaps only until somebody reads a store, so that more may happen meanwhile."""
        end = self.runtime.monotonic() + seconds
        self._does(f"{seconds} s pass")
        while self.runtime.monotonic() < end and self._step(end):
            if not all_of_it and any(store.is_being_read() for store in self.stores.values()):
                break
        self._check()

    def _step(self, end: float | None = None) -> bool:
        """One step of a thread; where none can, a look at what there is before time passes."""
        runtime = self.runtime
        if any(thread.can_run(runtime.monotonic()) for thread in runtime._threads):
            runtime.step()
            return True
        self._check()
        self.oracle.quiet()
        if end is None:
            return False
        moments = [thread.deadline for thread in runtime._threads if thread.deadline is not None]
        moment = min(moments, default=end)
        if moment >= end:
            runtime.run(end - runtime.monotonic())
            return False
        return runtime.step()

    def _check(self) -> None:
        self._check_crash()
        if self.oracle.broken is not None:
            raise self.oracle.broken
        wanted = self.host is not None and self.host.restart_wanted
        if wanted != (self.oracle.promises.restart is not None):
            raise Violation(
                f"report: the host wants a restart: {wanted}, as does {self.oracle.promises.restart}"
            )

    def _check_crash(self) -> None:
        assert self.host is not None
        crash = self.host.crashed()
        if crash is not None and not self.life.dead:
            raise self.oracle.broken or Violation(f"crash: {type(crash).__name__}: {crash}") from crash

    def _compare(self, *, named: bool) -> None:
        """Every plugin was told what the store holds, and every device has it; ``named``: but for what is named."""
        assert self.host is not None
        states = self.host.states()
        for name, plugin in self.plugins.items():
            shadow = self.oracle.shadows[name]
            if named and _waits(self, name):
                continue
            want: dict[Key, str] = {}
            for watch in plugin.watches:
                for found, value in self.stores[watch.store].values().items():
                    if found.startswith(watch.path):
                        want[watch.store, found] = value.decode()
            for kind, have in (("told", shadow.applied), ("device", plugin.device.items)):
                for key in {**want, **have}:
                    if named and (shadow.frozen(key) or key in shadow.aside):
                        continue
                    if want.get(key) != have.get(key):
                        why = f"{name} {kind} {key}: {have.get(key)!r}, the store has {want.get(key)!r}"
                        raise Violation(f"G1: {why} ({states[name]})")
            if not named and states[name].state != "in_sync":
                raise Violation(f"stuck: {name} is {states[name]}")


def _waits(history: History, name: str) -> bool:
    """Whether a plugin waits for what people must do: a call that it rejected, or the brake at its start."""
    shadow = history.oracle.shadows[name]
    stuck = shadow.failed is not None or (shadow.at_start and not shadow.succeeded) or not shadow.succeeded
    return stuck or shadow.closes() is not None or any(_waits(history, one.name) for one in shadow.requires)


def _characters(rng: random.Random, stores: list[str]) -> list[Character]:
    characters: list[Character] = []
    count = rng.randrange(1, 6)
    names = rng.sample([f"p{number}" for number in range(count + 1)], count + 1)
    trouble = rng.choice([0.0, 0.2, 0.4, 0.7])
    brake = rng.choice([2, 3, 4, 10])
    aside = rng.choice([0.17, 0.17, 1.0])
    chain = rng.random() < 0.25
    for number in range(count):
        earlier = characters[:number]
        directory = "abcdef"[number] + "/"
        where = rng.choice([[stores[0]], [stores[-1]], stores])
        watches = [(store, directory) for store in where]
        if rng.random() < 0.2:
            watches.append((where[0], directory + "s/"))
        if earlier and rng.random() < 0.2:
            watches.append((where[0], rng.choice(earlier).directory))
        characters.append(
            Character(
                names[number],
                directory,
                tuple(watches),
                requires=tuple(
                    one.name for one in (earlier[-1:] if chain else earlier) if chain or rng.random() < 0.5
                ),
                after=tuple(one.name for one in earlier if rng.random() < 0.2),
                whole=rng.random() < 0.1,
                optimised=rng.random() < 0.85,
                mode=rng.choice(["actual", "actual", "replace", "changes"]),
                guarded=rng.random() < 0.5,
                trouble=rng.choice([0.0, trouble, trouble]),
                brake=brake,
                delta=rng.random() < 0.3,
                policy=rng.choice(["resync"] * 8 + ["restart", "ignore"]),
                aside=aside,
                raw=names[number] in RAW,
            )
        )
    if rng.random() < 0.4:
        characters.append(
            Character(
                names[-1],
                "",
                ((stores[0], ""),),
                mode="actual",
                trouble=trouble,
                brake=brake,
                raw=names[-1] in RAW,
            )
        )
    return characters


def _without(characters: Sequence[Character], left_out: Collection[int]) -> list[Character]:
    """Those that stay, and require only each other; one has keys of its own, or nobody would write."""
    kept = [one for number, one in enumerate(characters) if number not in left_out]
    if not any(one.directory for one in kept):
        kept.insert(0, characters[0])
    names = {one.name for one in kept}
    return [
        evolve(
            one,
            requires=tuple(name for name in one.requires if name in names),
            after=tuple(name for name in one.after if name in names),
        )
        for one in kept
    ]
