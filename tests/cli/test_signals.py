"""Signals from the first moment of a command to its end."""

from __future__ import annotations

import os
import signal
import subprocess
import textwrap
from collections.abc import Callable

import pytest

from tests.cli.command import GREET, HANG, Place

pytestmark = pytest.mark.slow

AT_IMPORT = """
    import os, signal, sys

    class Sends:
        def find_spec(self, name, path=None, target=None):
            if name == {module!r}:
                os.kill(os.getpid(), signal.{signal})

    sys.meta_path.insert(0, Sends())
"""
"""A ``sitecustomize`` that sends the process a signal when it imports a module."""
WAITS = "print('importing', flush=True)\nimport threading\nthreading.Event().wait()\n"


def test_G12_a_hangup_stops_as_SIGTERM_does(place: Place) -> None:
    place.install("greet", GREET)
    host = place.start("run")
    host.until("in sync")
    assert host.end(signal.SIGHUP) == 0
    assert "stopping, because of SIGHUP" in host.lines
    assert "on_stop" in host.lines


def test_a_hangup_that_is_ignored_at_the_start_stays_ignored(place: Place) -> None:
    place.install("greet", GREET)
    place.write("site/sitecustomize.py", "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n")
    host = place.start("run")
    host.until("in sync")
    host.process.send_signal(signal.SIGHUP)
    assert place.do("put", "hello/ada", "hi").code == 0
    host.until("change CREATE ada hi")
    assert host.end() == 0
    assert "SIGHUP" not in host.said


def test_a_second_hangup_ends_with_129(place: Place) -> None:
    place.install("stuck", HANG)
    host = place.start("run")
    host.until("inside")
    host.process.send_signal(signal.SIGTERM)
    host.until("stopping, because of SIGTERM")
    with pytest.raises(subprocess.TimeoutExpired):  # signals of the same moment are one
        host.process.wait(0.3)
    assert host.end(signal.SIGHUP) == 129


@pytest.mark.parametrize(
    "module", ["click", "datasync_core.cli.root", "datasync_core.cli.plugins", "importlib_metadata"]
)
def test_ctrl_c_while_a_command_begins_is_130_without_a_traceback(place: Place, module: str) -> None:
    place.write("site/sitecustomize.py", AT_IMPORT.format(module=module, signal="SIGINT"))
    answer = place.do("plugins")
    assert (answer.code, answer.out) == (130, "")
    assert "Traceback" not in answer.err


def test_a_signal_while_a_plugin_is_imported_ends_the_host(place: Place) -> None:
    place.write("slow.py", WAITS)
    for how, code in ((signal.SIGTERM, 0), (signal.SIGHUP, 0), (signal.SIGINT, 130)):
        host = place.start("run", "slow.py")
        host.until("importing")
        assert host.end(how) == code
        assert "Traceback" not in host.said
        assert place.names() <= {"slow.py", "__pycache__"}, "no store and no state directory is made"


def test_the_first_process_of_a_container_hears_signals_at_once(
    place: Place, program: Callable[[str, str], str]
) -> None:
    """The kernel has no default action for it, so a signal without a handler would do nothing."""
    place.write("site/sitecustomize.py", AT_IMPORT.format(module="click", signal="SIGTERM"))
    rights = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    before = [program("unshare", "util-linux"), *rights, "--pid", "--fork", "--kill-child"]
    assert place.do("plugins", before=before).code == 128 + signal.SIGTERM


@pytest.mark.parametrize(
    "change",
    [
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])",
        "signal.signal(signal.SIGTERM, lambda *_: None)",
    ],
)
def test_what_an_import_does_to_signals_is_undone_and_said(place: Place, change: str) -> None:
    place.write("odd.py", f"import signal\n{change}\n" + textwrap.dedent(GREET))
    host = place.start("run", "odd.py")
    host.until("odd: in sync")
    assert host.end() == 0
    assert "warning: a plugin changed the handling of SIGTERM: put back" in host.lines
    assert "on_stop" in host.lines
