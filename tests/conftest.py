"""What holds for every test: nothing is left behind, nothing is skipped in CI, one hash seed is told.

`program` finds the programs that tests drive: on PATH, else from Debian's packages where that is allowed.
`redis_server` and `zookeeper_server` are real ones (`tests/servers`), begun when a test first asks.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.servers.redis import Redis
    from tests.servers.server import Server
    from tests.servers.zookeeper import ZooKeeper

S = TypeVar("S", bound="Server")
SERVERS = pytest.StashKey["list[Server]"]()
"""Servers that all tests of a worker share: not left behind by the test that began or restarted one."""

GRACE = 5.0
"""Seconds that threads and processes have to end after a test; a test that cleans up uses none of them."""

# No deadline: two cores are shared with other tests. No database: a failure is repeated by the seed it prints.
settings.register_profile("datasync", deadline=None, database=None, print_blob=True)
settings.load_profile("datasync")


def pytest_report_header() -> str:
    """Tell what repeats a failure, beside the seed of the order."""
    return f"hash seed: {os.environ.get('PYTHONHASHSEED', 'random')}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where CI is set, a test that would be skipped fails: what is not run there is not known to work."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and in CI none may be: {reason}"
    return report


@pytest.fixture(autouse=True)
def leaves_nothing_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test whose threads or child processes outlive it."""
    threads, children = set(threading.enumerate()), _children()
    yield
    deadline = time.monotonic() + GRACE
    for thread in set(threading.enumerate()) - threads:
        thread.join(max(deadline - time.monotonic(), 0))
    left = [thread.name for thread in set(threading.enumerate()) - threads]
    assert not left, f"this test leaves threads behind: {', '.join(sorted(left))}"
    processes = _children() - children - {server.pid for server in request.config.stash.get(SERVERS, [])}
    assert not processes, f"this test leaves child processes behind: {', '.join(map(_command, processes))}"


def _children() -> set[int]:
    """This process's children, also those that ended and were not waited for; empty where /proc has none."""
    found: set[int] = set()
    for task in Path("/proc/self/task").glob("*/children"):
        try:
            found.update(map(int, task.read_text().split()))
        except OSError:
            continue  # that thread has just ended
    return found


def _command(pid: int) -> str:
    try:
        text = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        text = ""
    return f"{pid} ({text or 'ended, and not waited for'})"


@pytest.fixture(scope="session")
def program() -> Callable[[str, str], str]:
    """``program(name, package)``: the path of a program that a test drives.

    Found on PATH, else installed from Debian's ``package`` when this is root, else the test is skipped.
    """
    from tests.servers.programs import find_program

    return find_program


@pytest.fixture(scope="session")
def shared() -> Iterator[ExitStack]:
    """What lives until this worker's last test: servers entered here are left behind by no test."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="session")
def redis_server(
    request: pytest.FixtureRequest, shared: ExitStack, tmp_path_factory: pytest.TempPathFactory
) -> Redis:
    """One Redis for all tests of this worker, which keeps nothing on the disk: each test has a prefix of its own."""
    from tests.servers.redis import Redis

    return _share(request, shared, Redis(tmp_path_factory.mktemp("redis")))


@pytest.fixture(scope="session")
def zookeeper_server(
    request: pytest.FixtureRequest, shared: ExitStack, tmp_path_factory: pytest.TempPathFactory
) -> ZooKeeper:
    """One ZooKeeper for all tests of this worker: each test has a root of its own."""
    from tests.servers.zookeeper import ZooKeeper

    return _share(request, shared, ZooKeeper(tmp_path_factory.mktemp("zookeeper")))


def _share(request: pytest.FixtureRequest, shared: ExitStack, server: S) -> S:
    request.config.stash.setdefault(SERVERS, []).append(server)
    shared.enter_context(server)
    return server
