"""Plugins that fork: their children keep nothing of the host's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.cli.command import GREET, PATIENCE, Place

pytestmark = pytest.mark.slow

FORKS = (
    GREET
    + """
    import multiprocessing, os, sys

    def child():
        waits = os.open("end", os.O_RDONLY)
        print("forked", flush=True)
        os.read(waits, 1)
        print("child ends", flush=True)

    @hookimpl
    def on_start(context):
        multiprocessing.get_context("fork").Process(target=child).start()
"""
)


def test_a_killed_host_leaves_no_lock_and_no_socket_to_children(
    place: Place,
) -> None:
    """Children that its plugins forked do not hold the lock of the host, nor its socket."""
    place.install("forks", FORKS)
    place.write("datasync.toml", '[stores]\nmain = "sqlite:data.db"\n[host]\nname = "vm"\n')
    os.mkfifo(place.folder / "end")
    end = os.open(place.folder / "end", os.O_RDWR)  # its closing ends the children
    try:
        first = place.start("run")
        first.until("forked")
        first.until("in sync")
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
        asked = place.do("status")
        assert (asked.code, "no host answers in" in asked.err) == (1, True), asked
        second = place.start("run")
        second.until("in sync")
        assert place.do("status").code == 0
        second.process.send_signal(signal.SIGTERM)
        second.until("on_stop")
    finally:
        os.close(end)
    assert second.ended() == 0


def test_a_child_that_stops_the_host_stops_its_own_copy_alone(place: Place) -> None:
    place.write(
        "program.py",
        """
        import os
        from datasync_core import Host

        with Host("memory:", {}, state_dir="state") as host:
            if os.fork() == 0:
                host.stop()
                os._exit(0)
            os.wait()
            print(os.path.exists("state/control"), flush=True)
            from datasync_core.ops.control import ask
            from pathlib import Path
            print(ask(Path("state"), {"command": "status"})["plugins"], flush=True)
        """,
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "program.py"],
        cwd=place.folder,
        env=place.env,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.stdout.splitlines() == ["True", "[]"], done
