"""One chaos: a real host with three plugins, a real store, processes that write, and blows drawn from a seed.

It goes in episodes: writers write at some pace while a few blows fall; then all is healed, the writers pause, and
every plugin must come to have applied what the store holds. The seed draws blows, pauses and what is written; how
these meet in time is the machine's.
"""

from __future__ import annotations

import os
import random
import select
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from attrs import define, field

from datasync_core import Host
from datasync_core.config.settings import (
    Brake,
    HostSettings,
    PluginSettings,
    Reconnect,
    RetrySettings,
    Settings,
)
from tests.chaos.plugin import Mirror
from tests.chaos.values import Layout
from tests.chaos.world import Blow, Unreadable, World

ROOT = Path(__file__).parents[2]
QUIET = 240.0
"""Seconds within which everything must be equal once the store serves and the plugins succeed."""
GROWTH = 64 << 20
"""Bytes by which the process may grow between the first episodes and the last."""


class Wrong(Exception):
    """A promise that was broken; says which, and what had befallen."""


@define
class Figures:
    """What was done."""

    episodes: int = 0
    transactions: int = 0
    refused: int = 0
    calls: int = 0
    resyncs: int = 0
    changes: int = 0
    failures: int = 0
    snapshots: int = 0
    blows: Counter[str] = field(factory=Counter)

    def __str__(self) -> str:
        return (
            f"{self.episodes} episodes, {self.blows.total()} blows, {self.transactions} writes, {self.calls} calls "
            f"({self.resyncs} resyncs, {self.failures} failed), {self.changes} changes, {self.snapshots} snapshots"
        )


class Writer:
    """A writing process."""

    def __init__(self, world: World, name: str, seed: int, keys: int) -> None:
        command = [
            sys.executable,
            "-m",
            "tests.chaos.writer",
            world.kind,
            world.where,
            name,
            str(seed),
            str(keys),
        ]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")

    def heard(self) -> tuple[int, int]:
        """What it has done and what failed, once it pauses."""
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], QUIET)[0]:
            raise Wrong(f"a writing process has not come to rest after {QUIET:g} s")
        line = self._process.stdout.readline()
        if not line:
            raise Wrong(f"a writing process ended with {self._process.wait()}")
        done, failed = line.split()
        return int(done), int(failed)

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


