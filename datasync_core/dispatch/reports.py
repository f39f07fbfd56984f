"""Faults about single values: named one by one, up to a bound, so that a million bad ones fill no log.

One that fails as it did before is counted, and not told again (`dispatch.failures`); that it is applied at last is
logged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from datasync_core.dispatch.call import Call
from datasync_core.dispatch.failures import WORDS, Failures
from datasync_core.model.faults import Fault, FaultKind
from datasync_core.model.keys import shown

log = logging.getLogger("datasync")

SAID = 10
"""How many values of one call are named one by one."""


def report_invalid(plugin: str, failures: Failures, report: Callable[[Fault], None]) -> None:
    """Tell which values turned out not to decode since this was last asked, and what a bound on memory forgot."""
    for store, ledger in failures.ledgers.items():
        found, ledger.found_invalid = ledger.found_invalid, []
        texts = [(store, key, reason, reason) for key, reason in found]
        _say(plugin, FaultKind.VALUE_INVALID, texts, "values are invalid", failures, report)
        if ledger.leftovers:
            ledger.leftovers = False
            text = (
                f"{plugin}: so many keys vanished half applied that some may be left over in what it drives"
            )
            report(Fault(FaultKind.LEFTOVERS, text, plugin=plugin))


def report_rejected(plugin: str, call: Call, failures: Failures, report: Callable[[Fault], None]) -> None:
    """Tell which keys the plugin rejected in a call that succeeded."""
    rejected = [
        (store, key, reason, f"{key} is rejected: {reason}")
        for store, part in call.parts.items()
        for key, reason in part.rejected.items()
    ]
    _say(plugin, FaultKind.VALUE_REJECTED, rejected, "keys are rejected", failures, report)


def report_set_aside(plugin: str, call: Call, failures: Failures, report: Callable[[Fault], None]) -> None:
    """Tell which keys failed alone in a call that succeeded."""
    failed = [
        (store, key, reason, f"{key} failed alone and is tried again: {reason}")
        for store, part in call.parts.items()
        for key, (reason, _) in part.retried.items()
    ]
    _say(plugin, FaultKind.KEY_FAILED, failed, "keys failed alone", failures, report)


def log_recovered(plugin: str, failures: Failures, handed: Mapping[str, Iterable[str]] | None = None) -> None:
    """Log which keys no longer fail: of those that a call handed out, or (None) of those that needed none."""
    ended = failures.ended(handed)
    for key, failure, present in ended[:SAID]:
        now = "applied" if present else "gone"
        times = "once" if failure.count == 1 else f"{failure.count} times"
        text = f"{plugin}: {shown(key)} recovered: it is {now}, and was {WORDS[failure.kind]} ({times})"
        log.info("%s", text, extra={"plugin": plugin, "key": key})
    if len(ended) > SAID:
        log.info("%s: %d more keys recovered", plugin, len(ended) - SAID, extra={"plugin": plugin})


def _say(
    plugin: str,
    kind: FaultKind,
    texts: Sequence[tuple[str, str, str, str]],
    more: str,
    failures: Failures,
    report: Callable[[Fault], None],
) -> None:
    """``texts``: store, key, reason and sentence of each."""
    said = 0
    for store, key, reason, text in texts:
        failure = failures.note(store, key, kind, reason)
        if failure.count == 1:
            said += 1
            failure.named = said <= SAID
        if failure.named:
            report(Fault(kind, f"{plugin}: {shown(text)}", plugin=plugin, key=key, count=failure.count))
    if said > SAID:
        report(Fault(kind, f"{plugin}: {said - SAID} more {more}", plugin=plugin))
