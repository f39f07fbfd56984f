"""The plugins of the simulation: each drives its device, and fails in every way that a plugin may.

What a plugin is told goes to the oracle before the device sees it, and so does how the call ended.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen

from datasync_core import Change, Context, Event, Fault, Reject, Retry, Watch, hookimpl
from datasync_core.testing import VirtualRuntime
from tests.simulation.system import Device, Key, Refused, System, address

if TYPE_CHECKING:
    from tests.simulation.oracle import Oracle

FATES: tuple[Callable[[], BaseException], ...] = (
    lambda: ValueError("half way"),
    lambda: SystemExit(1),
    lambda: KeyboardInterrupt(),
    lambda: MemoryError("no more"),
    lambda: RecursionError("too deep"),
    lambda: Retry("again"),
    lambda: Retry("soon", 0.1),
    lambda: Retry("later", 5),
    lambda: Reject("not like this"),
)


class Killed(BaseException):
    """The process of this plugin is no more: it does nothing any longer."""


@define
class Life:
    """One life of the host, from its start to its stop or its end by force."""

    dead: bool = False


@frozen
class Character:
    """What a plugin is like; drawn once for a history."""

    name: str
    directory: str
    watches: tuple[tuple[str, str], ...]
    """Store and path of each."""
    requires: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    whole: bool = False
    optimised: bool = True
    """Whether it has `on_change`."""
    mode: str = "changes"
    """``actual``: its resync compares with its device; ``replace``: it removes what the event has not; ``changes``."""
    guarded: bool = False
    """Whether it says ``with change``, so that a failure is the key's own."""
    trouble: float = 0.0
    brake: int = 10
    delta: bool = False
    policy: str = "resync"
    """What follows where it reports a fault."""
    aside: float = 0.17
    """How likely it leaves a key for later, as a part of its trouble."""
    raw: bool = False
    """Whether it takes values as the bytes that they are, so that it can read each."""

    def reads(self, text: str) -> bool:
        """Whether this plugin can read a value."""
        return self.raw or "!" not in text or not ("!*" in text or f"!{self.name}" in text)

    def watch(self, store: str, path: str) -> Watch[Any]:
        """One of the watches."""
        return Watch(path, bytes, store=store) if self.raw else Watch(path, codec=self.decode, store=store)

    def decode(self, value: bytes) -> str:
        """A value as text. Raises `ValueError` where this plugin cannot read it."""
        text = value.decode()
        if not self.reads(text):
            raise ValueError("not for me")
        return text


def as_text(value: str | bytes) -> str:
    """A value as text, for one that takes bytes, too."""
    return value.decode() if isinstance(value, bytes) else value


