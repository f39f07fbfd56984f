"""``python -m tests.simulation --seeds 0:100000 --steps 80 [--jobs 2]``: play many histories and count."""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import sys
import time
from collections.abc import Sequence

from tests.simulation.history import Report, play


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
    options = parser.parse_args(arguments)
    first, _, last = options.seeds.partition(":")
    seeds = range(int(first), int(last) if last else int(first) + 1)
    jobs = ((seed, options.steps) for seed in seeds)
    begun = shown = time.monotonic()
    totals = dict.fromkeys(["operations", "calls", "failures", "faults", "refusals"], 0)
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


if __name__ == "__main__":
    sys.exit(main())
