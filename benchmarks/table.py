"""Results as a table for people and as JSON for `benchmarks.page` and `benchmarks.guard`."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from attrs import asdict, fields

from benchmarks.sides import Goal, Result

HEAD = ("workload", "ours", "the other side", "ratio", "goal", "met", "what")


def shown(cost: float, unit: str) -> str:
    """A cost with its unit, short: ``1.25 s``, ``820 µs``."""
    if unit == "s":
        for factor, smaller in ((1.0, "s"), (1e3, "ms"), (1e6, "µs")):
            if cost * factor >= 1 or smaller == "µs":
                return f"{cost * factor:.3g} {smaller}"
    return f"{cost:,.0f} {unit}" if cost >= 100 else f"{cost:.3g} {unit}"


def said(met: bool | None) -> str:
    """Whether a goal is met, in a word."""
    return {True: "yes", False: "no", None: ""}[met]


def times(ratio: float) -> str:
    """A ratio with three digits that mean something."""
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"


def cells(result: Result) -> tuple[str, str, str, str, str, str]:
    """Name, both costs, ratio, goal and whether it is met, as text."""
    return (
        result.name,
        shown(result.ours, result.unit),
        "" if result.other is None else shown(result.other, result.unit),
        "" if result.ratio is None else times(result.ratio),
        "" if result.goal is None else str(result.goal),
        said(result.met),
    )


def sentence(result: Result) -> str:
    """What was compared with what."""
    return f"{result.what}; against {result.against}" if result.against else result.what


def lines(results: Sequence[Result]) -> Iterator[str]:
    """A table in columns."""
    table = [HEAD, *((*cells(result), sentence(result)) for result in results)]
    widths = [max(len(row[column]) for row in table) for column in range(len(HEAD) - 1)]
    for row in table:
        yield "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])


def dump(results: Sequence[Result], rounds: int, *, short: bool) -> str:
    """JSON: the machine, and each result with its ratio."""
    rows = [{**asdict(result), "ratio": result.ratio, "met": result.met} for result in results]
    whole = {"machine": machine(), "rounds": rounds, "short": short, "results": rows}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def parse(text: str) -> tuple[dict[str, Any], list[Result]]:
    """The same back: what is said of all, and the results."""
    said = json.loads(text)
    results = []
    for row in said.pop("results"):
        goal = None if row["goal"] is None else Goal(**row["goal"])
        results.append(Result(**{one.name: row[one.name] for one in fields(Result)} | {"goal": goal}))
    return said, results


def machine() -> dict[str, Any]:
    """What it was measured on, and how busy that was."""
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": [round(load, 1) for load in os.getloadavg()],
    }


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()
