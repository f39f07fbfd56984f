"""What a plugin's author gets wrong hurts that plugin alone (G8), and is said."""

from __future__ import annotations

from typing import Any

import pytest

from datasync_core import Context, Event, Fault, Reject, Retry, Watch, hookimpl
from datasync_core.dispatch.attempts import Patience
from datasync_core.model.faults import FaultKind
from datasync_core.testing import Harness
from tests.dispatch.recording import Recording

PATIENCE = Patience(first=1.0, most=8.0)


class Speechless(Exception):
    def __str__(self) -> str:
        raise TypeError("a mistake in the text itself")


class Exits(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


class Interrupts(Exception):
    def __str__(self) -> str:
        raise KeyboardInterrupt


class Numbered(Exception):
    def __str__(self) -> str:
        return 5  # type: ignore[return-value]  # noqa: PLE0307  # the mistake that is meant


class Text(str):
    __slots__ = ()

    def __format__(self, spec: str) -> str:
        raise SystemExit(3)

    def __str__(self) -> str:
        return self


class Formats(Exception):
    """Its text is a `str` of a class of its own, which exits when it is formatted."""

    def __str__(self) -> str:
        return Text("formatted")


class Codes(Exception):
    """The codec's explanation takes the first argument instead of the text."""

    def __init__(self) -> None:
        super().__init__(Text("formatted"))


SPEECHLESS = [Speechless, Exits, Interrupts, Numbered, Formats, Codes]


class LateRetry(Retry):
    def __init__(self) -> None: ...


@pytest.mark.parametrize(
    "error",
    [
        *(kind() for kind in SPEECHLESS),
        Reject(Speechless()),  # type: ignore[arg-type]
        Reject(Exits()),  # type: ignore[arg-type]
        Retry("x", delay="5"),  # type: ignore[arg-type]  # a delay of text
        Retry("x", float("nan")),
        LateRetry(),
    ],
    ids=[
        *(kind.__name__ for kind in SPEECHLESS),
        "a reason without text",
        "a reason that exits",
        "a delay of text",
        "a delay of no number",
        "no __init__",
    ],
)
def test_G8_an_odd_exception_hurts_its_plugin_alone_and_makes_no_hot_loop(error: BaseException) -> None:
    odd, good = Recording(), Recording()
    harness = Harness(patience=PATIENCE, odd=odd, good=good)
    odd.fail = [error] * 3
    harness.put("a/1", "x")
    assert harness.state("odd").state == "retrying"
    assert harness.calls_of("good")[-1].changes == [("CREATE", "a/1", "x", None)]
    harness.advance(0.4)
    assert len(harness.calls_of("odd")) == 2
    for number in range(2, 5):  # a `Reject` waits for changes
        harness.put(f"a/{number}", "x")
    harness.advance(60)
    assert harness.in_sync()
    assert not any("mistake of datasync" in fault for fault in harness.faults())


@pytest.mark.parametrize("delay", ["5", float("nan"), float("inf"), -1, True])
def test_a_delay_that_is_none_is_refused_where_it_is_given(delay: Any) -> None:
    class Asks(Recording):
        @hookimpl
        def on_change(self, event: Event) -> None:
            event.retry("a/1", "later", delay=delay)

    harness = Harness(patience=PATIENCE, p=Asks())
    harness.put("a/1", "x")
    assert "a delay is a number of seconds from 0, or None" in harness.state("p").reason


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), *(kind() for kind in SPEECHLESS)])
def test_whatever_leaves_a_codec_makes_that_key_invalid(error: BaseException) -> None:
    def decode(value: bytes) -> bytes:
        if value == b"bad":
            raise error
        return value

    class Decodes(Recording):
        def __init__(self) -> None:
            super().__init__()
            self.watch = Watch("a/", codec=decode)
            self.watches = [self.watch]

    harness = Harness(codes=Decodes(), good=Recording(type=bytes))
    harness.commit({"a/1": b"bad", "a/2": b"fine"})
    assert list(harness.undelivered("codes")) == ["a/1"]
    assert [(fault.kind, fault.key) for fault in harness.inspect().faults] == [
        (FaultKind.VALUE_INVALID, "a/1")
    ]
    assert harness.calls_of("codes")[-1].changes == [("CREATE", "a/2", b"fine", None)]
    assert len(harness.values("good")) == 2


@pytest.mark.parametrize("kind", SPEECHLESS)
def test_G8_no_text_of_an_exception_ends_the_host(kind: type[Exception]) -> None:
    """From `on_start`, an observer, `with change:` and a report: the other plugin is told all."""

    starts = iter([kind(), None])

    class Odd(Recording):
        @hookimpl
        def on_start(self, context: Context) -> None:
            context.report_fault(kind())
            if error := next(starts):
                raise error

        @hookimpl
        def on_fault(self, fault: Fault) -> None:
            raise kind

    odd, good = Odd(), Recording()
    harness = Harness(patience=PATIENCE, odd=odd, good=good)
    odd.fail_on = {"a/1": kind()}
    harness.put("a/1", "x")
    harness.advance(2)
    assert harness.values("good") == {"a/1": "x"}
    assert harness.state("odd").state == "in_sync"
    assert not any("mistake of datasync" in fault for fault in harness.faults())


def test_a_key_that_fails_alone_is_said_once() -> None:
    plugin = Recording()
    harness = Harness(patience=PATIENCE, p=plugin)
    plugin.fail_on = {"a/1": ValueError("boom")}
    harness.put("a/1", "x")
    harness.advance(20)
    assert len(harness.calls_of("p")) > 3
    assert harness.faults() == ["p: a/1 failed alone and is tried again: ValueError: boom"]


def test_an_observer_that_lets_another_report_makes_no_circle() -> None:
    class Reports(Recording):
        @hookimpl
        def on_start(self, context: Context) -> None:
            self.context = context

    class Observes:
        def __init__(self, other: Reports) -> None:
            self.other, self.told = other, 0

        @hookimpl
        def on_fault(self, fault: Fault) -> None:
            self.told += 1
            self.other.context.report_fault("again")

    reports = Reports()
    observes = Observes(reports)
    harness = Harness(patience=PATIENCE, reports=reports, observes=observes)
    reports.context.report_fault("once")
    harness.settle()
    assert observes.told == 1
