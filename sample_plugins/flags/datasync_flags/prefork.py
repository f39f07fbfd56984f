"""Several processes of one program, which share what was opened before the fork."""

from __future__ import annotations

import os
import signal

NEWS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}


def prefork(count: int) -> int | None:
    """Fork ``count`` workers: None in each of them; in the parent, when all have ended, the exit code.

    SIGTERM or SIGINT ends them. One that was killed is replaced; one that ends by itself would do so again, so the
    others end too, and its exit code is theirs. News are awaited, not handled: none comes between fork and ``add``.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, NEWS)
    workers: set[int] = set()
    code: int | None = None
    while code is None:
        while len(workers) < count:
            pid = os.fork()
            if pid == 0:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
                return None
            workers.add(pid)
        if signal.sigwait(NEWS) != signal.SIGCHLD:
            code = 0
        for pid in list(workers):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                workers.remove(pid)
                if (of_worker := os.waitstatus_to_exitcode(status)) >= 0:
                    code = code or of_worker
    for pid in workers:
        os.kill(pid, signal.SIGTERM)
    for pid in workers:
        os.waitpid(pid, 0)
    return code
