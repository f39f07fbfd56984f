"""A text that is not datasync's is cut where it comes in, whatever way it takes."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

import pytest

from datasync_core import Change, Context, Event, Host, Reject, Retry, hookimpl
from datasync_core.cli.logs import TRACE, JsonFormatter, PeopleFormatter, Stamp
from datasync_core.model.errors import LONGEST, cut, said
from datasync_core.plugins.problem import Problem
from datasync_core.testing import Harness
from tests.dispatch.recording import Recording

LONG = "device said: " + "Z" * 1_000_000 + " (end)"
Fails = Callable[[Event, Change[str]], None]


class Talks(Recording):
    """Does with each change what it is told to."""

    def __init__(self, fails: Fails) -> None:
        super().__init__()
        self.fails = fails

    @hookimpl
    def on_start(self, context: Context) -> None:
        self.context = context

    @hookimpl
    def on_change(self, event: Event) -> None:
        for change in event.changes(self.watch):
            self.fails(event, change)


def raises(error: Exception, *, alone: bool) -> Fails:
    def fails(event: Event, change: Change[str]) -> None:
        if not alone:
            raise error
        with change:
            raise error

    return fails


WAYS: dict[str, Fails] = {
    "raise": raises(RuntimeError(LONG), alone=False),
    "raise Retry": raises(Retry(LONG), alone=False),
    "raise Reject": raises(Reject(LONG), alone=False),
    "with change": raises(RuntimeError(LONG), alone=True),
    "with change, Retry": raises(Retry(LONG), alone=True),
    "with change, Reject": raises(Reject(LONG), alone=True),
    "event.retry": lambda event, change: event.retry(change, LONG),
    "event.reject": lambda event, change: event.reject(change.key, LONG),
}


@pytest.mark.parametrize("way", WAYS)
def test_G9_an_error_of_any_length_is_kept_cut(way: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "datasync")
    harness = Harness(p=Talks(WAYS[way]))
    harness.put("a/1", "x")
    texts = [*harness.faults(), harness.state("p").reason, *harness.explain("a/1")]
    texts += [record.getMessage() for record in caplog.records]
    named = [text for text in texts if "ZZZ" in text]
    assert len(named) >= 3
    for text in texts:
        assert len(text) <= LONGEST + 200
    for text in named:
        assert "device said: ZZ" in text
        assert " characters in all] " in text
        assert "Z (end)" in text


@pytest.mark.parametrize("error", [RuntimeError(LONG), LONG], ids=["exception", "text"])
def test_G9_what_a_plugin_reports_is_kept_cut(error: Exception | str) -> None:
    plugin = Talks(lambda event, change: None)
    harness = Harness(p=plugin)
    plugin.context.report_fault(error)
    harness.settle()
    [fault] = harness.faults()
    assert len(fault) <= LONGEST + 200
    assert "ZZZ" in fault


def test_G9_a_long_key_makes_no_long_fault() -> None:
    harness = Harness(p=Talks(raises(RuntimeError(LONG), alone=True)))
    harness.put("a/" + "k" * 1_000_000, "x")
    [fault] = harness.faults()
    assert len(fault) <= 2 * LONGEST
    assert fault.endswith("Z (end)")


@pytest.mark.parametrize(
    "formatter", [PeopleFormatter(True, Stamp.NONE), JsonFormatter("utf-8")], ids=["people", "json"]
)
def test_G9_a_traceback_is_shown_cut(formatter: logging.Formatter) -> None:
    try:
        try:
            raise ValueError(LONG)
        except ValueError as first:
            raise ExceptionGroup(LONG, [RuntimeError(LONG)]) from first
    except ExceptionGroup as error:
        record = logging.makeLogRecord(
            {
                "msg": "p: failed",
                "name": "datasync",
                "levelno": logging.ERROR,
                "exc_info": (type(error), error, error.__traceback__),
            }
        )
    text = formatter.format(record)
    assert len(text) <= TRACE * 1.2
    assert "Traceback (most recent call last)" in text


def test_what_is_wrong_with_a_plugin_is_cut() -> None:
    assert len(Problem("p", LONG).text) == LONGEST


@pytest.mark.parametrize("length", [0, 1, LONGEST - 1, LONGEST])
def test_a_text_that_is_not_longer_is_not_cut(length: int) -> None:
    assert cut("x" * length) == "x" * length
    assert cut(cut("x" * length + LONG)) == cut("x" * length + LONG)


@pytest.mark.parametrize("raised", [ValueError("no text"), SystemExit(3), KeyboardInterrupt()])
def test_a_text_that_cannot_be_made_is_said_so(raised: BaseException) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise raised

    assert said(Mute()) == "Mute, whose text cannot be made"


def test_G9_status_stays_small_where_texts_are_long() -> None:
    plugin = Talks(raises(RuntimeError(LONG), alone=True))
    with Host("memory:", {"p": plugin}) as host:
        publisher = host.publisher()
        for number in range(20):
            publisher.put(f"a/{number}", "x")
        host.wait(10)
        assert len(json.dumps(host.status())) < 50 * LONGEST
