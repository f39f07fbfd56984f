"""Kills a real host with -9 while two processes write; after each start its plugin's output equals the store.

``python -m tests.simulation.crashes --kills 300``. The host is the command on an embedded store, the plugin keeps a
file and says a digest of it after each call. The moment of a kill is a number of commits, drawn from the seed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from attrs import define

from datasync_core.transport import Url
from datasync_transports.sqlite import SqliteTransport

ROOT = Path(__file__).parents[2]
DEADLINE = 30.0
"""Seconds within which a host that was started must have caught up."""

PLUGIN = '''
"""mirror: keep a file equal to the keys below k/, changing only what changed."""
import hashlib, json, os
from pathlib import Path
from datasync_core import Event, Watch, hookimpl

KEYS = Watch("k/", str)
watches = [KEYS]
OUTPUT = Path("output.json")

def save(values):
    fresh = OUTPUT.with_suffix(".new")
    fresh.write_text(json.dumps(values, sort_keys=True))
    fresh.replace(OUTPUT)
    print(hashlib.sha256(OUTPUT.read_bytes()).hexdigest(), flush=True)

def load():
    return json.loads(OUTPUT.read_text()) if OUTPUT.exists() else {}

@hookimpl
def on_resync(event: Event) -> None:
    found = load()
    apply(found, event.changes(KEYS, actual=dict(found)))

@hookimpl
def on_change(event: Event) -> None:
    apply(load(), event.changes(KEYS))

def apply(values, changes):
    for change in changes:
        if change.deleted:
            values.pop(change.name, None)
        else:
            values[change.name] = change.value
    save(values)
'''

WRITER = """
import random, sys
from datasync_core.transport import Delete, Put, Url
from datasync_transports.sqlite import SqliteTransport
writer = SqliteTransport(Url.parse("sqlite:" + sys.argv[1])).writer()
rng = random.Random(int(sys.argv[2]))
for line in sys.stdin:
    for _ in range(int(line)):
        keys = rng.sample(range(40), 3)
        values = {f"k/{key}": b"%d" % rng.randrange(10**6) for key in keys}
        writer.commit([Delete(key) if rng.random() < 0.15 else Put(key, value) for key, value in values.items()])
        print("done", flush=True)
"""


@define
class Outcome:
    """What was done, and what was wrong in the end (None: nothing)."""

    kills: int = 0
    commits: int = 0
    wrong: str | None = None


class Crashes:
    """A host that is killed again and again, and two processes that write to its store. Use it as a context manager."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._rng = random.Random(seed)
        self._database = folder / "data.db"
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        (folder / "mirror.py").write_text(PLUGIN)
        self._writers = [
            self._run([sys.executable, "-c", WRITER, str(self._database), str(seed * 2 + number)])
            for number in range(2)
        ]
        self._host: subprocess.Popen[str] | None = None
        self.outcome = Outcome()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in (*self._writers, self._host):
            if process is not None:
                process.kill()
                process.communicate()

    def play(self, kills: int) -> Outcome:
        """Kill it so often, and compare after each start."""
        self._start()
        for _ in range(kills):
            if not self._caught_up():
                break
            self._write_and_kill()
            self._start()
        else:
            self._caught_up()
        return self.outcome

    def _run(self, command: Sequence[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
        )

    def _start(self) -> None:
        command = [
            sys.executable,
            "-m",
            "datasync_core",
            "run",
            "mirror.py",
            "--store",
            f"sqlite:{self._database}",
        ]
        self._host = self._run([*command, "--name", "crashes", "-q"])

    def _write_and_kill(self) -> None:
        """Both write; after some commits the host dies, and they write on."""
        assert self._host is not None
        commits = self._rng.randrange(2, 40)
        moment = self._rng.randrange(commits)
        for writer in self._writers:
            assert writer.stdin is not None
            writer.stdin.write(f"{commits}\n")
            writer.stdin.flush()
        for number in range(commits):
            for writer in self._writers:
                assert writer.stdout is not None
                writer.stdout.readline()
            if number == moment:
                self._host.kill()
        self._host.communicate()
        self.outcome.kills += 1
        self.outcome.commits += 2 * commits

    def _caught_up(self) -> bool:
        """Whether the plugin comes to say the digest of what the store holds, within the deadline."""
        assert self._host is not None
        assert self._host.stdout is not None
        stored = self._stored()
        wanted = json.dumps(stored, sort_keys=True)
        digest = hashlib.sha256(wanted.encode()).hexdigest()
        until = time.monotonic() + DEADLINE
        while (left := until - time.monotonic()) > 0 and select.select([self._host.stdout], [], [], left)[0]:
            said = self._host.stdout.readline()
            if said.strip() == digest:
                return True
            if not said:
                break  # it ended
        output = self._folder / "output.json"
        found = json.loads(output.read_text()) if output.exists() else {}
        self.outcome.wrong = f"after {self.outcome.kills} kills: {_difference(stored, found)}"
        return False

    def _stored(self) -> dict[str, str]:
        transport = SqliteTransport(Url.parse(f"sqlite:{self._database}"))
        subscription = transport.subscribe(["k/"])
        try:
            return {
                entry.key[2:]: entry.value.decode() for chunk in subscription.snapshot() for entry in chunk
            }
        finally:
            subscription.close()
            transport.close()


def _difference(stored: Mapping[str, str], found: Mapping[str, str]) -> str:
    wrong = {
        key: (stored.get(key), found.get(key))
        for key in {**stored, **found}
        if stored.get(key) != found.get(key)
    }
    return f"key → (store, output): {wrong}" if wrong else "the host said nothing, though its output is right"


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill and compare; 1 where the output was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.crashes", description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory(prefix="datasync-crashes-") as folder,
        Crashes(Path(folder), options.seed) as crashes,
    ):
        outcome = crashes.play(options.kills)
    print(f"{outcome.kills} kills, {outcome.commits} commits: {outcome.wrong or 'nothing lost'}")
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
