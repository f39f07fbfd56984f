"""``python -m benchmarks.page FILE``: the figures of ``python -m benchmarks --json FILE`` into docs/performance.md.

The table there stands between two comments; the rest of the page is written by hand.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.sides import Result
from benchmarks.table import cells, parse, sentence

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- figures: python -m benchmarks.page -->", "<!-- end of figures -->"
HEAD = ("workload", "what, against what", "ours", "the other side", "ratio", "goal", "met", "command")


def table(said: dict[str, Any], results: Sequence[Result]) -> str:
    """The paragraph on the machine, and a row for each result."""
    machine = said["machine"]
    rows = [HEAD, ("---",) * len(HEAD)]
    for result in results:
        name, *figures = cells(result)
        what = sentence(result).replace("|", r"\|")
        rows.append((name, what, *figures, f"`python -m benchmarks {name}`"))
    lines = ["|" + "|".join(row) + "|" if row[0] == "---" else f"| {' | '.join(row)} |" for row in rows]
    load = machine["load"][0]
    where = (
        f"CPython {machine['python']}, {machine['system']}, {machine['processor']}, {machine['cores']} cores,"
        f" the load at the end {load:g}; the best of {said['rounds']} rounds."
    )
    return "\n".join([where, "", *lines])


def rewritten(page: str, figures: str) -> str:
    """The page with other figures. Raises ValueError where the comments are not there."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no figures between {BEGIN} and {END}")
    return f"{before}{begin}\n\n{figures}\n\n{end}{after}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Rewrite the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("file", type=Path, metavar="FILE", help="what python -m benchmarks --json wrote")
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE", help="where the figures go")
    options = parser.parse_args(arguments)
    said, results = parse(options.file.read_text())
    if said["short"]:
        parser.error(f"{options.file} has the figures of the short form, which say too little for the page")
    options.page.write_text(rewritten(options.page.read_text(), table(said, results)))


if __name__ == "__main__":
    main()
