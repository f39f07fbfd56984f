"""``python -m benchmarks.guard [NAME …]``: fail where a ratio is worse by a third than the one that is written down.

For CI: the short form, ratios only, no goals and no times. What seems lost is measured again before it counts, for a
busy machine can blur a ratio, but not improve it for long. ``--write`` writes the ratios of now down instead.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.apart import apart
from benchmarks.sides import ROUNDS, Result
from benchmarks.suite import measure

WRITTEN = Path(__file__).with_name("short.json")
"""Workload → the ratio of each of its lines, in the short form."""
GUARDED = ("W1", "W1t", "W1p", "W1k", "W2", "W5", "W6", "W7", "W8", "W9", "W10", "W14")
"""Workloads whose ratios a busy machine leaves alone: they count the processor's seconds, or bytes."""
LOSS = 1.5
"""A side that lost a third of its speed takes this many times as long."""
ATTEMPTS = 4


def lost(results: Sequence[Result], written: Sequence[float]) -> list[str]:
    """What is wrong, a sentence for each line that lost a third."""
    if len(results) != len(written):
        name = results[0].name
        return [f"{name}: {len(written)} ratios are written down, there are {len(results)}: write them anew"]
    return [
        f"{one.name}: {one.what}: the ratio is {one.ratio:.3g}, written down is {before:.3g}"
        for one, before in zip(results, written, strict=True)
        if one.ratio is not None and _is_lost(one, before)
    ]


def check(name: str, written: Sequence[float], attempts: int = ATTEMPTS) -> list[str]:
    """What a workload lost, in each of some attempts."""
    wrong: list[str] = []
    for _ in range(attempts):
        wrong = lost(apart(measure, name, ROUNDS, True), written)
        if not wrong:
            break
    return wrong


def _is_lost(result: Result, written: float) -> bool:
    ratio = result.ratio or 0.0
    more_is_better = result.goal is not None and not result.goal.at_most
    return ratio * LOSS < written if more_is_better else ratio > written * LOSS


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, or write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guard", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(GUARDED)}; none: all")
    parser.add_argument("--write", action="store_true", help="write the ratios of now down")
    parser.add_argument("--written", type=Path, default=WRITTEN, metavar="FILE", help="where they are")
    parser.add_argument("--attempts", type=int, default=ATTEMPTS, metavar="N", help="before a loss counts")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in GUARDED]
    if unknown:
        parser.error(f"{', '.join(unknown)} is not guarded; these are: {', '.join(GUARDED)}")
    written: Mapping[str, list[float]] = (
        json.loads(options.written.read_text()) if options.written.exists() else {}
    )
    names = options.names or GUARDED
    if options.write:
        now = {name: [_rounded(one) for one in apart(measure, name, 2 * ROUNDS, True)] for name in names}
        merged = {**written, **now}
        rows = [f' "{name}": {json.dumps(merged[name])}' for name in GUARDED if name in merged]
        options.written.write_text("{\n" + ",\n".join(rows) + "\n}\n")
        return 0
    wrong = [sentence for name in names for sentence in check(name, written[name], options.attempts)]
    for sentence in wrong:
        print(sentence)
    return 1 if wrong else 0


def _rounded(result: Result) -> float:
    return float(f"{result.ratio:.3g}")


if __name__ == "__main__":
    sys.exit(main())
