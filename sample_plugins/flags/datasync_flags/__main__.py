"""``datasync-flags`` and ``python -m datasync_flags``: open the socket, fork, and serve in each worker."""

from __future__ import annotations

import os
import signal
import socket
import sys

from datasync_core import Host
from datasync_flags.flags import Flags
from datasync_flags.prefork import prefork
from datasync_flags.web import Server, application

WORKERS = 2


def main() -> int:
    """Serve until SIGTERM or SIGINT; the exit code. ``FLAGS_STORE`` is the store's URL, ``FLAGS_PORT`` the port."""
    store = os.environ.get("FLAGS_STORE")
    if store is None:
        print("set FLAGS_STORE to the URL of a store, such as sqlite:flags.db", file=sys.stderr)
        return 2
    with socket.create_server(("127.0.0.1", int(os.environ.get("FLAGS_PORT", "8000")))) as listener:
        # A connection wakes both workers; the one that comes too late must not wait in accept.
        listener.setblocking(False)
        print(f"flags: http://127.0.0.1:{listener.getsockname()[1]}/ with {WORKERS} workers", flush=True)
        code = prefork(WORKERS)
        if code is None:
            work(listener, store)
        return code or 0


def work(listener: socket.socket, store: str) -> None:
    """Serve, with a host of this process: its threads would not survive a fork, so it comes after."""
    flags = Flags()
    host = Host(stores=store, plugins={"flags": flags})
    server = Server(listener, application(flags, host))
    for number in (signal.SIGTERM, signal.SIGINT):  # ours: the host leaves signals alone
        signal.signal(number, server.end)
    with host:
        host.wait(5)  # so that the first answer has the flags; who cannot reach the store serves without them
        server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    sys.exit(main())
