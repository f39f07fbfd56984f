"""``python -m benchmarks [NAME …] [--short] [--rounds N] [--json FILE]``: measure, beside the other side.

Each workload runs in a process of its own, so that none leaves another its heap. Progress goes to stderr; at the end
comes a table. 1 where a goal is not met, unless it is the short form, whose ratios say less (`benchmarks.guard`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.apart import apart
from benchmarks.sides import ROUNDS, Result
from benchmarks.suite import WORKLOADS, measure
from benchmarks.table import dump, lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(WORKLOADS)}; none: all")
    parser.add_argument("--short", action="store_true", help="seconds each, with less of everything")
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, metavar="N", help="of each side; the best counts"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in WORKLOADS]
    if unknown:
        parser.error(f"there is no workload {', '.join(unknown)}; there are {', '.join(WORKLOADS)}")
    if options.rounds < 1:
        parser.error(f"--rounds is at least 1, got {options.rounds}")
    results: list[Result] = []
    for name in options.names or [*WORKLOADS]:
        results += apart(measure, name, options.rounds, options.short)
        if options.json is not None:
            options.json.write_text(dump(results, options.rounds, short=options.short))
    for line in lines(results):
        print(line)
    return 0 if options.short or all(result.met is not False for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
