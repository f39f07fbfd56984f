"""Faults about single values: named one by one, up to a bound, so that a million bad ones fill no log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from datasync_core.dispatch.call import Call
from datasync_core.dispatch.ledger import Ledger
from datasync_core.model.faults import Fault, FaultKind
from datasync_core.model.keys import shown

SAID = 10
"""How many values of one call are named one by one."""


def report_invalid(plugin: str, ledgers: Iterable[Ledger], report: Callable[[Fault], None]) -> None:
    """Tell which values turned out not to decode since this was last asked, and what a bound on memory forgot."""
    for ledger in ledgers:
        found, ledger.found_invalid = ledger.found_invalid, []
        _say(plugin, FaultKind.VALUE_INVALID, found, "values are invalid", report)
        if ledger.leftovers:
            ledger.leftovers = False
            text = (
                f"{plugin}: so many keys vanished half applied that some may be left over in what it drives"
            )
            report(Fault(FaultKind.LEFTOVERS, text, plugin=plugin))


def report_rejected(plugin: str, call: Call, report: Callable[[Fault], None]) -> None:
    """Tell which keys the plugin rejected in a call that succeeded."""
    rejected = [
        (key, f"{key} is rejected: {reason}")
        for part in call.parts.values()
        for key, reason in part.rejected.items()
    ]
    _say(plugin, FaultKind.VALUE_REJECTED, rejected, "keys are rejected", report)


def report_set_aside(plugin: str, call: Call, report: Callable[[Fault], None]) -> None:
    """Tell which keys failed alone, for the first time; to be asked before the outcome is written."""
    failed = [
        (key, f"{key} failed alone and is tried again: {reason}")
        for part in call.parts.values()
        for key, (reason, _) in part.retried.items()
        if key not in part.ledger.aside
    ]
    _say(plugin, FaultKind.KEY_FAILED, failed, "keys failed alone", report)


def _say(
    plugin: str,
    kind: FaultKind,
    texts: Sequence[tuple[str, str]],
    more: str,
    report: Callable[[Fault], None],
) -> None:
    for key, text in texts[:SAID]:
        report(Fault(kind, f"{plugin}: {shown(text)}", plugin=plugin, key=key))
    if len(texts) > SAID:
        report(Fault(kind, f"{plugin}: {len(texts) - SAID} more {more}", plugin=plugin))
