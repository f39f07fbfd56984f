"""docs/performance.md has every workload, and the benchmarks judge and guard as it says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks import guard, page
from benchmarks.growth import GROWTHS
from benchmarks.plot import svg
from benchmarks.sides import Goal, Measuring, Result
from benchmarks.suite import WORKLOADS, workload
from benchmarks.table import dump, lines, parse
from tests.documents import ROOT, rows, texts

TEXT = page.PAGE.read_text()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    # Measuring coverage would slow down one side alone.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def result(ratio: float, goal: Goal | None = None, name: str = "W1") -> Result:
    upside_down = goal is not None and not goal.at_most
    ours, other = (1.0, ratio) if upside_down else (ratio, 1.0)
    return Result(name, "one thing", "another | thing", ours, other, "s", goal)


def test_the_table_has_every_workload_with_its_command() -> None:
    table = rows(TEXT, "workload | what, against what")
    assert list(dict.fromkeys(row[0] for row in table)) == list(WORKLOADS)
    for row in table:
        assert row[-1] == f"python -m benchmarks {row[0]}"
        assert row[2]


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_workload_has_a_function(name: str) -> None:
    assert callable(workload(name))


def test_every_goal_that_is_not_met_is_explained() -> None:
    explained = TEXT.partition("## Where a goal is not met")[2].partition("\n## ")[0]
    for row in rows(TEXT, "workload | what, against what"):
        if row[6] == "no":
            assert re.search(rf"\b{row[0]}\b", explained), f"{row[0]} is not met: {row}"


@pytest.mark.slow
def test_every_command_of_the_page_is_there() -> None:
    commands = [line.partition("#")[0].split() for text in texts(TEXT, "sh") for line in text.splitlines()]
    for command in commands:
        if command[:2] == ["python", "-m"]:
            answer = run(command[2], "--help")
            assert answer.returncode == 0, answer.stderr
            options = [word for word in command[3:] if word.startswith("--")]
            assert all(option in answer.stdout for option in options)
    growths = [command[3:] for command in commands if command[2:3] == ["benchmarks.growth"]]
    assert growths == [[name] for name in GROWTHS]


@pytest.mark.parametrize("name", GROWTHS)
def test_every_plot_is_there_light_and_of_these_points(name: str) -> None:
    assert f"](performance/{name}.svg)" in TEXT
    file = page.PAGE.parent / "performance" / f"{name}.svg"
    assert file.stat().st_size < 10_000
    drawn = ET.fromstring(file.read_text())
    namespace = "{http://www.w3.org/2000/svg}"
    assert len(drawn.findall(f"{namespace}polyline")) == len(GROWTHS[name].lines)
    assert len(drawn.findall(f"{namespace}circle")) == len(GROWTHS[name].lines) * len(GROWTHS[name].points)


def test_peers_are_no_dependency_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert any("kopf" in one for one in project["dependency-groups"]["benchmarks"] if isinstance(one, str))
    extras = project["project"]["optional-dependencies"].values()
    offered = [*project["project"]["dependencies"], *chain.from_iterable(extras)]
    assert not [one for one in offered if "kopf" in one]


@pytest.mark.slow
def test_a_third_that_is_lost_is_seen(tmp_path: Path) -> None:
    written = tmp_path / "short.json"
    written.write_text(json.dumps({"W9": [0.1]}))
    answer = run("benchmarks.guard", "W9", "--written", str(written), "--attempts", "1")
    assert answer.returncode == 1, answer.stderr
    assert re.search(r"W9: .*: the ratio is [\d.]+, written down is 0.1\n", answer.stdout)


@pytest.mark.parametrize(
    ("goal", "now", "is_lost"),
    [
        (Goal(2), 1.4, False),
        (Goal(2), 1.6, True),
        (None, 1.6, True),
        (Goal(2, at_most=False), 0.7, False),
        (Goal(2, at_most=False), 0.6, True),
    ],
)
def test_a_loss_of_a_third_counts_in_either_direction(goal: Goal | None, now: float, is_lost: bool) -> None:
    assert bool(guard.lost([result(now, goal)], [1.0])) is is_lost


def test_the_ratios_written_down_are_those_of_the_guarded_workloads() -> None:
    assert set(json.loads(guard.WRITTEN.read_text())) == set(guard.GUARDED) <= set(WORKLOADS)


@pytest.mark.parametrize(
    ("goal", "ratio", "met"),
    [
        (Goal(1.6), 1.6, True),
        (Goal(1.6), 1.61, False),
        (Goal(4, at_most=False), 4.0, True),
        (Goal(4, at_most=False), 3.9, False),
        (None, 9.0, None),
    ],
)
def test_a_goal_is_met_up_to_its_ratio(goal: Goal | None, ratio: float, met: bool | None) -> None:
    one = result(ratio, goal)
    assert (one.ratio, one.met) == (ratio, met)


@pytest.mark.slow
def test_the_best_of_each_side_counts_and_they_take_turns() -> None:
    turns: list[str] = []
    costs = {"ours": iter([3.0, 1.0, 2.0]), "other": iter([6.0, 5.0, 4.0])}

    def side(name: str) -> float:
        turns.append(name)
        return next(costs[name])

    assert Measuring(3).best("x", lambda: side("ours"), lambda: side("other")) == (1.0, 4.0)
    assert turns == ["other", "ours"] * 3


def test_the_page_is_made_from_the_figures(tmp_path: Path) -> None:
    results = [result(2.5, Goal(1.6)), Result("memory", "a plugin", "", 17_000.0, None, "bytes")]
    file, copy = tmp_path / "figures.json", tmp_path / "performance.md"
    file.write_text(dump(results, 5, short=False))
    assert parse(file.read_text())[1] == results
    copy.write_text(TEXT)
    page.main([str(file), "--page", str(copy)])
    assert rows(copy.read_text(), "workload | what, against what") == [
        [
            "W1",
            "one thing; against another | thing",
            "2.5 s",
            "1 s",
            "2.5",
            "≤ 1.6",
            "no",
            "python -m benchmarks W1",
        ],
        ["memory", "a plugin", "17,000 bytes", "", "", "", "", "python -m benchmarks memory"],
    ]
    again = copy.read_text()
    page.main([str(file), "--page", str(copy)])
    assert copy.read_text() == again


def test_the_short_form_is_kept_out_of_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "figures.json"
    file.write_text(dump([result(1.0)], 5, short=True))
    with pytest.raises(SystemExit):
        page.main([str(file)])
    assert "short form" in capsys.readouterr().err


def test_the_table_for_people_says_whether_goals_are_met() -> None:
    head, first, second = lines([result(2.5, Goal(1.6)), result(9.0, name="start")])
    assert head.split()[:2] == ["workload", "ours"]
    assert re.fullmatch(r"W1 +2\.5 s +1 s +2\.5 +≤ 1\.6 +no +one thing; against another \| thing", first)
    assert re.fullmatch(r"start +9 s +1 s +9 +one thing; against another \| thing", second)


def test_a_workload_that_is_not_there_is_a_usage_error() -> None:
    answer = run("benchmarks", "W13")
    assert answer.returncode == 2
    assert "there is no workload W13; there are W1, " in answer.stderr


def test_one_workload_can_be_measured_and_written(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    answer = run("benchmarks", "W9", "--short", "--rounds", "1", "--json", str(file))
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines()[1].startswith("W9 ")
    assert "W9: round 1 of 1" in answer.stderr
    assert [one.name for one in parse(file.read_text())[1]] == ["W9"]


def test_a_plot_of_one_point_is_a_plot() -> None:
    assert ET.fromstring(svg("t", "a & b", "up", {"x < y": [(1, 3.0)]})) is not None
