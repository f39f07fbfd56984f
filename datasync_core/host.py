"""The one place that wires the rooms together: stores, plugins, and the threads between them.

A `Host` reads each watched store on a thread of its own (reflector), calls every hook on one more (dispatcher), and
is steered from outside. Embedded, it changes nothing process-wide: no signal handlers, no discovery unless asked.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from datasync_core.config.settings import HostSettings, PluginSettings, Settings
from datasync_core.config.urls import store_settings
from datasync_core.dispatch.attempts import Patience
from datasync_core.dispatch.contexts import make_context
from datasync_core.dispatch.dispatcher import Dispatcher
from datasync_core.dispatch.states import PluginState
from datasync_core.dispatch.watchdog import Watchdog
from datasync_core.dispatch.wiring import Binding, Wiring, wire
from datasync_core.model.errors import ConfigError, HostError, StoreError
from datasync_core.model.runtime import RealRuntime, Runtime, Thread
from datasync_core.opening import NO_STORE, make_store, open_store
from datasync_core.ops.control import ControlSocket
from datasync_core.ops.inspection import Inspection
from datasync_core.ops.operations import OWN, Operations
from datasync_core.ops.statedir import StateDir
from datasync_core.plugins.assembly import Assembly, Wanted, assemble
from datasync_core.plugins.discovery import GROUP_PLUGINS, Discovery, discover
from datasync_core.plugins.plugin import Plugin
from datasync_core.plugins.problem import Problem
from datasync_core.plugins.wrappers import Wrapper
from datasync_core.spec.context import Context, Publisher
from datasync_core.spec.transport import Transport
from datasync_core.sync.backoff import Backoff
from datasync_core.sync.publisher import StorePublisher
from datasync_core.sync.reflector import Reflector
from datasync_core.sync.store import Store

__all__ = ["NO_STORE", "Host", "make_store", "open_store"]

log = logging.getLogger("datasync")


class Host:
    """Runs plugins on stores: ``with Host(stores="sqlite:data.db", plugins={"routes": routes}): …``.

    ``stores`` is a URL, a transport, or a mapping from names to those; ``plugins`` maps names to modules, objects or
    classes; ``discover`` adds what is installed. Without ``state_dir`` there is no folder and no lock. Two hosts live
    in one process. Any thread may call any method but where it says otherwise; a host is started once.
    """

    def __init__(
        self,
        stores: str | Transport | Mapping[str, str | Transport] | None = None,
        plugins: Mapping[str, object] | None = None,
        discover: bool = False,
        name: str | None = None,
        state_dir: Path | str | None = None,
        *,
        settings: Settings | None = None,
        files: Sequence[Path] = (),
        wrappers: Sequence[Wrapper] = (),
        runtime: Runtime | None = None,
    ) -> None:
        """``settings``, ``files`` (one-off plugins) and ``wrappers`` are what the command line adds.

        Raises `ConfigError` for a URL that cannot be used.
        """
        self.settings = settings or Settings(HostSettings(name or socket.gethostname()), {}, {}, Path.cwd())
        self.name = name or self.settings.host.name
        self.stores: dict[str, Store] = {one.name: make_store(one) for one in self.settings.stores.values()}
        given = stores if isinstance(stores, Mapping) else {} if stores is None else {"main": stores}
        for store, what in given.items():
            if isinstance(what, Transport):
                self.stores[store] = Store(store, what)
            else:
                self.stores[store] = make_store(store_settings(store, what, Path.cwd()))
        self.problems: tuple[Problem, ...] = ()
        """What is wrong with plugins, after `load`."""
        self.plugins: tuple[Plugin, ...] = ()
        """The plugins that run or wait, in DAG order, after `load`."""
        self._given = dict(plugins or {})
        self._discover, self._files, self._wrappers = discover, files, wrappers
        self._runtime: Runtime = runtime or RealRuntime()
        self._doorbell = self._runtime.doorbell()
        self._dispatcher = Dispatcher(self._runtime, self._doorbell)
        self.watchdog = Watchdog(self._dispatcher, self._runtime, self.settings.host.hook_timeout)
        self._state = None if state_dir is None else StateDir(Path(state_dir), self.name)
        self._counts = None if self._state is None else self._state.counts(self._runtime)
        self._control = None
        if self._state is not None:
            self._control = ControlSocket(self._state, self, self._dispatcher, self._runtime)
        self._assembly: Assembly | None = None
        self._wiring = Wiring({}, {})
        self._reflectors: dict[str, Reflector] = {}
        self._publishers: dict[str, StorePublisher] = {
            name: StorePublisher(store, self._runtime) for name, store in self.stores.items()
        }
        self._thread: Thread | None = None
        self._crash: BaseException | None = None
        self._stopped = False
        self.restart_wanted = False
        """Whether a plugin whose ``fault_policy`` is ``restart`` reported a fault: the plugins are being stopped."""

    @property
    def assembly(self) -> Assembly:
        """What was found, ordered, disabled or missed, after `load`."""
        if self._assembly is None:
            raise HostError("this host has not loaded its plugins: call load() or start() first")
        return self._assembly

    def load(self, on_import: Callable[[str | None], None] | None = None) -> None:
        """Find, load and order the plugins, bind them to stores; start nothing. ``on_import`` is told of imports."""
        if self._assembly is not None:
            return
        found = discover(GROUP_PLUGINS) if self._discover else Discovery((), ())
        settings = self.settings = self.settings.matched([one.name for one in found.found])
        self._assembly = assemble(
            found,
            self._given,
            self._files,
            {name: _wanted(plugin) for name, plugin in settings.plugins.items()},
            settings.host.only or (),
            settings.host.disable,
            self._wrappers,
            on_import,
        )
        problems = list(self._assembly.problems)
        bound: dict[str, dict[str, str]] = {}
        for plugin in self._assembly.plugins:
            try:
                bound[plugin.name] = {
                    watch.store: self._store_name(plugin.name, watch.store) for watch in plugin.watches
                }
            except ConfigError as error:
                problems.append(Problem(plugin.name, str(error), plugin.where, error))
        self.problems = tuple(problems)
        self.plugins = tuple(plugin for plugin in self._assembly.plugins if plugin.name in bound)
        self._wire(bound)

    def start(self) -> None:
        """Load what is not loaded yet and begin; returns at once.

        Raises `HostError` where a host of this name runs already, `ConfigError` for an unusable state directory.
        """
        self._dispatcher.owner.check()
        if self._thread is not None or self._stopped:
            raise HostError(f"host {self.name} was started already: make a new Host")
        self.load()
        try:
            self._begin()
        except BaseException:
            self.stop()
            raise

    def _begin(self) -> None:
        if self._state is not None:
            self._state.acquire()
        if self._control is not None:
            self._control.start()
        if self._counts is not None:  # only who holds the lock may read them
            for name, count in self._counts.load().items():
                if name in self._wiring.lanes:
                    self._wiring.lanes[name].brake.expected = count
        for problem in self.problems:
            log.error("%s", problem, extra={"plugin": problem.plugin})
        self._thread = self._runtime.start(self._run, "datasync-dispatcher")
        self.watchdog.start()
        for reflector in self._reflectors.values():
            reflector.start()

    def stop(self, timeout: float | None = None) -> bool:
        """Let the running hook finish, call `on_stop` in reverse order, end every thread.

        Waits up to ``timeout`` seconds (None: for ever); False where a hook still runs then (`running` names it).
        On the dispatcher's own thread (in a hook) it only asks, and returns False. A forked child stops nothing.
        """
        if not self._dispatcher.owner.is_here:
            return True
        deadline = None if timeout is None else self._runtime.monotonic() + timeout

        def left() -> float | None:
            return None if deadline is None else max(0.0, deadline - self._runtime.monotonic())

        self._stopped = True
        self._dispatcher.ask_stop()
        self._dispatcher.wake_waiters()
        for reflector in self._reflectors.values():
            reflector.stop()
        thread = self._thread
        if thread is not None:
            if thread.is_current():
                return False
            thread.join(left())
            if thread.is_alive():
                return False
        self.watchdog.stop()
        if self._control is not None:
            self._control.stop()
        ended = all([reflector.join(left()) for reflector in self._reflectors.values()])
        outer: list[StorePublisher | Store] = [*self._publishers.values(), *self.stores.values()]
        for each in outer:
            each.close()
        if self._counts is not None:
            self._counts.finish(left())
        if self._state is not None:
            self._state.release()
        return ended

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all is settled: every store read, what this host published seen, nothing due or pending.

        A plugin that failed, or that waits for what will not come by itself, does not count. False after
        ``timeout`` seconds. Raises `HostError` on the dispatcher's own thread, which would wait for itself.
        """
        return self._wait(self._is_settled, timeout)

    def wait_changed(self, timeout: float | None = None) -> None:
        """Wait up to ``timeout`` seconds for the dispatcher's next turn (any store or plugin has news)."""
        turns = 0

        def turned() -> bool:
            nonlocal turns
            turns += 1
            return turns > 1

        self._wait(turned, timeout)

    def running(self) -> tuple[str, str] | None:
        """Plugin and hook that is being called."""
        return self._dispatcher.running

    def refused(self) -> StoreError | None:
        """Why a store refused this host (credentials, a wrong setting) before it ever answered, or None."""
        for reflector in self._reflectors.values():
            health = reflector.health
            if health.refused and not health.snapshots and isinstance(health.error, StoreError):
                return health.error
        return None

    def crashed(self) -> BaseException | None:
        """What ended the dispatcher's thread: a mistake of ours, or the loss of the state directory; or None."""
        return self._crash or (None if self._control is None else self._control.lost)

    def states(self) -> Mapping[str, PluginState]:
        """The state of every plugin, also of those that failed to load or are disabled."""
        return self._operations().states()

    def status(self) -> dict[str, Any]:
        """Stores, plugins and faults, as plain data (the shape of ``status --json``)."""
        return self._operations().status()

    def explain(self, key: str) -> dict[str, Any]:
        """Why a key is where it is (the shape of ``explain --json``)."""
        return self._operations().explain(key)

    def inspect(self) -> Inspection:
        """Return a read-only view of copies, inboxes and ledgers; for debugging and tests, not a stable interface."""
        return self._operations().inspect()

    def resync(self, *plugins: str, by: str = OWN) -> Sequence[str]:
        """Plan a resync of these plugins (none: all) and of those that require them; whose are planned.

        Stores of theirs that are lost are tried at once. Raises `UsageError` for a plugin that does not run here.
        """
        return self._operations().resync(*plugins, by=by)

    def release(self, plugin: str, *, by: str = OWN) -> int:
        """Let go what the brake holds of a plugin and of those that require it; how many removals were held.

        Raises `UsageError` for a plugin that does not run here.
        """
        return self._operations().release(plugin, by=by)

    def publisher(self, store: str = "main") -> Publisher:
        """What writes to a store. Raises `ConfigError` where there is none of that name."""
        return self._publishers[self._store_name("", store)]

    def _run(self) -> None:
        try:
            self._dispatcher.run()
        except BaseException as error:
            self._crash = error
            log.critical("the dispatcher ended by a mistake of datasync: %s", error, exc_info=error)
            self._dispatcher.wake_waiters()

    def _wait(self, until: Callable[[], bool], timeout: float | None) -> bool:
        if self._thread is not None and self._thread.is_current():
            raise HostError(
                "a hook cannot wait for its own host: it runs on the thread that would do the work"
            )
        deadline = None if timeout is None else self._runtime.monotonic() + timeout
        waiter = self._runtime.doorbell()
        self._dispatcher.watch(waiter)
        try:
            while not until():
                if self._crash is not None or self._dispatcher.stopping:
                    return False
                left = None if deadline is None else deadline - self._runtime.monotonic()
                if left is not None and left <= 0:
                    return False
                waiter.wait(left)
            return True
        finally:
            self._dispatcher.unwatch(waiter)

    def _is_settled(self) -> bool:
        seen = all(feed.expected.is_empty() for feed in self._wiring.feeds.values())
        return seen and self._thread is not None and self._dispatcher.is_settled()

    def _store_name(self, plugin: str, store: str) -> str:
        """The configured store that a plugin's own name for a store stands for."""
        name = self.settings.plugin(plugin).stores.get(store, store)
        if name in self.stores:
            return name
        if name == "main" and len(self.stores) == 1:  # a single store, whatever its name, is main
            return next(iter(self.stores))
        raise ConfigError(f"there is no store {name}; configured are {', '.join(self.stores) or 'none'}")

    def _wire(self, stores: Mapping[str, Mapping[str, str]]) -> None:
        counted = [name for name, store in self.stores.items() if not store.capabilities.revisions]
        self._wiring = wire(
            self._dispatcher,
            self._runtime,
            self._doorbell,
            self.plugins,
            lambda plugin: self._binding(plugin, stores[plugin.name]),
            self.assembly.order.requires,
            counted,
            self._counts,
        )
        retry, audit = self.settings.host.retry, self.settings.host.audit
        for name, feed in self._wiring.feeds.items():
            backoff = Backoff(retry.first, retry.most, self._runtime.random)
            if name not in counted:
                self._publishers[name].wrote = feed.expected.wrote
            self._publishers[name].peek = feed.replica.shelves.peek
            store, report = self.stores[name], self._dispatcher.report
            self._reflectors[name] = Reflector(
                store, feed.paths, feed.inbox, self._runtime, report, backoff, audit
            )

    def _binding(self, plugin: Plugin, stores: Mapping[str, str]) -> Binding:
        settings = self.settings.plugin(plugin.name)
        retry = settings.retry
        patience = Patience(retry.first, retry.most, retry.resync_after, self.settings.host.hold)
        return Binding(
            stores,
            self._context(plugin.name),
            patience,
            self._missing(plugin),
            settings.reconnect == "delta",
            (settings.brake.share, settings.brake.keys),
        )

    def _operations(self) -> Operations:
        return Operations(
            self.name,
            self._runtime,
            self.stores,
            self._reflectors,
            self._wiring,
            self._dispatcher,
            self.watchdog,
            self.problems,
            self.assembly.disabled,
        )

    def _missing(self, plugin: Plugin) -> str | None:
        there = {one.name for one in self.plugins}
        requires = self.assembly.order.requires[plugin.name]
        failed = [f"requires {name}: failed" for name in requires if name not in there]
        return ", ".join(failed) or self.assembly.waiting_for.get(plugin.name)

    def _context(self, name: str) -> Context:
        def publisher(store: str = "main") -> Publisher:
            return self._publishers[self._store_name(name, store)]

        def restart() -> None:
            self.restart_wanted = True
            self._dispatcher.ask_stop()

        policy = self.settings.plugin(name).fault_policy
        return make_context(name, self._dispatcher, publisher, policy=policy, restart=restart)


def _wanted(said: PluginSettings) -> Wanted:
    parts = said.text, said.secret, said.places
    return Wanted(said.enabled, said.use, said.config, said.requires, said.origin.where, *parts)
