"""Drives plugins synchronously: the real dispatcher, ledger and decoding, no thread, no sleep, a clock of its own.

    harness = Harness(routes=acme_routes)
    harness.put("routes/10.0.0.0", {"via": "eth0"})
    assert harness.calls[-1].changes == [("CREATE", "routes/10.0.0.0", Route("eth0"), None)]

Every method that changes something returns when all that follows from it was delivered. ``repr()`` shows the calls
so far, one a line, and the states; under pytest the fixture `harness` adds that to the report of a test that failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast, overload

import msgspec

from datasync_core.dispatch.attempts import Patience
from datasync_core.dispatch.contexts import make_context
from datasync_core.dispatch.dispatcher import Dispatcher
from datasync_core.dispatch.lane import Lane
from datasync_core.dispatch.states import PluginState, StateName
from datasync_core.dispatch.wiring import Binding, Feed, wire
from datasync_core.model.entries import Delete, Put
from datasync_core.model.errors import PluginError, StoreError
from datasync_core.model.url import Url
from datasync_core.ops.explain import explain, in_words
from datasync_core.ops.inspection import Inspection
from datasync_core.plugins.assembly import Wanted, assemble
from datasync_core.plugins.discovery import Discovery
from datasync_core.plugins.plugin import Plugin
from datasync_core.plugins.transports import make_transport
from datasync_core.plugins.wrappers import wrappers_of
from datasync_core.spec.context import Context
from datasync_core.spec.transport import Subscription
from datasync_core.sync.publisher import StorePublisher
from datasync_core.sync.store import Store
from datasync_core.testing.calls import Call, Recorder
from datasync_core.testing.virtual import VirtualRuntime


class _Link:
    """One store of the harness: a real memory store, read without a thread."""

    def __init__(self, name: str, runtime: VirtualRuntime) -> None:
        transport = make_transport(Url.parse("memory:"), {})
        self.transport: Any = cast("Any", transport)  # made by its scheme: nothing here imports one
        self.transport.clock = runtime.monotonic
        self.store = Store(name, transport)
        self.publisher = StorePublisher(self.store, runtime)
        self.feed: Feed | None = None
        self.lost = False
        self._subscription: Subscription | None = None

    def pump(self) -> bool:
        """Read what there is to read; whether that was anything."""
        if self.feed is None or self.lost:
            return False
        inbox = self.feed.inbox
        if self._subscription is None:
            subscription = self._subscription = self.store.subscribe(self.feed.paths)
            inbox.begin()
            for chunk in subscription.snapshot():
                inbox.chunk(chunk)
            inbox.complete(subscription.revision)
            return True
        batch = self._subscription.poll(0)
        if batch is None:
            return False
        inbox.put(batch, self._subscription.revision)
        return True

    def lose(self) -> None:
        self.lost = True

    def back(self, *, resume: bool) -> None:
        self.lost = False
        if not resume:
            self.disconnect()

    def disconnect(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            subscription.close()


class Harness:
    """Runs plugins under a test. Arguments are plugins by name: modules, objects or classes.

    ``config`` gives classes their configuration, ``stores`` names the stores there are (all in memory). Values are
    bytes, text, or anything that becomes JSON. Owned by one thread.
    """

    @overload
    def __init__(
        self,
        *,
        stores: Sequence[str] = ("main",),
        config: Mapping[str, Mapping[str, object]] | None = None,
        patience: Patience | None = None,
        seed: int = 0,
        paused: bool = False,
        brake: tuple[float, int] = (0.5, 10),
        expected: Mapping[str, int] | None = None,
        **plugins: object,
    ) -> None: ...
    @overload  # ``Harness(**plugins)``: type checkers take each value of a dict for each argument
    def __init__(self, **plugins: object) -> None: ...
    def __init__(  # type: ignore[misc]  # a plugin called like a setting would be that
        self,
        *,
        stores: Sequence[str] = ("main",),
        config: Mapping[str, Mapping[str, object]] | None = None,
        patience: Patience | None = None,
        seed: int = 0,
        paused: bool = False,
        brake: tuple[float, int] = (0.5, 10),
        expected: Mapping[str, int] | None = None,
        **plugins: object,
    ) -> None:
        """``paused``: begin only at `settle`, so that the first resync finds what was put before. ``brake``: the
        share and the number of vanished keys that trip it; ``expected``: what plugins had applied in an earlier life.

        Raises `PluginError` for a plugin that a host would refuse.
        """
        self.calls: list[Call] = []
        """Every call of `on_resync` and `on_change` so far."""
        self.runtime = VirtualRuntime(seed)
        self._patience = patience or Patience()
        self._brake = brake
        self._stopped = False
        self._expected = expected or {}
        wanted = {name: Wanted(config=values) for name, values in (config or {}).items()}
        assembly = assemble(
            Discovery((), ()), plugins, (), wanted, wrappers=wrappers_of(Recorder(self.calls))
        )
        if assembly.problems:
            raise PluginError("; ".join(map(str, assembly.problems)))
        self._waiting_for = assembly.waiting_for
        self._links = {name: _Link(name, self.runtime) for name in stores}
        doorbell = self.runtime.doorbell()
        self._dispatcher = Dispatcher(self.runtime, doorbell)
        wiring = wire(
            self._dispatcher,
            self.runtime,
            doorbell,
            assembly.plugins,
            self._binding,
            assembly.order.requires,
        )
        self._wiring = wiring
        self._lanes = wiring.lanes
        for name, feed in wiring.feeds.items():
            self._links[name].feed = feed
        if not paused:
            self.settle()

    def put(self, key: str, value: object, *, store: str = "main", ttl: float | None = None) -> None:
        """Write one key. ``ttl``: seconds after which it is gone; `advance` lets them pass."""
        self._link(store).publisher.put(key, _bytes(value), ttl=ttl)
        self.settle()

    def delete(self, key: str, *, store: str = "main") -> None:
        """Remove one key."""
        self._link(store).publisher.delete(key)
        self.settle()

    def commit(self, values: Mapping[str, object], *, store: str = "main") -> None:
        """Write several keys in one transaction; None deletes."""
        ops = [Delete(key) if value is None else Put(key, _bytes(value)) for key, value in values.items()]
        self._link(store).publisher.commit(ops)
        self.settle()

    def clear(self, *, store: str = "main") -> None:
        """Flush a store: all is gone, without a delete for each key."""
        self._link(store).transport.clear()
        self.settle()

    def lose(self, *, store: str = "main") -> None:
        """Cut the connection to a store: what is written from now on is there, and seen after `back`."""
        self._link(store).lose()
        self.settle()

    def back(self, *, store: str = "main", resume: bool = False) -> None:
        """Connect again, with a snapshot, or (``resume``) going on where the stream ended."""
        self._link(store).back(resume=resume)
        self.settle()

    def fault(self, plugin: str) -> None:
        """Let a plugin report that its system lost its state."""
        lane = self._lane(plugin)
        self._dispatcher.submit(lambda: self._dispatcher.fault(lane))
        self.settle()

    def resync(self, *plugins: str) -> None:
        """Ask for a resync, as an operator would: of these plugins (none: all) and of those that require them."""
        lanes = [self._lane(name) for name in plugins] or list(self._lanes.values())
        self._dispatcher.submit(lambda: self._dispatcher.resync(lanes, "request", rejected=True))
        self.settle()

    def release(self, plugin: str) -> None:
        """Let the removals go that the brake holds of a plugin and of those that require it."""
        lane = self._lane(plugin)
        self._dispatcher.submit(lambda: self._dispatcher.release(lane))
        self.settle()

    def explain(self, key: str) -> list[str]:
        """Why a key is where it is, as ``datasync-host explain`` says it."""
        return list(in_words(explain(key, self.inspect(), self.runtime.monotonic())))

    def inspect(self) -> Inspection:
        """Return a read-only view of the copies and of where each plugin's keys stand, for tests of datasync itself."""
        return Inspection(self._wiring, self._dispatcher)

    def advance(self, seconds: float) -> None:
        """Let time pass, with every retry that falls into it."""
        end = self.runtime.monotonic() + seconds
        while (deadline := self.settle()) is not None and deadline <= end:
            self.runtime.run(max(0.0, deadline - self.runtime.monotonic()))
        self.runtime.run(end - self.runtime.monotonic())
        self.settle()

    def settle(self) -> float | None:
        """Deliver all that is due now; the clock's next deadline."""
        while not self._stopped:
            while any([link.pump() for link in self._links.values()]):
                pass
            deadline = self._dispatcher.turn()
            if not any([link.pump() for link in self._links.values()]):
                return deadline
        return None

    def stop(self) -> None:
        """Call `on_stop` of every plugin, in reverse order; no plugin is called after it."""
        self._stopped = True
        self._dispatcher.stop_plugins()

    def state(self, plugin: str) -> PluginState:
        """The state of a plugin (``.state``, a `StateName`, equal to its text) and why (``.reason``)."""
        return self._dispatcher.states[self._lane(plugin).name]

    def calls_of(self, plugin: str) -> list[Call]:
        """The calls of one plugin so far."""
        name = self._lane(plugin).name
        return [call for call in self.calls if call.plugin == name]

    def values(self, plugin: str) -> dict[Any, Any]:
        """The whole state that a plugin was last shown and did not fail on, key → decoded value."""
        calls = [call for call in self.calls_of(plugin) if call.error is None]
        return calls[-1].values if calls else {}

    def undelivered(self, plugin: str) -> dict[str, str]:
        """Key → why, of what a plugin is not told now: invalid, rejected, or held by the brake."""
        ledgers = self._lane(plugin).ledgers.values()
        return {key: why.reason for ledger in ledgers for key, why in ledger.frozen.items()}

    def stored(self, store: str = "main") -> dict[str, bytes]:
        """What a store holds now, key → bytes: also what plugins published."""
        entries: dict[str, bytes] = self._link(store).transport.entries
        return entries

    def in_sync(self) -> bool:
        """Whether every plugin is in sync with nothing pending."""
        return self._dispatcher.settled and all(
            state.state is StateName.IN_SYNC for state in self._dispatcher.states.values()
        )

    def faults(self) -> list[str]:
        """What broke so far, in words."""
        return [fault.text for fault in self._dispatcher.faults]

    def __repr__(self) -> str:
        lines = [str(call) for call in self.calls] or ["no calls so far"]
        for name, state in self._dispatcher.states.items():
            lines.append(f"{name}: {state.state}" + (f": {state.reason}" if state.reason else ""))
        return "\n".join(["<Harness", *(f"  {line}" for line in lines), ">"])

    def _link(self, store: str) -> _Link:
        if store not in self._links:
            raise StoreError(
                f"there is no store {store} (there is {', '.join(self._links)}): name it in stores="
            )
        return self._links[store]

    def _lane(self, plugin: str) -> Lane:
        if plugin not in self._lanes:
            raise PluginError(
                f"there is no plugin {plugin} here (there is {', '.join(self._lanes) or 'none'})"
            )
        return self._lanes[plugin]

    def _binding(self, plugin: Plugin) -> Binding:
        stores = {watch.store: watch.store for watch in plugin.watches}
        unknown = sorted(set(stores) - set(self._links))
        if unknown:
            raise PluginError(f"{plugin.name} watches the store {unknown[0]}: name it in stores=")
        return Binding(
            stores,
            self._context(plugin.name),
            self._patience,
            self._waiting_for.get(plugin.name),
            brake=self._brake,
            expected=self._expected.get(plugin.name, 0),
        )

    def _context(self, name: str) -> Context:
        def publisher(store: str = "main") -> StorePublisher:
            return self._link(store).publisher

        return make_context(name, self._dispatcher, publisher)


def _bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else msgspec.json.encode(value)
