"""The real host under a seeded scheduler: the seed decides every thread switch, so a history can be told again."""

from __future__ import annotations

import random

import pytest

from datasync_core import Event, Host, Watch, hookimpl
from datasync_core.testing import VirtualRuntime
from datasync_transports.memory import MemoryTransport

pytestmark = pytest.mark.slow

SEEDS = 60


class Driven:
    """Keeps a dictionary equal to `a/`; fails now and then, half way."""

    def __init__(self, runtime: VirtualRuntime, rng: random.Random, trace: list[str]) -> None:
        self.watch = Watch("a/", str)
        self.watches = [self.watch]
        self.runtime, self.rng, self.trace = runtime, rng, trace
        self.trouble = 0.3
        self.device: dict[str, str] = {}
        self.calls = 0

    @hookimpl
    def on_resync(self, event: Event) -> None:
        self.device = {name: value for name, value in self.device.items() if name in event[self.watch]}
        self._apply("resync", event)

    @hookimpl
    def on_change(self, event: Event) -> None:
        self._apply("change", event)

    def _apply(self, hook: str, event: Event) -> None:
        self.calls += 1
        assert self.calls > 0
        for change in event.changes(self.watch):
            self.runtime.pause()
            if self.rng.random() < self.trouble:
                self.trace.append(f"{self.runtime.monotonic():.6f} {hook} fails at {change.key}")
                raise ValueError("half way")
            self.trace.append(
                f"{self.runtime.monotonic():.6f} {hook} {change.kind} {change.key} {change.value}"
            )
            if change.deleted:
                self.device.pop(change.name, None)
            else:
                self.device[change.name] = change.value


def play(seed: int) -> list[str]:
    trace: list[str] = []
    rng = random.Random(seed)
    with VirtualRuntime(seed) as runtime:
        transport = MemoryTransport()
        transport.clock, transport.doorbell = runtime.monotonic, runtime.doorbell
        plugin, sibling = Driven(runtime, rng, trace), Driven(runtime, rng, [])
        sibling.trouble = 0
        host = Host(transport, {"driven": plugin, "sibling": sibling}, name="simulated", runtime=runtime)
        host.start()
        truth: dict[str, str] = {}
        lost = False
        for _ in range(40):
            match rng.randrange(8):
                case 0 if not lost:
                    transport.lose()
                    lost = True
                case 1 | 2 if lost:
                    transport.back(history=rng.random() < 0.5)
                    lost = False
                case 3:
                    runtime.run(rng.choice([0.01, 1, 30]))
                case _ if not lost:
                    key, value = f"a/{rng.randrange(5)}", rng.choice(["", "x", "y"])
                    if value:
                        host.publisher().put(key, value)
                        truth[key[2:]] = value
                    else:
                        host.publisher().delete(key)
                        truth.pop(key[2:], None)
            for _ in range(rng.randrange(30)):
                runtime.step()
        if lost:
            transport.back()
        plugin.trouble = 0
        runtime.until(lambda: host.wait(0), seconds=600)
        assert plugin.device == truth, f"seed {seed}"
        assert sibling.device == truth, f"seed {seed}"
        assert host.stop(60)
        assert host.crashed() is None
    return trace


@pytest.mark.parametrize("part", range(3))
def test_G1_G2_G4_after_every_interleaving_the_plugin_equals_the_store(part: int) -> None:
    """Runs the host with many seeds; each seed is another interleaving of its threads."""
    for seed in range(part * SEEDS // 3, (part + 1) * SEEDS // 3):
        play(seed)


def test_a_seed_tells_one_history() -> None:
    first = play(7)
    assert first, "nothing happened"
    assert play(7) == first
    assert play(8) != first
