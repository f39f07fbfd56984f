"""A forked child that makes one call."""

from __future__ import annotations

import os
import select
import signal
import warnings
from collections.abc import Callable

PATIENCE = 60.0


def in_child(call: Callable[[], object]) -> str:
    """Return what ``call`` returns or raises in a forked child, as text; the child ends without any cleaning up."""
    answer, says = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # there may be threads, as in a real host
        child = os.fork()
    if child == 0:
        try:
            text = repr(call())
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(says, text.encode())
        os._exit(0)
    os.close(says)
    try:
        if not select.select([answer], [], [], PATIENCE)[0]:
            os.kill(child, signal.SIGKILL)
        return os.read(answer, 65536).decode()
    finally:
        os.close(answer)
        os.waitpid(child, 0)
