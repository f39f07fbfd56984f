"""Breaks one rule of the core at a time (`tests.simulation.mistakes`) and sees whether the simulation notices.

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

from tests.simulation.mistakes import MUTATIONS, Mutation

ROOT = Path(__file__).parents[2]
SECONDS = 600.0
"""How long a mutation may take: a machine that is too slow for the seeds has noticed nothing."""


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
            return Verdict(mutation, None, f"not within {SECONDS:g} s")
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
