# ruff: noqa: E501 - what is replaced stays on its line
"""Breaks one rule of the core at a time and sees whether the simulation notices.

``python -m tests.simulation.mutations [--seeds 3000] [--jobs 2] [NAME …]`` copies the package to a temporary folder for
each mutation, changes one piece of text there, and plays histories until one fails. It lists how many were needed,
and ends with 1 where one was never noticed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from attrs import frozen

ROOT = Path(__file__).parents[2]
SECONDS = 240.0
"""How long a mutation may take; one that hangs is noticed, too."""


@frozen
class Mutation:
    """One mistake: in a file of datasync_core, ``old`` (which is there once) becomes ``new``."""

    name: str
    breaks: str
    file: str
    old: str
    new: str


LEDGER, CALL, LANE, BRAKE = (f"dispatch/{name}.py" for name in ("ledger", "call", "lane", "brake"))
DISPATCHER, REPLICA, INBOX = "dispatch/dispatcher.py", "sync/replica.py", "sync/inbox.py"
REFLECTOR, ATTEMPTS = "sync/reflector.py", "dispatch/attempts.py"
WATCHDOG, CONTEXTS, HOST = "dispatch/watchdog.py", "dispatch/contexts.py", "host.py"

MUTATIONS = [
    Mutation("certain-after-failure", "uncertain keys", CALL, "        self.ledger.doubt(self.handed)\n", ""),
    Mutation(
        "certain-after-failed-resync",
        "uncertain keys",
        CALL,
        "            self.ledger.doubt_all()\n",
        "            pass\n",
    ),
    Mutation(
        "gate-remembered",
        "a gate that is computed",
        LANE,
        "        for required in self.requires:\n            if not required.settled:",
        "        if self.succeeded:\n            return None\n"
        "        for required in self.requires:\n            if not required.settled:",
    ),
    Mutation(
        "gate-ignores-pending",
        "gate",
        LANE,
        "if any(ledger.has_puts() for ledger in required.ledgers.values()):",
        "if False:",
    ),
    Mutation(
        "gate-ignores-trouble",
        "gate",
        LANE,
        "            and self.trouble is None\n            and self.failed",
        "            and self.failed",
    ),
    Mutation("deletes-never-wait", "pass back", LANE, "        if blockers:\n", "        if False:\n"),
    Mutation(
        "deletes-pass-gated",
        "pass back waits for gated ones",
        LANE,
        "if lane.failed is None and any(ledger.has_blockers()",
        "if lane.failed is None and lane.gate() is None and any(ledger.has_blockers()",
    ),
    Mutation(
        "deletes-pass-aside",
        "pass back waits for what is set aside",
        LEDGER,
        "            entry is None or applied is not None or key in self.uncertain\n",
        "            key not in self.aside and (entry is None or applied is not None or key in self.uncertain)\n",
    ),
    Mutation(
        "deletes-wait-for-ever",
        "a bound on the hold",
        LANE,
        "if now < self.held_since + self._patience.hold:",
        "if True:",
    ),
    Mutation(
        "resync-withholds-nothing",
        "removals withheld",
        LANE,
        "withhold=self.succeeded and not self.whole",
        "withhold=False",
    ),
    Mutation(
        "withheld-forgotten",
        "removals withheld",
        LEDGER,
        "self.behind = dict(withheld)",
        "self.behind = {}",
    ),
    Mutation(
        "no-pass-back-after-failure",
        "pass back after a failed resync",
        LANE,
        "raised = self._raised_in == self._desk.round",
        "raised = False",
    ),
    Mutation(
        "invalid-at-first-forgotten",
        "earlier life",
        LEDGER,
        "            if not self.known:\n",
        "            if False:\n",
    ),
    Mutation(
        "rejected-at-first-forgotten",
        "earlier life",
        CALL,
        "if ledger.doubts(key) or not ledger.known:",
        "if ledger.doubts(key):",
    ),
    Mutation(
        "rejected-is-certain",
        "uncertain keys",
        CALL,
        "if ledger.doubts(key) or not ledger.known:",
        "if not ledger.known:",
    ),
    Mutation(
        "aside-stays-aside",
        "gate",
        LEDGER,
        "        return self.due == 0.0\n",
        "        return False\n",
    ),
    Mutation(
        "stray-aside-forgotten",
        "earlier life",
        LEDGER,
        '        """Keep a key pending until its own next attempt; ``applied`` as before the call."""\n',
        "        if applied is None and self.replica.get(key) is None:\n            return\n",
    ),
    Mutation(
        "aside-is-certain",
        "uncertain keys",
        LEDGER,
        "        self.uncertain.add(key)\n        self.aside[key] = aside\n",
        "        self.aside[key] = aside\n",
    ),
    Mutation(
        "fault-forgets-nothing",
        "after a fault",
        DISPATCHER,
        "            ledger.forget_applied()\n",
        "            pass\n",
    ),
    Mutation(
        "fault-loses-last-good",
        "after a fault",
        LEDGER,
        "        self.uncertain = set(told)\n",
        "        self.uncertain = set(told)\n        for why in self.frozen.values():\n            why.applied = None\n",
    ),
    Mutation(
        "fault-makes-nothing-uncertain",
        "after a fault",
        LEDGER,
        "        self.uncertain = set(told)\n        self.based = False\n        self._shaken = True\n",
        "        self.uncertain = set()\n        self.based = False\n",
    ),
    Mutation(
        "fault-spares-dependents",
        "dependents resynced for a fault",
        DISPATCHER,
        "dict.fromkeys([lane, *lane.dependents])",
        "dict.fromkeys([lane])",
    ),
    Mutation(
        "fault-plans-nothing", "report served", DISPATCHER, '        self.resync([lane], "fault")\n', ""
    ),
    Mutation(
        "brake-spares-required",
        "a brake holds what is required",
        DISPATCHER,
        "with_dependents=any(other.brake.tripped is not None for other in lane.dependents)",
        "with_dependents=False",
    ),
    Mutation(
        "brake-never-trips",
        "G10",
        BRAKE,
        "return gone >= self._keys and gone > self._share * stock",
        "return False",
    ),
    Mutation(
        "brake-ignores-counts",
        "G10",
        BRAKE,
        "self.at_start = first and self.expected > 0",
        "self.at_start = False",
    ),
    Mutation(
        "brake-lets-go-early",
        "G10",
        BRAKE,
        "if not self._is_too_much(self.tripped - _present(ledgers), self.tripped):",
        "if _present(ledgers):",
    ),
    Mutation(
        "brake-never-lets-go", "G10", DISPATCHER, "            one.brake.release(one.ledgers.values())\n", ""
    ),
    Mutation(
        "brake-holds-explicit-deletes",
        "G10",
        REPLICA,
        "                self.inferred.discard(key)\n                self.revision = max",
        "                self.inferred.add(key)\n                self.revision = max",
    ),
    Mutation(
        "brake-evaded-by-snapshot",
        "G10",
        REPLICA,
        "                self.inferred.add(key)\n",
        "                pass\n",
    ),
    Mutation(
        "buried-stays-held",
        "G10",
        LEDGER,
        "        if key in self.inferred:\n            self.inferred.discard(key)\n            self.thaw(key)\n",
        "        return\n",
    ),
    Mutation(
        "explicit-deletes-superseded",
        "G10",
        INBOX,
        "    if deletes.latest:\n        stays.append(deletes)\n",
        "",
    ),
    Mutation(
        "stream-instead-of-snapshot",
        "G2",
        REFLECTOR,
        "            self._read(subscription)\n",
        "            if not self.health.snapshots:\n                self._read(subscription)\n",
    ),
    Mutation(
        "expired-cursor-kept",
        "G2",
        REFLECTOR,
        "            self._cursor = None  # going on from there would fail the same way\n",
        "            pass\n",
    ),
    Mutation(
        "transactions-divided",
        "G6",
        REFLECTOR,
        "                inbox.put(batch)\n",
        "                for change in batch.changes:\n                    inbox.put(type(batch)([change], batch.cleared))\n",
    ),
    Mutation(
        "snapshot-shows-early",
        "G4, G6",
        REPLICA,
        "        fresh = not self.synced  #",
        "        fresh = True  #",
    ),
    Mutation("snapshot-sweeps-nothing", "G2", REPLICA, "            self._sweep(staged, self._mark)\n", ""),
    Mutation(
        "flush-unheard",
        "G2",
        REPLICA,
        "        if changes.cleared:\n            self._sweep(latest)\n",
        "        if changes.cleared:\n            pass\n",
    ),
    Mutation(
        "twice-is-news",
        "delivered twice",
        REPLICA,
        "if old is not None and 0 < new.revision <= old.revision and not self._counts:",
        "if False:",
    ),
    Mutation(
        "broken-snapshot-stays",
        "G4",
        INBOX,
        "self._segments[begin:] = [*ending, *said]",
        "self._segments[begin:] = [*self._segments[begin:], COMPLETE]",
    ),
    Mutation(
        "invalid-is-shown",
        "G8",
        LEDGER,
        "            self.freeze(key, reason, Ice.INVALID)\n",
        "",
    ),
    Mutation(
        "rejected-for-ever",
        "reject ends with a change",
        LEDGER,
        "            self.thaw(key)\n            if key in self.aside:\n",
        "            if key in self.aside:\n",
    ),
    Mutation(
        "pass-back-forward",
        "G5",
        DISPATCHER,
        "        for lane in reversed(lanes):\n            if self.stopping:",
        "        for lane in lanes:\n            if self.stopping:",
    ),
    Mutation(
        "pass-forward-back",
        "G5",
        DISPATCHER,
        "        for lane in lanes:\n            if self.stopping:",
        "        for lane in reversed(lanes):\n            if self.stopping:",
    ),
    Mutation(
        "stops-in-order",
        "G5",
        DISPATCHER,
        "        for lane in reversed(self._lanes):\n            lane.stop()",
        "        for lane in self._lanes:\n            lane.stop()",
    ),
    Mutation(
        "starts-before-required",
        "G5",
        LANE,
        "self.missing is not None or not all(required.started for required in self.requires)",
        "self.missing is not None",
    ),
    Mutation("first-before-stores-are-read", "G4", LANE, "or (not self.succeeded and self.unread())", ""),
    Mutation(
        "change-before-resync",
        "G4",
        LANE,
        "        if self.resync is not None:\n            return self._resync(self.resync)\n        call",
        "        if self.resync is not None and not self.succeeded and not self.trouble:\n            return self._resync(self.resync)\n        call",
    ),
    Mutation(
        "leaf-in-two-calls",
        "G6",
        LANE,
        "return not self.dependents or self.plugin.whole",
        "return self.plugin.whole",
    ),
    Mutation(
        "never-retried",
        "retry",
        ATTEMPTS,
        "due = None if isinstance(error, Reject) else",
        "due = None if True else",
    ),
    Mutation(
        "reject-ends-unheard",
        "gate",
        ATTEMPTS,
        "        return not stirred  # it",
        "        if stirred:\n            self.trouble = None\n        return not stirred  # it",
    ),
    Mutation(
        "previous-is-the-stores",
        "G7",
        LEDGER,
        "                    if key not in behind:\n                        behind[key] = old\n                    elif",
        "                    if key not in self.uncertain:\n                        behind[key] = old\n                    elif",
    ),
    Mutation(
        "a-failure-ends-the-round",
        "G8",
        DISPATCHER,
        "        for lane in lanes:\n            if self.stopping:",
        "        for lane in lanes:\n            if self.stopping or any(one.trouble is not None for one in lanes):",
    ),
    Mutation(
        "exit-ends-the-host",
        "G8",
        DISPATCHER,
        "        except BaseException as error:  # the plugin's",
        "        except Exception as error:  # the plugin's",
    ),
    Mutation(
        "copy-moves-within-a-round",
        "G14",
        DISPATCHER,
        "        for lane in lanes:\n            if self.stopping:",
        "        for lane in lanes:\n            self._unsettled |= self._take()\n            if self.stopping:",
    ),
    Mutation(
        "wait-forgets-what-was-written",
        "G11",
        HOST,
        "        return seen and self._thread",
        "        return self._thread",
    ),
    Mutation(
        "wait-ends-early",
        "G11",
        DISPATCHER,
        "            if not quiet:\n                restless.add(lane)\n",
        "",
    ),
    Mutation(
        "wait-outlives-the-host",
        "G11",
        HOST,
        "if self._crash is not None or self._dispatcher.stopping:",
        "if self._crash is not None:",
    ),
    Mutation(
        "audit-repairs-nothing",
        "audit",
        REPLICA,
        "            self.audited = (differed + more, missed + missed_more)\n",
        "            self.audited = (differed + more, missed + missed_more)\n            self._auditing = False\n            return\n",
    ),
    Mutation(
        "audit-tells-nobody",
        "audit",
        DISPATCHER,
        "        if not differed:\n            return []\n",
        "        return []\n",
    ),
    Mutation(
        "audit-resyncs-nobody",
        "audit",
        DISPATCHER,
        '        return self._plan(replica, "audit")\n',
        "        return []\n",
    ),
    Mutation(
        "audit-resyncs-all",
        "audit",
        DISPATCHER,
        "            and any(ledger.replica is replica for ledger in lane.ledgers.values())\n",
        "",
    ),
    Mutation(
        "audit-alarms-on-news",
        "audit",
        REFLECTOR,
        "                self._drain(beside)\n",
        "                pass\n",
    ),
    Mutation(
        "audit-alarms-always",
        "audit",
        DISPATCHER,
        "        if not differed:\n            return []\n",
        "",
    ),
    Mutation(
        "audit-never",
        "audit",
        REFLECTOR,
        "                subscription = self._compare(subscription)\n",
        "                pass\n",
    ),
    Mutation(
        "audit-hides-a-reconnect",
        "reconnect",
        DISPATCHER,
        "            if replica.snapshots > before > 0:\n",
        "            if replica.audited is None and replica.snapshots > before > 0:\n",
    ),
    Mutation(
        "reconnect-unheard",
        "reconnect",
        DISPATCHER,
        "            if replica.snapshots > before > 0:\n",
        "            if False:\n",
    ),
    Mutation(
        "reconnect-resyncs-all",
        "reconnect",
        DISPATCHER,
        'if (reason == "audit" or lane.name not in self._delta)\n',
        "if True\n",
    ),
    Mutation(
        "hang-unseen",
        "hook hangs",
        WATCHDOG,
        "now - since >= self._timeout:",
        "now - since >= 4 * self._timeout:",
    ),
    Mutation(
        "hang-said-again",
        "hook hangs",
        WATCHDOG,
        "elif running is not None and self.hanging is None and now",
        "elif running is not None and now",
    ),
    Mutation(
        "hang-never-ends",
        "hook hangs",
        WATCHDOG,
        "seen, since, self.hanging = running, now, None",
        "seen, since = running, now",
    ),
    Mutation(
        "report-ignored-plans",
        "fault policy",
        CONTEXTS,
        '        if policy == "resync":\n',
        '        if policy in ("resync", "ignore"):\n',
    ),
    Mutation(
        "restart-forgotten",
        "fault policy",
        CONTEXTS,
        "            restart()\n",
        "            pass\n",
    ),
    Mutation(
        "restart-goes-on",
        "fault policy",
        HOST,
        "            self.restart_wanted = True\n            self._dispatcher.ask_stop()\n",
        "            self.restart_wanted = True\n",
    ),
    Mutation(
        "report-unpublished",
        "fault policy",
        CONTEXTS,
        "        dispatcher.report(Fault(FaultKind.REPORTED, text, plugin=name, cause=cause))\n",
        "",
    ),
    Mutation(
        "storm-makes-many",
        "a storm makes one resync",
        CONTEXTS,
        '            dispatcher.wish(name, "fault")\n',
        "            lane = next(one for one in dispatcher._lanes if one.name == name)\n            dispatcher.submit(lambda: dispatcher.fault(lane))\n",
    ),
    Mutation(
        "request-hides-a-fault",
        "report served",
        DISPATCHER,
        '            if self._wishes.get(plugin) != "fault":\n',
        "            if True:\n",
    ),
    Mutation(
        "stop-goes-on",
        "G12",
        DISPATCHER,
        "        for lane in lanes:\n            if self.stopping:\n                return called\n            called |= self._step(lane, lane.forward)",
        "        for lane in lanes:\n            called |= self._step(lane, lane.forward)",
    ),
    Mutation("inbox-collects", "G9", INBOX, "            tail = self._tail\n", "            tail = None\n"),
    Mutation(
        "unseen-remembered",
        "G9",
        LEDGER,
        "                    if behind.get(key) is None and key not in self.uncertain:\n                        behind.pop(key, None)\n",
        "",
    ),
]

QUICK = (
    "certain-after-failure",
    "gate-ignores-pending",
    "deletes-never-wait",
    "fault-plans-nothing",
    "brake-never-trips",
    "snapshot-sweeps-nothing",
    "transactions-divided",
    "previous-is-the-stores",
)
"""Mutations that are noticed within a few histories."""


@frozen
class Verdict:
    """What became of a mutation: how many seeds it took to notice (None: it was not), and what was noticed."""

    mutation: Mutation
    seeds: int | None
    noticed: str


def judge(mutation: Mutation, seeds: int) -> Verdict:
    """Play up to ``seeds`` histories against a copy of the package with this mistake."""
    with tempfile.TemporaryDirectory(prefix="datasync-mutation-") as folder:
        copy = Path(folder)
        shutil.copytree(ROOT / "datasync_core", copy / "datasync_core")
        shutil.copytree(ROOT / "tests" / "simulation", copy / "tests" / "simulation")
        file = copy / "datasync_core" / mutation.file
        text = file.read_text()
        if text.count(mutation.old) != 1:
            raise ValueError(
                f"{mutation.name}: {mutation.file} has its text {text.count(mutation.old)} times, not once"
            )
        file.write_text(text.replace(mutation.old, mutation.new))
        command = [sys.executable, "-m", "tests.simulation", "--seeds", f"0:{seeds}", "--brief"]
        environment = {**os.environ, "PYTHONPATH": folder, "PYTHONHASHSEED": "0"}
        try:
            told = subprocess.run(
                command,
                cwd=copy,
                env=environment,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Verdict(mutation, seeds, "it hangs")
        found = re.search(r"^seed (\d+): (.*)", told.stdout, re.MULTILINE)
        if found is None:
            return Verdict(mutation, None, told.stderr[-500:] if told.returncode else "")
        return Verdict(mutation, int(found[1]) + 1, found[2])


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge them; 1 where one was not noticed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutations", description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seeds", type=int, default=3000)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args(arguments)
    chosen = [one for one in MUTATIONS if not options.names or one.name in options.names]
    missed = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for verdict in pool.map(lambda one: judge(one, options.seeds), chosen):
            missed += verdict.seeds is None
            count = "NOT NOTICED" if verdict.seeds is None else f"{verdict.seeds:5} seeds"
            line = f"{count}  {verdict.mutation.name} ({verdict.mutation.breaks}): {verdict.noticed}"
            print(line[:200], flush=True)
    print(f"{len(chosen)} mutations, {missed} not noticed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
