"""``python -m tests.memory [NAME …] [--short] [--leak BYTES]``: see that memory stays flat; ``sizes``: how much it is.

Each case runs in a process of its own. The long form judges what is resident, the short one what Python allocated.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from attrs import frozen

from tests.memory import cases, cases_of_faults
from tests.memory.gauge import Gauge
from tests.memory.sizes import measure


@frozen
class Case:
    """A case and its length: how many operations make the long and the short form."""

    run: Callable[[Gauge, bool], None]
    long: int
    short: int


def _folder(run: Callable[[Gauge, Path], None]) -> Callable[[Gauge, bool], None]:
    def run_in_folder(gauge: Gauge, short: bool) -> None:
        with tempfile.TemporaryDirectory() as folder:
            run(gauge, Path(folder))

    return run_in_folder


def _plain(run: Callable[[Gauge], None]) -> Callable[[Gauge, bool], None]:
    return lambda gauge, short: run(gauge)


CASES: Mapping[str, Case] = {
    "slow-hook": Case(
        lambda gauge, short: cases.slow_hook(gauge, 0.05 if short else 1.0), 20_000_000, 200_000
    ),
    "gated-for-ever": Case(_plain(cases.gated_for_ever), 5_000_000, 100_000),
    "rewritten": Case(
        lambda gauge, short: cases.rewritten(gauge, 100_000 if short else 1_000_000), 10_000_000, 300_000
    ),
    "new-names": Case(_folder(cases.new_names), 3_000_000, 50_000),
    "hung-before-a-snapshot": Case(_plain(cases.hung_before_a_snapshot), 5_000_000, 100_000),
    "hung-in-a-change": Case(_plain(cases.hung_in_a_change), 5_000_000, 100_000),
    "hung-over-reconnects": Case(_plain(cases.hung_over_reconnects), 5_000_000, 100_000),
    "hung-over-audits": Case(_plain(cases.hung_over_audits), 5_000_000, 100_000),
    "store-that-breaks": Case(_plain(cases.store_that_breaks), 50_000, 1500),
    "hook-that-fails-on-each-new-key": Case(
        _plain(cases_of_faults.hook_that_fails_on_each_new_key), 500_000, 50_000
    ),
    "hook-that-always-fails": Case(
        lambda gauge, short: cases_of_faults.hook_that_always_fails(gauge, 500 if short else 10_000),
        100_000,
        50_000,
    ),
    "keys-that-fail-alone": Case(_plain(cases_of_faults.keys_that_fail_alone), 200_000, 8000),
    "values-that-do-not-decode": Case(_plain(cases_of_faults.values_that_do_not_decode), 500_000, 50_000),
    "reporter": Case(_plain(cases_of_faults.reporter), 1_000_000, 10_000),
    "publisher": Case(_plain(cases_of_faults.publisher), 350_000, 8000),
    "conversations": Case(_folder(cases_of_faults.conversations), 10_000, 3000),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run cases; 1 where the memory of one grows."""
    parser = argparse.ArgumentParser(prog="python -m tests.memory", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(CASES)}; none: all")
    parser.add_argument("--short", action="store_true", help="seconds each")
    parser.add_argument("--leak", type=int, default=0, help="keep so many bytes for each operation")
    parser.add_argument("--here", action="store_true", help="in this process")
    options = parser.parse_args(arguments)
    if options.names == ["sizes"]:
        for line in measure():
            print(line, flush=True)
        return 0
    unknown = set(options.names) - set(CASES)
    if unknown:
        parser.error(f"there is no case {', '.join(sorted(unknown))}")
    if options.here:
        return max(_run(name, CASES[name], options.short, options.leak) for name in options.names)
    flags = ["--here", *(["--short"] if options.short else []), "--leak", str(options.leak)]
    command = [sys.executable, "-m", "tests.memory", *flags]
    return max(subprocess.run([*command, name], check=False).returncode for name in options.names or [*CASES])


def _run(name: str, case: Case, short: bool, leak: int) -> int:
    logging.getLogger("datasync").addHandler(logging.NullHandler())
    logging.getLogger("datasync").propagate = False
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"{name}: {text}, {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)

    gauge = Gauge(case.short if short else case.long, traced=short, leak=leak, say=say)
    case.run(gauge, short)
    wrong = gauge.verdict()
    first, last = gauge.samples[0], gauge.samples[-1]
    print(
        f"{name}: {gauge.done:,} operations in {time.monotonic() - begun:.0f} s, "
        f"{first.used / 1e6:.1f} MB after {first.operations:,}, {last.used / 1e6:.1f} MB in the end, "
        f"{gauge.growth():+.1f} bytes an operation, {last.resident / 1e6:.0f} MB resident: {wrong or 'flat'}"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
