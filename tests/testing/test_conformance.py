"""The shipped suite: sound transports pass it, and for each check there is a broken one that it finds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from datasync_core.testing import OutsideStore, TransportConformance
from datasync_core.testing.conformance import Rule
from datasync_core.testing.conformance.rules import Broken, raises
from datasync_core.testing.conformance.site import Site
from datasync_core.transport import Delete, Put, Transport, Unsupported, Writer
from tests.testing.broken import transports
from tests.testing.sound import UNWRITABLE, Bare, Documents, NeverEmpty, ReadOnly, Sound, SoundWriter, World

ROOT = Path(__file__).parents[2]
SUITE = Path(__file__).with_name("broken_suite.py")
CHECKS = {name for name in dir(TransportConformance) if name.startswith("test_")}


class Kept(TransportConformance):
    transport_class: type[Sound]
    many = 5000
    unwritable = UNWRITABLE

    @pytest.fixture
    def world(self) -> World:
        return World()

    @pytest.fixture
    def outside(self, world: World) -> OutsideStore:
        self.store = world
        return world.outside()

    def connect(self, outside: OutsideStore) -> Transport:
        return self.transport_class(self.store)


@pytest.mark.slow
class TestAllCapabilities(Kept):
    transport_class = Sound


class TestNoCapabilities(Kept):
    transport_class = Bare


class TestNeverEmpty(Kept):
    transport_class = NeverEmpty


class TestDocuments(Kept):
    """What is compared is the meaning of a document, in every check."""

    transport_class = Documents


class TestReadOnly(Kept):
    transport_class = ReadOnly


@pytest.mark.slow
class TestLeastOutside(Kept):
    """Only what every store has outside."""

    transport_class = Sound
    many = 100

    @pytest.fixture
    def outside(self, world: World) -> OutsideStore:
        self.store = world
        whole = world.outside()
        return OutsideStore(whole.url, whole.put, whole.delete)


@pytest.mark.slow
def test_each_check_finds_a_broken_transport_and_names_the_rule(tmp_path: Path) -> None:
    broken = transports()
    assert {transport.found_by for transport in broken.values()} == CHECKS  # type: ignore[attr-defined]  # `breaks` sets it
    report = tmp_path / "report.xml"
    nodes = [f"{SUITE}::Test{name}::{transport.found_by}" for name, transport in broken.items()]  # type: ignore[attr-defined]  # `breaks` sets it
    options = ["-q", "-p", "no:cacheprovider", "--tb=short", f"--junitxml={report}"]
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *nodes],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1, answer.stdout + answer.stderr
    verdicts = {}
    for case in ET.parse(report).iter("testcase"):
        name = case.get("classname", "").rpartition(".Test")[2]
        verdicts[name] = [failed.get("message", "") for failed in case.iter("failure")]
    assert set(verdicts) == set(broken)
    unnamed = {name: messages for name, messages in verdicts.items() if not names_a_rule(messages)}
    assert not unnamed, answer.stdout


class Refusing(SoundWriter):
    """Refuses everything, and not as it should."""

    def commit(self, ops: Sequence[Put | Delete], *, expect: Mapping[str, int] = {}) -> int:
        raise NotImplementedError("sorry")


class Refuser(Bare):
    writes = Refusing


class Unwilling(Bare):
    def writer(self) -> Writer:
        raise NotImplementedError("none here")


def test_another_error_than_unsupported_is_named_with_what_was_expected() -> None:
    world = World()
    site = Site(Refuser(world), world.outside(), 20.0)
    writer = site.writer()
    assert writer is not None
    with pytest.raises(Broken) as caught:
        site.refused(writer, "expiry (ttl=)", Put("a", b"1", 1.0))
    assert str(caught.value) == (
        "expiry (ttl=) is not declared, and commit raised NotImplementedError: sorry; expected Unsupported"
    )
    assert site.truth == {}
    with pytest.raises(Broken, match="NotImplementedError: none here; expected a Writer, or Unsupported"):
        Site(Unwilling(world), world.outside(), 20.0).writer()


@pytest.mark.parametrize(("error", "found"), [(Unsupported("no"), True), (None, False)])
def test_a_call_that_must_raise_is_judged_by_what_it_raises(error: Exception | None, found: bool) -> None:
    def call() -> None:
        if error is not None:
            raise error

    assert raises(Unsupported, call, "commit") == found


def names_a_rule(messages: list[str]) -> bool:
    """Whether something failed, and said first which rule is broken."""
    rules = tuple(f"datasync_core.testing.conformance.rules.Broken: {rule}: " for rule in Rule)
    return bool(messages) and all(message.startswith(rules) for message in messages)


def test_a_subclass_without_outside_is_told_what_is_missing() -> None:
    class TestMine(TransportConformance):
        pass

    with pytest.raises(NotImplementedError, match="TestMine needs a fixture outside"):
        TestMine.outside.__wrapped__(TestMine())  # type: ignore[attr-defined]  # what pytest wraps
