"""What holds for every test: nothing is left behind, nothing is skipped in CI, one hash seed is told.

`program` finds the programs that tests drive: on PATH, else from Debian's packages where that is allowed.
`redis_server` and `zookeeper_server` are real ones (`tests/servers`), begun when a test first asks.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.packages import Packages
    from tests.servers.redis import Redis
    from tests.servers.server import Server
    from tests.servers.zookeeper import ZooKeeper

S = TypeVar("S", bound="Server")
SERVERS = pytest.StashKey["list[Server]"]()
"""Servers that all tests of a worker share: not left behind by the test that began or restarted one."""

GRACE = 60.0
"""Seconds that threads and processes have to end after a test; a test that cleans up uses none of them."""

# No deadline, no complaint of slowness: cores are shared with other tests. No database: a failure is repeated by the
# seed it prints.
settings.register_profile(
    "datasync", deadline=None, database=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("datasync")


QUICK = "not (slow or server or install or property)"
"""What ``pytest`` runs where no file, no ``-m`` and no ``--all`` says otherwise."""

SERVER_FIXTURES = {"redis_server", "zookeeper_server", "newest_zookeeper"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--all``."""
    parser.addoption("--all", action="store_true", help="run slow, server, install and property tests, too")


def pytest_configure(config: pytest.Config) -> None:
    """Leave out what takes long, unless it was asked for: by name, by ``-m`` or by ``--all``.

    What was started in the background of a shell ignores Ctrl-C, and what tests start would inherit that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    named = config.args_source is pytest.Config.ArgsSource.ARGS
    if not (named or config.option.markexpr or config.getoption("--all")):
        config.option.markexpr = QUICK


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what Hypothesis draws for, and what uses shared servers or packages."""
    for item in items:
        if item.get_closest_marker("hypothesis") is not None:
            item.add_marker("property")
        if SERVER_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("server")
        if "packages" in getattr(item, "fixturenames", ()):
            item.add_marker("install")


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
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """Wheels and installed samples, made once for all workers of this run."""
    from tests.packages import Packages

    folder = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        folder = folder.parent
    return Packages(folder / "packages")


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
