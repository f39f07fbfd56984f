"""A process that writes: ``python -m tests.chaos.writer KIND WHERE NAME SEED KEYS``.

A line of its input says how many seconds to leave between two steps (``0.002``), ``pause``, or ``fill``. It answers
``pause`` and ``fill`` with what it has done since the last time and what failed, and then does nothing any more.
"""

from __future__ import annotations

import importlib
import logging
import os
import select
import sys

from tests.chaos.hand import Hand, Typist
from tests.chaos.values import Layout


def main(kind: str, where: str, name: str, seed: str, keys: str) -> None:
    """Write until the input ends."""
    logging.disable()  # clients tell of all that befalls the store
    hand: Hand = importlib.import_module(f"tests.chaos.{kind}").hand(where)
    lines = sys.stdin.fileno()
    typist = Typist(hand, Layout.draw(int(seed), int(keys)), name, int(seed))
    pace: float | None = None
    try:
        while True:
            if pace is None or select.select([lines], [], [], pace)[0]:
                line = os.read(lines, 100).decode().strip()  # each is answered, or replaces the one before
                if not line:
                    return
                line = line.split()[-1]
                pace = None if line in ("pause", "fill") else float(line)
                if line == "fill":
                    typist.fill()
                if pace is None:
                    print(*typist.count(), flush=True)
            else:
                typist.step()
    finally:
        hand.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
