"""Random histories: stores that vanish and return, hooks that fail half way; in the end every plugin is right.

Each plugin drives a device, a dictionary that a failing hook leaves half changed. What the device holds is checked
against what the plugin is told (`previous`), and in the end against the store. (The simulation with threads,
references between plugins and a driven system that refuses is a test of its own.)
"""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from datasync_core import Change, Event, Reject, Retry, Watch, hookimpl
from datasync_core.dispatch.attempts import Patience
from datasync_core.testing import Harness

pytestmark = pytest.mark.slow

HISTORIES = 400
STEPS = 60


class Device:
    """A plugin and what it drives. ``trouble`` is how likely a call fails, in one of several ways."""

    def __init__(self, rng: random.Random, path: str, requires: list[str], mode: str) -> None:
        self.rng = rng
        self.watch = Watch(path, str)
        self.watches = [self.watch]
        self.requires = requires
        self.mode = mode
        self.trouble = 0.0
        self.device: dict[str, str] = {}
        self.doubtful: set[str] = set()  # keys of which the device cannot know what the host thinks
        self.rejected: set[str] = set()
        self.resynced = False  # whether the last resync succeeded
        self.begun = False  # whether any did
        self.wrong: list[str] = []

    @hookimpl
    def on_resync(self, event: Event) -> None:
        self.resynced = False
        actual = dict(self.device) if self.mode == "actual" else None
        self._apply(event, event.changes(self.watch, actual=actual))
        self.resynced = self.begun = True

    @hookimpl
    def on_change(self, event: Event) -> None:
        if not self.resynced and not (self.begun and all(change.deleted for change in event)):
            self.wrong.append("on_change before a resync succeeded")
        self._apply(event, event.changes(self.watch))

    def _apply(self, event: Event, changes: Iterable[Change[str]]) -> None:
        todo = list(changes)
        if [change.deleted for change in todo] != sorted((change.deleted for change in todo), reverse=True):
            self.wrong.append("deletes do not come first")
        fails_at = self.rng.randrange(len(todo) + 1) if self.rng.random() < self.trouble else None
        for change in todo:
            self.rejected.discard(change.name)
        for number, change in enumerate(todo):
            if number == fails_at:
                self.doubtful.update(change.name for change in todo)
                raise self.rng.choice([ValueError("half way"), Retry("again", 1), SystemExit(1)])
            self._apply_one(event, change)
        if fails_at == len(todo):
            self.doubtful.update(change.name for change in todo)
            raise ValueError("at the end")

    def _apply_one(self, event: Event, change: Change[str]) -> None:
        if self.mode != "actual" and change.name not in self.doubtful and not event.first:
            if change.previous != self.device.get(change.name):
                self.wrong.append(
                    f"{change.key}: previous {change.previous}, applied {self.device.get(change.name)}"
                )
        with change:
            if self.rng.random() < self.trouble / 4:
                self.doubtful.add(change.name)
                if self.rng.random() < 0.5:
                    self._set(change)
                raise ValueError("this one")
            if self.rng.random() < self.trouble / 8:
                self.rejected.add(change.name)
                raise Reject("never")
            self._set(change)
            self.doubtful.discard(change.name)

    def _set(self, change: Change[str]) -> None:
        if change.deleted:
            self.device.pop(change.name, None)
        else:
            self.device[change.name] = change.value


def play(seed: int) -> None:
    rng = random.Random(seed)
    modes = [rng.choice(["changes", "actual"]) for _ in range(4)]
    plugins = {
        "low": Device(rng, "a/", [], modes[0]),
        "middle": Device(rng, "b/", ["low"], modes[1]),
        "top": Device(rng, "c/", ["middle"], modes[2]),
        "all": Device(rng, "", [], modes[3]),
    }
    brake = (0.5, rng.choice([2, 3, 10]))
    harness = Harness(
        patience=Patience(hold=5),
        seed=seed,
        paused=True,
        brake=brake,
        low=plugins["low"],
        middle=plugins["middle"],
        top=plugins["top"],
        all=plugins["all"],
    )
    for plugin in plugins.values():
        plugin.trouble = rng.choice([0, 0.3, 0.6])
    truth: dict[str, str] = {}
    keys = [f"{part}/{number}" for part in "abc" for number in range(4)]
    for _ in range(STEPS):
        match rng.randrange(13):
            case 0:
                harness.lose()
            case 1 | 2:
                harness.back(resume=rng.random() < 0.5)
            case 3:
                harness.advance(rng.choice([0.1, 1, 10, 100]))
            case 4 if rng.random() < 0.3:
                harness.clear()
                truth.clear()
            case 5 if rng.random() < 0.5:
                name = rng.choice(list(plugins))
                plugins[name].device.clear()
                plugins[name].doubtful.update(key.split("/", 1)[-1] for key in keys)
                plugins[name].doubtful.update(keys)
                harness.fault(name)
            case 6 if rng.random() < 0.5:
                harness.resync(*rng.sample(list(plugins), rng.randrange(3)))
            case 7 if rng.random() < 0.3:
                harness.release(rng.choice(list(plugins)))
            case _:
                chosen = rng.sample(keys, rng.randrange(1, 4))
                change = {key: rng.choice([None, "x", "y", "z"]) for key in chosen}
                harness.commit(change)
                truth.update({key: value for key, value in change.items() if value is not None})
                for key in [key for key, value in change.items() if value is None]:
                    truth.pop(key, None)
        for name, plugin in plugins.items():
            assert not plugin.wrong, f"seed {seed}, {name}: {plugin.wrong[0]}"
    heal(harness, plugins, resume=rng.random() < 0.5)
    check(f"seed {seed}", harness, plugins, truth)


def heal(harness: Harness, plugins: dict[str, Device], *, resume: bool) -> None:
    """Take every trouble away and let time pass."""
    for plugin in plugins.values():
        plugin.trouble = 0.0
    harness.back(resume=resume)
    harness.advance(300)
    for name in plugins:
        harness.release(name)
    harness.advance(300)


def check(history: str, harness: Harness, plugins: dict[str, Device], truth: dict[str, str]) -> None:
    """Every device holds what the store holds, but for what its plugin rejected."""
    for name, plugin in plugins.items():
        assert not plugin.wrong, f"{history}, {name}: {plugin.wrong[0]}"
        want = {
            key.removeprefix(plugin.watch.path): value
            for key, value in truth.items()
            if key.startswith(plugin.watch.path)
        }
        wrong = {
            key: (plugin.device.get(key), want.get(key))
            for key in {*plugin.device, *want} - plugin.rejected
            if plugin.device.get(key) != want.get(key)
        }
        assert not wrong, f"{history}, {name}: key → (device, store): {wrong}"
    assert harness.in_sync(), f"{history}: {[harness.state(name) for name in plugins]}"


@pytest.mark.parametrize("part", range(4))
def test_G1_after_any_history_every_plugin_is_right(part: int) -> None:
    for seed in range(part * HISTORIES // 4, (part + 1) * HISTORIES // 4):
        play(seed)
