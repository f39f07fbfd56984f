"""docs/testing.md is true: its snippets run, and its tables name what there is."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from datasync_core import hookimpl
from datasync_core.testing import Call, Harness, OutsideStore, Told, TransportConformance
from tests.documents import rows

TEXT = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()


@pytest.mark.slow
def test_the_snippets_run(tmp_path: Path) -> None:
    snippets = re.findall(r"^```python (\S+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert [name for name, _ in snippets] == ["routes.py", "test_routes.py", "test_mine.py"]
    assert TEXT.count("```python") == len(snippets)
    for name, text in snippets:
        (tmp_path / name).write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


def shown(method: Callable[..., object]) -> str:
    """The arguments of a method as a page shows them: without types."""
    plain = [one.replace(annotation=one.empty) for one in inspect.signature(method).parameters.values()]
    return str(inspect.Signature(plain)).replace("'", '"')


def test_the_harness_is_documented_with_its_signatures() -> None:
    harness = Harness()
    members = {name: getattr(harness, name) for name in dir(harness) if not name.startswith("_")}
    called = [f"{name}{shown(value)}" if inspect.ismethod(value) else name for name, value in members.items()]
    assert sorted(row[0] for row in rows(TEXT, "member")) == sorted(called)


def test_the_arguments_of_a_harness_are_documented_with_their_defaults() -> None:
    there = inspect.signature(Harness).parameters.values()
    wanted = [
        [f"**{one.name}", ""] if one.kind is one.VAR_KEYWORD else [one.name, repr(one.default)]
        for one in there
    ]
    documented = [row[:2] for row in rows(TEXT, "argument")]
    assert [[name, default.replace('"', "'")] for name, default in documented] == wanted


def test_the_parts_of_a_call_are_documented() -> None:
    paragraph = re.search(r"^A call has .*?\n\n", TEXT, re.MULTILINE | re.DOTALL)
    assert paragraph is not None
    named = set(re.findall(r"`(\w+)`", paragraph[0])) - {"None"}
    assert named == {field.name for field in attrs.fields(Call)} | set(Told._fields)


def test_a_name_that_is_no_identifier_is_given_in_a_mapping() -> None:
    class Routes:
        requires = ["interfaces"]

        @hookimpl
        def on_stop(self) -> None: ...

    harness = Harness(**{"my-routes": Routes()})
    assert harness.state("my-routes").state == "waiting"


def test_the_table_names_every_member_of_the_outside_store() -> None:
    table = rows(TEXT, "member | what it does | what is checked with it")
    assert ", ".join(row[0].replace("`", "") for row in table).split(", ") == [
        field.name for field in attrs.fields(OutsideStore)
    ]


def test_the_attributes_have_the_defaults_that_are_told() -> None:
    suite = TransportConformance
    assert (suite.patience, suite.liveness, suite.many, suite.largest) == (20, 2, 100_000, 2**20)
    for told in (
        "`patience` (20 seconds",
        "`liveness` (2 seconds",
        "`many` (100,000 keys",
        "`largest` (a value of 1 MiB",
    ):
        assert told in TEXT.replace("\n", " ")
