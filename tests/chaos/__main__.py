"""Plays chaos on a real store: ``python -m tests.chaos redis --seeds 0:10 --seconds 120``.

One seed after the other, with progress; one that breaks a promise says what befell.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.chaos import Chaos, Wrong
from tests.chaos.worlds import KINDS, world


def main(arguments: Sequence[str] | None = None) -> int:
    """Play; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--seeds", default="0:1", metavar="A:B", help="from A up to B, or one")
    parser.add_argument("--seconds", type=float, default=60, help="for each seed")
    parser.add_argument("--keys", type=int, default=300)
    parser.add_argument("--blows", default="", metavar="TEXT", help="only those that are called so")
    options = parser.parse_args(arguments)
    first, _, last = options.seeds.partition(":")
    logging.getLogger("datasync").setLevel(logging.CRITICAL + 1)
    logging.getLogger("kazoo").setLevel(logging.CRITICAL + 1)
    progress = sys.stderr.isatty()

    def tell(text: str) -> None:
        if progress:
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

    failed = 0
    for seed in range(int(first), int(last or int(first) + 1)):
        with tempfile.TemporaryDirectory(prefix="datasync-chaos-") as folder:
            chaos = Chaos(
                world(options.kind), Path(folder), seed, keys=options.keys, blows=options.blows, tell=tell
            )
            try:
                figures = chaos.run(options.seconds)
            except Wrong as error:
                failed += 1
                print(f"\n{options.kind}, seed {seed}: {error}", flush=True)
            else:
                tell("")
                print(f"{options.kind}, seed {seed}: {figures}: nothing lost", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
