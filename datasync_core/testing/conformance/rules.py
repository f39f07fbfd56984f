"""The rules that a transport keeps, and how a check names the one that was broken.

A check raises `Broken` with what it saw (through `require`); `holds` puts the rule before it, and before whatever
else escapes a check, so that every failure begins with the rule to read.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from enum import StrEnum
from typing import ParamSpec

P = ParamSpec("P")


class Rule(StrEnum):
    """What is checked; the numbers are those of `datasync_core.spec.transport`."""

    CONTINUITY = "rule 1 (no hidden reconnect)"
    ARM = "rule 2 (arm before reading)"
    LIVENESS = "rule 3 (prove liveness)"
    EPOCH = "rule 4 (check the epoch on resume)"
    FLUSH = "rule 5 (a flush is a cleared batch; a vanished root is a lost connection)"
    BATCH = "rule 6 (batch every round trip)"
    ERRORS = "rule 7 (errors are the SPI's, and tell no password)"
    SNAPSHOT = "snapshot (everything under the paths, whole or not at all)"
    PATHS = 'paths (a subtree where it ends in "/", "" all, a Subtree what begins with it, else one key)'
    ENTRIES = "entries (keys and values as they were written, each subscription its own)"
    STREAM = "poll (every change, and never back to an older one)"
    TOLD = "revision (up to which all was told, and no more)"
    CURSOR = "cursor (where to resume: what was handed out, and no more)"
    CALLS = "wake and close (any thread, any time, any number of times)"
    CAPABILITIES = "capabilities (declared once, true in both directions)"
    WRITER = "commit (what it says is done, and the revision that readers see)"


class Broken(AssertionError):
    """A transport does not do what a rule says."""


def require(condition: bool, text: str) -> None:
    """Raise `Broken` with ``text`` unless the condition holds. Not ``assert``, which ``python -O`` leaves out."""
    __tracebackhide__ = True
    if not condition:
        raise Broken(text)


def raises(expected: type[Exception], call: Callable[[], object], what: str) -> bool:
    """Return whether ``call``, which ``what`` names, raises ``expected``; `Broken` where it raises something else."""
    __tracebackhide__ = True
    try:
        call()
    except (expected, Broken) as error:
        if isinstance(error, Broken):
            raise
        return True
    except Exception as error:
        found = f"{type(error).__name__}: {error}"
        raise Broken(f"{what} raised {found}; expected {expected.__name__}") from error
    return False


def holds(rule: Rule) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Mark a check with the rule that it holds a transport to; whatever it raises begins with the rule."""

    def decorate(check: Callable[P, None]) -> Callable[P, None]:
        @functools.wraps(check)
        def named(*args: P.args, **kwargs: P.kwargs) -> None:
            __tracebackhide__ = True
            try:
                check(*args, **kwargs)
            except Broken as error:
                error.args = (f"{rule}: {error}",)
                raise
            except Exception as error:
                raise Broken(f"{rule}: {type(error).__name__}: {error}") from error

        return named

    return decorate
