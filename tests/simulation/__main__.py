"""``python -m tests.simulation --seeds 0:100000 --steps 80 [--jobs 2]``: play many histories and count.

``--shrink 4711`` plays one that fails, and tells the shortest that Hypothesis makes of it.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import sys
import time
from collections.abc import Sequence

from tests.simulation.history import Report, play

COUNTS = (
    "operations",
    "calls",
    "failures",
    "faults",
    "refusals",
    "alarms",
    "hangs",
    "waits",
    "restarts",
)


def _play(job: tuple[int, int]) -> Report:
    logging.disable(logging.CRITICAL)
    return play(*job)


def main(arguments: Sequence[str] | None = None) -> int:
    """Play them; 1 where a guarantee broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", default="0:1000", help="from:to")
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--keep-going", action="store_true", help="do not end at the first violation")
    parser.add_argument("--brief", action="store_true", help="no traces")
    parser.add_argument("--shrink", type=int, metavar="SEED", help="make a failing history short")
    options = parser.parse_args(arguments)
    if options.shrink is not None:
        return _shrink(options.shrink, options.steps)
    first, _, last = options.seeds.partition(":")
    seeds = range(int(first), int(last) if last else int(first) + 1)
    jobs = ((seed, options.steps) for seed in seeds)
    begun = shown = time.monotonic()
    totals = dict.fromkeys(COUNTS, 0)
    broken: list[Report] = []
    done = 0
    with multiprocessing.get_context("fork").Pool(options.jobs) as pool:
        for report in pool.imap_unordered(_play, jobs, chunksize=4):
            done += 1
            for name in totals:
                totals[name] += getattr(report, name)
            if report.violation is not None:
                broken.append(report)
                print(f"seed {report.plan.seed}: {report.violation}" if options.brief else report, flush=True)
                if not options.keep_going:
                    pool.terminate()
                    break
            if time.monotonic() - shown > 5:
                shown = time.monotonic()
                rate = done / (shown - begun)
                print(
                    f"{done} of {len(seeds)} seeds, {rate:.0f} a second, {len(broken)} broken",
                    file=sys.stderr,
                )
    counted = ", ".join(f"{number} {name}" for name, number in totals.items())
    seconds = time.monotonic() - begun
    print(f"{done} seeds of {options.steps} steps in {seconds:.0f} s: {counted}; {len(broken)} broken")
    return 1 if broken else 0


def _shrink(seed: int, steps: int) -> int:
    """Tell the shortest history that fails as this one does; 1 where it fails at all, as without ``--shrink``."""
    from tests.simulation.plans import parts, shape, shorten

    logging.disable(logging.CRITICAL)
    whole = play(seed, steps)
    if whole.violation is None:
        print(f"seed {seed}, {steps} steps: nothing is broken")
        return 0
    shown = time.monotonic()
    played, shortest = 0, whole

    def fails(report: Report) -> bool:
        nonlocal shown, played, shortest
        played += 1
        same = shape(report.violation) == shape(whole.violation)
        if same and len(report.story) < len(shortest.story):
            shortest = report
        if time.monotonic() - shown > 2:
            shown = time.monotonic()
            print(f"{played} played, {len(shortest.story)} of {len(whole.story)} lines left", file=sys.stderr)
        return same

    report = shorten(parts(whole.plan), fails) or whole
    print(*report.story, f"{report.violation}", f"{played} played: {report.plan}", sep="\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
