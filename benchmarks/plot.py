"""A plot as SVG, light enough for a repository: lines over a logarithmic axis, in the reader's own colours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 640, 320
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 40, 48
STYLE = 'role="img" font-family="sans-serif" font-size="12"'
COLOURS = ("#0969da", "#bc4c00", "#1a7f37")
STEPS = (1.0, 2.0, 5.0, 10.0)


def svg(title: str, across: str, up: str, series: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Lines through points, by name. ``across`` is logarithmic, ``up`` begins at 0."""
    places = [place for points in series.values() for place, _ in points]
    low, high = math.log10(min(places)), math.log10(max(places))
    most = max(height for points in series.values() for _, height in points) or 1.0
    step = _step(most)
    top = math.ceil(most / step) * step

    def x(place: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(place) - low) / ((high - low) or 1.0)

    def y(height: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * height / top

    said = "#7d8590"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {STYLE} fill="{said}">',
        f"<title>{escape(title)}</title>",
    ]
    for number in range(round(top / step) + 1):
        height = number * step
        parts.append(
            f'<path d="M{LEFT} {y(height):.1f}H{WIDTH - RIGHT}" stroke="{said}" stroke-opacity=".3"/>'
            f'<text x="{LEFT - 6}" y="{y(height) + 4:.1f}" text-anchor="end">{height:g}</text>'
        )
    for place in sorted(set(places)):
        text = (
            f'<text x="{x(place):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{_short(place)}</text>'
        )
        parts.append(text)
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle:g}" y="{HEIGHT - 10}" text-anchor="middle">{escape(across)}</text>')
    turned = f'transform="rotate(-90 14 {HEIGHT / 2:g})"'
    parts.append(f'<text x="14" y="{HEIGHT / 2:g}" text-anchor="middle" {turned}>{escape(up)}</text>')
    for number, (name, points) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        way = " ".join(f"{x(place):.1f},{y(height):.1f}" for place, height in points)
        parts.append(f'<polyline points="{way}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [
            f'<circle cx="{x(place):.1f}" cy="{y(height):.1f}" r="3" fill="{colour}"/>'
            for place, height in points
        ]
        beside = LEFT + number * (WIDTH - LEFT - RIGHT) / len(series)
        parts.append(f'<text x="{beside:.0f}" y="22" fill="{colour}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _step(most: float) -> float:
    """A round distance of lines, four to ten of them."""
    power = 10.0 ** math.floor(math.log10(most / 4))
    return next(step * power for step in STEPS if most / (step * power) <= 8)


def _short(number: float) -> str:
    """``10k``, ``1M``."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:g}{letter}"
    return f"{number:g}"
