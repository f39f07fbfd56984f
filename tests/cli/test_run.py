"""`run`: from the first line to the exit code."""

from __future__ import annotations

import json
import re
import signal
import subprocess

import pytest

from tests.cli.command import COMMAND, GREET, HANG, PATIENCE, Place, requiring

pytestmark = pytest.mark.slow


def test_run_makes_the_embedded_store_says_so_and_ends_with_0(place: Place) -> None:
    place.install("greet", GREET)
    host = place.start("run", "--name", "agent")
    host.until("greet: in sync, 0 keys (startup)")
    first = host.lines[0]
    assert first == (
        "host agent: store main sqlite:datasync.db (made here, as nothing names a store), "
        "plugins greet, state in .datasync/agent"
    )
    assert place.do("put", "hello/ada", "hi").code == 0
    host.until("change CREATE ada hi")
    assert host.end() == 0
    assert host.lines.index("stopping, because of SIGTERM") < host.lines.index("on_stop")
    again = place.start("run", "--name", "agent")
    again.until("greet: in sync, 1 key (startup)")
    assert "made here" not in again.said
    assert again.end(signal.SIGINT) == 0


def test_G12_a_signal_stops_in_reverse_order_after_the_running_hook(place: Place) -> None:
    """Lets the running hook finish before any plugin is stopped."""
    slow = GREET.replace(
        "def on_resync(event):", "def on_resync(event):\n        print('begun', flush=True); input()"
    )
    place.install("a-first", GREET.replace('"on_stop"', '"stop a"'))
    place.install(
        "b-slow",
        slow.replace("requires: list[str] = []", 'requires = ["a-first"]').replace('"on_stop"', '"stop b"'),
    )
    host = subprocess.Popen(
        [*COMMAND, "run"],
        cwd=place.folder,
        env=place.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert host.stdin is not None
    assert host.stdout is not None
    assert host.stdout.readline() == "begun\n"
    host.send_signal(signal.SIGTERM)
    out, _ = host.communicate("go on\n", timeout=PATIENCE)
    assert (host.returncode, out.splitlines()) == (0, ["stop b", "stop a"])


def test_G12_a_hook_that_outlives_stop_timeout_is_named(
    place: Place,
) -> None:
    """The exit code is 1, and no other hook runs."""
    place.install("a-first", GREET)
    place.install("stuck", HANG)
    place.write("datasync.toml", '[host]\nstop_timeout = 0.2\n[stores]\nmain = "sqlite:data.db"\n')
    host = place.start("run")
    host.until("inside")
    assert host.end() == 1
    assert "on_resync of plugin stuck has not returned within 0.2 s" in host.lines[-1]
    assert "on_stop" not in host.lines


def test_G12_a_second_signal_ends_the_process_at_once(place: Place) -> None:
    place.install("stuck", HANG)
    host = place.start("run")
    host.until("inside")
    host.process.send_signal(signal.SIGINT)
    host.until("stopping, because of SIGINT")
    with pytest.raises(subprocess.TimeoutExpired):  # signals of the same moment are one
        host.process.wait(0.3)
    assert host.end(signal.SIGTERM) == 128 + signal.SIGTERM


def test_two_signals_of_the_same_moment_are_one(place: Place) -> None:
    place.install("greet", GREET)
    host = place.start("run")
    host.until("in sync")
    host.process.send_signal(signal.SIGSTOP)  # so that both are there when it goes on
    host.process.send_signal(signal.SIGINT)
    host.process.send_signal(signal.SIGTERM)
    assert host.end(signal.SIGCONT) == 0
    assert "on_stop" in host.lines


def test_a_killed_host_leaves_no_lock_and_loses_nothing(place: Place) -> None:
    place.install("greet", GREET)
    host = place.start("run", "--name", "agent")
    host.until("in sync")
    place.do("put", "hello/ada", "hi")
    host.until("change CREATE ada hi")
    assert host.end(signal.SIGKILL) == -signal.SIGKILL
    place.do("put", "hello/bob", "ho")
    place.do("delete", "hello/ada")
    again = place.start("run", "--name", "agent")
    again.until("resync CREATE bob ho")
    again.until("in sync, 1 key (startup)")
    assert again.end() == 0
    assert "ada" not in again.said


def test_a_file_is_a_plugin_beside_the_installed_ones(place: Place) -> None:
    place.install("greet", GREET.replace("resync", "installed"))
    place.write(
        "plugins/one_off.py", GREET.replace('"resync"', '"one-off"').replace("on_change", "on_resync2")
    )
    place.write(
        "plugins/one_off.py",
        GREET.replace('"resync"', '"one-off", helper.WORD').replace(
            "from data", "import helper\n    from data"
        ),
    )
    place.write("plugins/helper.py", 'WORD = "word"\n')
    place.do("put", "hello/ada", "hi", "--store", "sqlite:datasync.db")
    host = place.start("run", "plugins/one_off.py", "--only", "one_off")
    host.until("one-off word CREATE ada hi")
    host.until("one_off: in sync")
    assert host.end() == 0
    assert "greet" not in host.said.replace("plugins one_off", "")


def test_only_brings_what_is_required_and_p_no_leaves_out(place: Place) -> None:
    for name, code in {"a": GREET, "b": requiring("a"), "c": GREET}.items():
        place.install(name, code)
    host = place.start("run", "--only", "b")
    host.until("b: in sync")
    assert host.end() == 0
    assert ", plugins a, b, state" in host.lines[0]
    host = place.start("run", "-p", "no:a")
    host.until("c: in sync")
    host.until("b: waiting: requires a: disabled")
    assert host.end() == 0


def test_several_stores_are_named_on_the_command_line(place: Place) -> None:
    place.install("greet", GREET)
    place.do("put", "hello/ada", "aux", "--store", "sqlite:two.db")
    place.write("datasync.toml", '[plugins.greet]\nstore = "aux"\n')
    host = place.start("run", "--store", "sqlite:one.db", "--store", "aux=sqlite:two.db")
    host.until("resync CREATE ada aux")
    host.until("greet: in sync")
    assert host.end() == 0
    assert "store main sqlite:one.db, aux sqlite:two.db" in host.lines[0]


def test_json_logs_are_one_object_a_line_and_say_plugin_and_state(place: Place) -> None:
    place.install("greet", GREET.replace("print(", "(lambda *a, **k: None)("))
    host = place.start("run", "--log-format", "json", "--trace-hooks")
    host.until('"state": "in_sync"')
    assert host.end() == 0
    lines = [json.loads(line) for line in host.lines]
    synced = next(line for line in lines if line.get("state") == "in_sync")
    assert (synced["plugin"], synced["level"], synced["message"]) == (
        "greet",
        "info",
        "greet: in sync, 0 keys (startup)",
    )
    traced = [line["message"] for line in lines if line["logger"] == "datasync.trace"]
    assert re.match(r"trace: greet.on_resync, round \d+, startup: begins", traced[0])
    assert re.match(r"trace: greet.on_resync, round \d+, startup: returned after [\d.]+ ms", traced[1])


def test_quiet_says_only_what_is_wrong_and_v_shows_tracebacks(place: Place) -> None:
    broken = GREET.replace('print("resync"', 'raise ValueError("no such interface"); print("resync"')
    place.install("bad", broken)
    place.install("good", GREET)
    place.do("put", "hello/ada", "hi", "--store", "sqlite:datasync.db")
    host = place.start("run", "-q")
    line = host.until("no such interface")
    host.until("resync CREATE ada hi")
    assert host.end() == 0
    assert line.startswith("warning: ")
    assert "Traceback" not in host.said
    assert "in sync" not in host.said
    loud = place.start("run", "-v")
    loud.until("Traceback")
    loud.until("ValueError: no such interface")
    loud.until("resync CREATE ada hi")
    assert loud.end() == 0


def test_log_lines_have_the_time_but_in_a_pipe(place: Place) -> None:
    place.install("stuck", GREET)
    with (place.folder / "log").open("wb") as log:
        host = subprocess.Popen(
            [*COMMAND, "run"], cwd=place.folder, env=place.env, stderr=log, stdout=subprocess.PIPE
        )
        place.do("put", "hello/ada", "hi", "--store", "sqlite:datasync.db")
        assert host.stdout is not None
        said = host.stdout.readline()
        host.terminate()
        host.communicate(timeout=PATIENCE)
    assert said.endswith(b"CREATE ada hi\n")
    lines = (place.folder / "log").read_text().splitlines()
    assert host.returncode == 0
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d \S", line) for line in lines), (
        lines
    )


def test_run_waits_for_a_store_that_is_not_there_yet(place: Place) -> None:
    place.install("greet", GREET)
    host = place.start("run", "--store", "sqlite:later.db?create=false")
    host.until("warning: store main: there is no")
    assert re.fullmatch(
        r"store main: waiting for it: tried again in 0\.\d s, later at least every 60 s",
        host.until("waiting for it"),
    )
    place.do("put", "hello/ada", "hi", "--store", "sqlite:later.db")
    host.until("resync CREATE ada hi")
    assert host.end() == 0


def test_a_fault_of_a_plugin_whose_policy_is_restart_ends_the_host_with_75(place: Place) -> None:
    broken = GREET.replace(
        "def on_stop",
        'def on_start(context):\n        context.report_fault("it broke")\n\n    @hookimpl\n    def on_stop',
    )
    place.install("greet", broken)
    place.write(
        "datasync.toml", '[stores]\nmain = "sqlite:data.db"\n[plugins.greet]\nfault_policy = "restart"\n'
    )
    host = place.start("run")
    host.until("it broke")
    assert host.ended() == 75
    assert "on_stop" in host.lines
