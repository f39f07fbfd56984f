"""docs/embedding.md is true: its applications run, its tables are those of the code, nothing else is touched."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from datasync_core import Event, Host, Watch, hookimpl
from datasync_core.model.errors import ConfigError, HostError
from tests.docs.conftest import Snippets
from tests.documents import PATIENCE, ROOT, Running, rows

PAGE = "embedding.md"
TEXT = (ROOT / "docs" / PAGE).read_text()


def test_the_application_of_the_page_prints_its_flags(
    snippet: Snippets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    snippet(PAGE, "flags_app.py").main()
    assert capsys.readouterr().out == "{'dark-mode': True}\n"


@pytest.mark.slow
def test_the_workers_of_the_page_have_their_flags_after_a_fork(
    snippet: Snippets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    snippet(PAGE, "flags_app.py").main()
    answer = subprocess.run(
        [sys.executable, str(tmp_path / "snippets" / "workers.py")],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert (answer.returncode, answer.stdout.splitlines()) == (0, ["{'dark-mode': True}"] * 2), answer.stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_asyncio_program_follows_changes_until_a_signal(
    snippet: Snippets, tmp_path: Path, number: signal.Signals
) -> None:
    snippet(PAGE, "flags_app.py")
    running = Running(f"{sys.executable} {tmp_path / 'snippets' / 'aio_app.py'}", tmp_path)
    try:
        running.until("{'dark-mode': True}")
        with Host(f"sqlite:{tmp_path / 'flags.db'}") as host:
            host.publisher().put("flags/beta", b"false")
        running.until("{'dark-mode': True, 'beta': False}")
        running.process.send_signal(number)
        out, _ = running.process.communicate(timeout=PATIENCE)
    finally:
        running.kill()
    assert (running.process.returncode, out) == (0, b"")


class Stubborn:
    """Never applies anything, and says when it was called first."""

    watches = [Watch("a/", str)]

    def __init__(self) -> None:
        self.called = threading.Event()

    @hookimpl
    def on_resync(self, event: Event) -> None:
        self.called.set()
        raise OSError("the system is away")


def test_a_wait_whose_await_is_cancelled_ends_when_the_host_stops() -> None:
    """So `asyncio.run`, which waits for the threads of its executor, comes to its end."""
    ended: list[bool] = []

    async def main() -> None:
        loop, plugin = asyncio.get_running_loop(), Stubborn()
        host = Host("memory:", {"stubborn": plugin})
        host.start()
        try:
            waiting = loop.run_in_executor(None, lambda: ended.append(host.wait()))
            assert await loop.run_in_executor(None, plugin.called.wait, PATIENCE)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert ended == []
        finally:
            assert await loop.run_in_executor(None, host.stop, PATIENCE)

    asyncio.run(main())
    assert ended == [False]


class Awaiting:
    """Lets the event loop apply what it is told, and waits for that."""

    watches = [Watch("a/", str)]

    def __init__(self) -> None:
        self.applied: list[dict[str, str]] = []
        self.busy = threading.Event()
        self.go = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    async def _apply(self, state: dict[str, str]) -> None:
        await self.go.wait()
        if state.get("1") == "wrong":
            raise ValueError("this is wrong")
        self.applied.append(state)

    @hookimpl
    def on_resync(self, event: Event) -> None:
        self.busy.set()
        asyncio.run_coroutine_threadsafe(self._apply(dict(event[self.watches[0]])), self._loop).result(
            PATIENCE
        )


def test_a_hook_may_wait_for_the_loop_while_the_loop_stops_the_host() -> None:
    async def main() -> None:
        loop, plugin = asyncio.get_running_loop(), Awaiting()
        host = Host("memory:", {"awaiting": plugin})
        host.start()
        assert await loop.run_in_executor(None, plugin.busy.wait, PATIENCE)
        stopping = loop.run_in_executor(None, host.stop, PATIENCE)
        await asyncio.sleep(0)
        plugin.go.set()
        assert await stopping
        assert plugin.applied == [{}]

    asyncio.run(main())


def test_what_a_coroutine_raises_is_tried_again() -> None:
    async def main() -> None:
        loop, plugin = asyncio.get_running_loop(), Awaiting()
        plugin.go.set()
        host = Host("memory:", {"awaiting": plugin})
        host.start()
        try:
            assert await loop.run_in_executor(None, host.wait, PATIENCE)
            await loop.run_in_executor(None, host.publisher().put, "a/1", "wrong")
            assert not await loop.run_in_executor(None, host.wait, 0.2)
            assert host.states()["awaiting"].state == "retrying"
            assert "this is wrong" in host.states()["awaiting"].reason
            await loop.run_in_executor(None, host.publisher().put, "a/1", "right")
            assert await loop.run_in_executor(None, host.wait, PATIENCE)
            assert plugin.applied[-1] == {"1": "right"}
        finally:
            await loop.run_in_executor(None, host.stop)

    asyncio.run(main())


def test_every_argument_is_documented_with_its_default() -> None:
    parameters = list(inspect.signature(Host).parameters.values())
    assert [tuple(row[:2]) for row in rows(TEXT, "argument")] == [
        (one.name, str(one.default)) for one in parameters
    ]
    assert [one.name for one in parameters if one.kind is one.KEYWORD_ONLY] == [
        one.name for one in parameters[-4:]
    ]


def test_every_member_of_a_host_is_documented() -> None:
    cells = [row[0] for row in rows(TEXT, "member")]
    names = [re.sub(r"\(.*?\)", "", cell).replace("`", "") for cell in cells]
    documented = {re.split(r"\W", name)[0] for cell in names for name in cell.split(", ")}
    there = {name for name in {*vars(Host), *vars(Host("memory:"))} if not name.startswith("_")}
    assert documented - {"with"} == there
    for cell in cells:
        name, paren, shown = cell.rstrip(")").partition("(")
        if paren:
            parameters = list(inspect.signature(getattr(Host, name)).parameters.values())[1:]
            wanted = [
                f"*{one.name}"
                if one.kind is one.VAR_POSITIONAL
                else one.name
                if one.default is one.empty
                else f'{one.name}="{one.default}"'
                if isinstance(one.default, str)
                else f"{one.name}={one.default}"
                for one in parameters
            ]
            assert shown == ", ".join(wanted), cell


def test_the_threads_are_those_of_the_table(snippet: Snippets, tmp_path: Path) -> None:
    flags = snippet(PAGE, "flags_app.py").Flags()
    before = set(threading.enumerate())
    host = Host("memory:", {"flags": flags}, state_dir=tmp_path / "state")
    assert set(threading.enumerate()) == before
    with host:
        assert host.wait(60)
        names = {thread.name for thread in set(threading.enumerate()) - before}
        assert names == {row[0].replace("STORE", "main") for row in rows(TEXT, "thread")}
    assert set(threading.enumerate()) == before


def test_nothing_else_of_the_process_is_touched(
    snippet: Snippets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = snippet(PAGE, "flags_app.py").Flags()

    def process() -> list[object]:
        loggers = [logging.getLogger(), logging.getLogger("datasync")]
        return [
            [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)],
            [(list(logger.handlers), logger.level, logger.propagate) for logger in loggers],
            (gc.isenabled(), gc.get_freeze_count(), gc.get_threshold()),
            (os.getcwd(), sorted(os.listdir(tmp_path))),
        ]

    before = process()
    with Host("memory:", {"flags": flags}) as host:
        assert host.wait(60)
        assert process() == before
        assert [plugin.name for plugin in host.plugins] == ["flags"]
    assert process() == before


def test_two_hosts_share_a_named_store_and_nothing_else(snippet: Snippets) -> None:
    module = snippet(PAGE, "flags_app.py")
    one, two = module.Flags(), module.Flags()
    with (
        Host("memory:two-hosts", {"flags": one}) as first,
        Host("memory:two-hosts", {"flags": two}) as second,
    ):
        assert second.wait(60)
        first.publisher().put("flags/x", b"true")
        assert first.wait(60)
        assert one.current == {"x": True}
        second.publisher().put("flags/y", b"false")
        assert second.wait(60)
        assert two.current == {"x": True, "y": False}


def test_a_host_is_started_once_and_a_wrong_url_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="no transport for the scheme"):
        Host("nowhere:x")
    host = Host("memory:", {})
    host.start()
    with pytest.raises(HostError, match="started already"):
        host.start()
    host.stop()