class Chaos:
    """One seed's. Use `run` once, on one thread."""

    def __init__(
        self,
        make: Callable[[Path, random.Random], World],
        folder: Path,
        seed: int,
        *,
        keys: int = 300,
        blows: str = "",
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._rng = rng = random.Random(f"chaos {seed}")
        self._seed, self._keys, self._tell = seed, keys, tell
        self._world = make(folder, rng)
        self._only = blows
        self._layout = Layout.draw(seed, keys)
        self._writers: list[Writer] = []
        self._births = 0
        self._clock = threading.Condition()
        self._story: list[str] = []
        self._began = time.monotonic()
        self._size: tuple[int, int] | None = None
        self.figures = Figures()

    def run(self, seconds: float, enough: Callable[[Figures], bool] = lambda _: True) -> Figures:
        """Play for so long, and until enough was done. Raises `Wrong`."""
        with ExitStack() as stack:
            stack.callback(self._end_writers)
            world = stack.enter_context(self._world)
            self._note(f"{world.kind}, seed {self._seed}, {self._keys} keys, {world.url}")
            self._writers = [self._writer() for _ in range(2)]
            self._writers[0].say("fill")
            self._writers[0].heard()
            mirrors = self._mirrors()
            self._began = time.monotonic()
            try:
                with self._host(mirrors) as host:
                    self._settle(host, mirrors)
                    while time.monotonic() < self._began + seconds or not enough(self.figures):
                        self._episode(mirrors)
                        self._settle(host, mirrors)
                        self._mend(host, mirrors)
                        self.figures.episodes += 1
                        self._tell(str(self.figures))
            except Wrong as error:
                calls = [line for one in mirrors for line in one.story]
                story = "\n  ".join(sorted([*self._story[-60:], *calls]))
                raise Wrong(f"{error}\nwhat befell:\n  {story}") from None
        return self.figures

    def _end_writers(self) -> None:
        for writer in self._writers:
            writer.kill()

    def _writer(self) -> Writer:
        self._births += 1
        return Writer(self._world, f"w{self._births}", self._seed, self._keys)

    def _mirrors(self) -> list[Mirror]:
        raw = random.Random(f"raw {self._seed}").random() < 0.5

        def mirror(name: str, paths: list[str], required: Mirror | None, whole: bool) -> Mirror:
            rng = random.Random(f"mirror {name} {self._seed}")
            return Mirror(name, paths, self._layout, rng, whole, required, raw)

        base = mirror("base", ["k/", "loose/"], None, False)
        middle = mirror("middle", ["k/1/", "k/2/", "loose/7", self._layout.groups[0][0]], base, False)
        leaf = mirror("leaf", ["k/", "loose/"], middle, self._world.whole)
        leaf.requires = ["middle", "base"]
        leaf.required = base
        return [base, middle, leaf]

    def _host(self, mirrors: list[Mirror]) -> Host:
        """Some seeds have a brake, on the first or on the last of the chain; some hear only differences."""
        rng = self._rng
        braked = rng.choice([None, "base", "leaf"])
        reconnect: Reconnect = rng.choice(["resync", "delta"])
        retry = RetrySettings(first=0.05, most=0.5)
        self._note(f"brake: {braked}, reconnect: {reconnect}")
        plugins = {
            one.name: PluginSettings(
                one.name,
                brake=Brake() if one.name == braked else Brake(share=1.0),
                retry=retry,
                reconnect=reconnect,
            )
            for one in mirrors
        }
        host = HostSettings("chaos", retry=retry, hold=1.0, brake=Brake(share=1.0), hook_timeout=10.0)
        settings = Settings(host, {}, plugins, self._world.folder)
        return Host(stores=self._world.url, plugins={one.name: one for one in mirrors}, settings=settings)

    def _episode(self, mirrors: list[Mirror]) -> None:
        rng = self._rng
        trouble = rng.choice([0.0, 0.05, 0.2])
        for one in mirrors:
            one.trouble = trouble
        for writer in self._writers:
            writer.say(str(rng.choice([0.0, 0.001, 0.005, 0.05])))
        blows = [one for one in self._world.blows() if self._only in one.name]
        ends: list[Callable[[], None]] = []
        for _ in range(rng.randint(1, 4)):
            self._rest(rng.uniform(0.05, 0.6))
            (blow,) = rng.choices(blows, [one.weight for one in blows])
            self._strike(blow, mirrors[-1], ends)
            if rng.random() < 0.1:
                self._kill_writer()
        self._rest(rng.uniform(0.05, 0.3))
        self._world.heal()
        for end in ends:
            end()
        self._rest(rng.choice([0.0, 0.0, 0.5]))
        for one in mirrors:
            one.trouble = 0.0
        self._pause()
        self._note(f"quiet: {self.figures.transactions} written")

    def _strike(self, blow: Blow, leaf: Mirror, ends: list[Callable[[], None]]) -> None:
        """Let it fall, and end it after a while, or with the episode (``ends``)."""
        rng = self._rng
        lasting = rng.choice([0.0, 0.2, 0.8, 3.0])
        lingers = rng.random() < 0.2
        self._note(f"{blow.name} ({lasting} s{', to the end' if lingers else ''})")
        self.figures.blows[blow.name] += 1
        leaf.whole = leaf.whole and not blow.tears
        leaf.rewound = leaf.rewound or blow.rewinds
        if blow.alone:
            self._world.heal()
            self._pause()
        end = blow.do(rng)
        if blow.alone:
            for writer in self._writers:
                writer.say("0.002")
        if end is not None:
            self._rest(lasting)
            if lingers:
                ends.append(end)
            else:
                end()

    def _kill_writer(self) -> None:
        self._note("a writer is killed")
        self.figures.blows["kill -9 of a writer"] += 1
        self._world.heal()  # a server that is frozen lets no process begin
        number = self._rng.randrange(len(self._writers))
        self._writers[number].kill()
        self._writers[number] = self._writer()
        self._writers[number].say("0.002")

    def _pause(self) -> None:
        """Return when no writer writes."""
        for writer in self._writers:
            writer.say("pause")
        for writer in self._writers:
            done, failed = writer.heard()
            self.figures.transactions += done
            self.figures.refused += failed

    def _mend(self, host: Host, mirrors: list[Mirror]) -> None:
        """Make every group whole again, if a blow has torn some."""
        leaf = mirrors[-1]
        leaf.rewound = False
        if self._world.whole and not leaf.whole:
            self._writers[0].say("fill")
            self._writers[0].heard()
            self._settle(host, mirrors)
            leaf.seen.clear()
            leaf.whole = True

    def _settle(self, host: Host, mirrors: list[Mirror]) -> None:
        """Wait until every plugin has applied what the store holds."""
        deadline = time.monotonic() + QUIET
        difference: str | None = "?"
        while difference is not None:
            if time.monotonic() >= deadline:
                raise Wrong(f"not equal after {QUIET:g} s: {difference}\n{host.status()}")
            host.wait(min(1.0, deadline - time.monotonic()))
            for one in host.status()["plugins"]:
                if one["state"] == "held":
                    host.release(one["name"])
            try:
                truth = self._world.truth()
                difference = next(filter(None, (_difference(one, truth) for one in mirrors)), None)
            except Unreadable as error:
                difference = str(error)
            self._check(host, mirrors)
            if difference is not None:
                host.wait_changed(0.1)
        self._check_size(host)

    def _check(self, host: Host, mirrors: list[Mirror]) -> None:
        crash = host.crashed()
        wrong = [text for one in mirrors for text in one.wrong]
        if crash is not None or wrong:
            raise Wrong("\n".join([*wrong, *([repr(crash)] if crash else [])]))
        figures, store = self.figures, host.status()["stores"][0]
        figures.snapshots = store["snapshots"]
        figures.calls = sum(one.calls for one in mirrors)
        figures.resyncs = sum(one.resyncs for one in mirrors)
        figures.changes = sum(one.changes for one in mirrors)
        figures.failures = sum(one.failures for one in mirrors)

    def _check_size(self, host: Host) -> None:
        """What was lost and made anew leaves no thread, no file and no heap behind."""
        if self.figures.episodes < 4:
            return
        size = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
        files = len(os.listdir("/proc/self/fd")) + threading.active_count()
        if self._size is None:
            self._size = (size, files)
        growth, more = size - self._size[0], files - self._size[1]
        if growth > GROWTH + 2000 * self._keys or more > 12:
            names = ", ".join(thread.name for thread in threading.enumerate())
            raise Wrong(
                f"grown by {growth >> 20} MiB and by {more} files and threads since episode 4: {names}"
            )

    def _rest(self, seconds: float) -> None:
        """Let time pass: what happens meanwhile is the others' doing."""
        with self._clock:
            self._clock.wait(seconds)

    def _note(self, text: str) -> None:
        self._story.append(f"{time.monotonic():.2f} {text}")


def _difference(mirror: Mirror, truth: Mapping[str, str | None]) -> str | None:
    """Where a plugin has not what the store has."""
    wrong = [
        f"{key}: {mirror.applied.get(key)!r:.200}, in the store {truth.get(key)!r:.200}"
        for key in {**truth, **mirror.applied}
        if mirror.covers(key) and truth.get(key, "") is not None and truth.get(key) != mirror.applied.get(key)
    ]
    return f"{mirror.name} differs in {len(wrong)} keys: " + "; ".join(sorted(wrong)[:3]) if wrong else None