@define(eq=False)
class Driven:
    """A plugin in one life of the host. Its hooks belong to the dispatcher's thread."""

    character: Character
    life: Life
    runtime: VirtualRuntime
    rng: random.Random
    system: System
    device: Device
    oracle: Oracle
    trouble: float = 0.0
    requires: list[str] = field(factory=list)
    after: list[str] = field(factory=list)
    whole: bool = False
    watches: list[Watch[Any]] = field(factory=list)
    context: Context | None = None
    retried: set[Key] = field(factory=set)
    """Keys that the running call set aside, like `rejected`."""
    rejected: set[Key] = field(factory=set)

    def __attrs_post_init__(self) -> None:
        character = self.character
        self.requires, self.after = list(character.requires), list(character.after)
        self.whole = character.whole
        self.watches = [character.watch(store, path) for store, path in character.watches]

    @property
    def name(self) -> str:
        return self.character.name

    @property
    def guarded(self) -> bool:
        """Whether failures are a key's own; who deletes before its users let go has to."""
        return self.character.guarded or self.whole or not self.character.optimised

    @hookimpl
    def on_start(self, context: Context) -> None:
        self._live()
        with self.oracle.hooks.inside(self.name, "on_start"):
            if self.rng.random() < self.trouble / 4:
                self._hang()
            if self.rng.random() < self.trouble:
                raise ValueError("not yet")
            self.context = context
            self.oracle.started(self)

    @hookimpl
    def on_stop(self) -> None:
        if not self.life.dead:
            with self.oracle.hooks.inside(self.name, "on_stop"):
                self.oracle.stopped(self)

    @hookimpl
    def on_fault(self, fault: Fault) -> None:
        self._live()
        with self.oracle.hooks.inside(self.name, "on_fault"):
            self.oracle.faults += 1
            if self.rng.random() < self.trouble / 8:
                self._hang()
            if self.rng.random() < self.trouble / 4:
                raise ValueError("an observer's own mistake")

    @hookimpl
    def on_resync(self, event: Event) -> None:
        self._deliver(event, resync=True)

    def deliver_change(self, event: Event) -> None:
        """What `on_change` does, where there is one."""
        self._deliver(event, resync=False)

    def lose_state(self, times: int = 1) -> None:
        """The device loses its state, and the plugin says so, perhaps again and again.

        One whose reports are ignored only says so: nobody would bring back what it lost.
        """
        self.oracle.trace("report", f"{self.name} ({times} times, {self.character.policy})")
        if self.character.policy != "ignore":
            self.system.wipe(self.device)
        for _ in range(times):
            if self.context is not None and not self.life.dead:
                self.oracle.reported(self.name)
                self.context.report_fault("the device lost its state")

    def ask_for_resync(self) -> None:
        """Ask for the whole, without a need."""
        if self.context is not None:
            self.oracle.requested(self.name)
            self.context.request_resync("I wish")

    def _live(self) -> None:
        if self.life.dead:
            raise Killed

    def _hang(self) -> None:
        self.runtime.block(lambda: self.life.dead, self.rng.choice([0.1, 3.0, 12.0]))
        self._live()

    def _deliver(self, event: Event, *, resync: bool) -> None:
        self._live()
        with self.oracle.hooks.inside(self.name, "on_resync" if resync else "on_change"):
            self._work(event, resync=resync)

    def _work(self, event: Event, *, resync: bool) -> None:
        self.retried, self.rejected = set(), set()
        told = {watch: list(event.changes(watch)) for watch in self.watches}
        call = self.oracle.told(self, event, told, resync=resync)
        try:
            self._apply(event, told, resync=resync)
            self._live()
        except BaseException as error:
            if not self.life.dead:
                self.oracle.failed(call, error)
            raise
        self.oracle.succeeded(call, self.retried, self.rejected)

    def _apply(self, event: Event, told: Mapping[Watch[Any], list[Change[Any]]], *, resync: bool) -> None:
        rng = self.rng
        fails = rng.random() < self.trouble
        if rng.random() < self.trouble / 8:
            self._hang()
        if rng.random() < self.trouble / (30 if self.character.policy == "restart" else 8):
            self.lose_state(rng.choice([1, 1, 5]))
        elif rng.random() < self.trouble / 8:
            self.ask_for_resync()
        plan = self._plan(event, told, resync=resync)
        at = rng.randrange(len(plan) + 1) if fails else -1
        for number, action in enumerate(plan):
            if number == at:
                self._fail()
            if rng.random() < 0.1:
                self.runtime.pause()
                self._live()
            action()
        if at == len(plan):
            self._fail()

    def _fail(self) -> None:
        fate = self.rng.choice(FATES)
        raise fate()

    def _plan(
        self, event: Event, told: Mapping[Watch[Any], list[Change[Any]]], *, resync: bool
    ) -> list[Callable[[], None]]:
        """What there is to do; addresses are given up first, so that swaps get through."""
        actions: list[Callable[[], None]] = []
        puts: list[Callable[[], None]] = []
        mode = self.character.mode if resync else "changes"
        for watch in self.watches:
            changes = told[watch]
            if mode == "actual":
                changes = list(event.changes(watch, actual=self._actual(watch)))
            elif mode == "replace":
                self._plan_strays(actions, event, watch)
            for change in changes:
                key = (watch.store, change.key)
                if change.deleted or address(self.device.items.get(key, "")) != address(
                    as_text(change.value)
                ):
                    self.system.release(self.device, key)
            for change in changes:
                action = partial(self._one, event, watch, change)
                (actions if change.deleted else puts).append(action)
        return actions + puts

    def _plan_strays(self, actions: list[Callable[[], None]], event: Event, watch: Watch[Any]) -> None:
        """Remove what the event has not, but for what is invalid or held."""
        there = event[watch]
        single = len({one.store for one in self.watches}) == 1
        for name in self._actual(watch):
            key = watch.path[: watch.offset] + name
            public: Any = key if single else (watch.store, key)
            if name not in there and public not in event.invalid and public not in event.held:
                actions.append(partial(self._stray, event, (watch.store, key), public))

    def _stray(self, event: Event, key: Key, public: Any) -> None:
        self.system.release(self.device, key)
        try:
            self.system.remove(self.device, key)
        except Refused as error:
            self.retried.add(key)
            event.retry(public, str(error))

    def _actual(self, watch: Watch[Any]) -> dict[str, str | bytes]:
        longer = [
            other.path
            for other in self.watches
            if other.store == watch.store and len(other.path) > len(watch.path)
        ]
        return {
            key[watch.offset :]: item.encode() if self.character.raw else item
            for (store, key), item in self.device.items.items()
            if store == watch.store and key.startswith(watch.path) and not key.startswith(tuple(longer))
        }

    def _one(self, event: Event, watch: Watch[Any], change: Change[Any]) -> None:
        rng, trouble, key = self.rng, self.trouble, (watch.store, change.key)
        if rng.random() < trouble * self.character.aside:
            if rng.random() < 0.5 - self.character.aside / 3:
                self.rejected.add(key)
                self.retried.discard(key)
                event.reject(change, "never this")
            else:
                self.retried.add(key)
                self.rejected.discard(key)
                event.retry(change, "not now", rng.choice([None, 0.0, 2.0, 20.0]))
            return
        if not self.guarded and not (change.deleted and event.first):
            self._set(key, change)
            return
        with change:
            try:
                if rng.random() < trouble / 4:
                    raise rng.choice([ValueError("this one"), Retry("this", 1), Reject("not this")])
                self._set(key, change)
            except Reject:
                self.rejected.add(key)
                raise
            except Exception:
                self.retried.add(key)
                raise

    def _set(self, key: Key, change: Change[Any]) -> None:
        if change.deleted:
            self.system.remove(self.device, key, force=not self.guarded)
        else:
            self.system.put(self.device, key, as_text(change.value))


@define(eq=False)
class Optimised(Driven):
    """One with `on_change`."""

    @hookimpl
    def on_change(self, event: Event) -> None:
        self.deliver_change(event)
