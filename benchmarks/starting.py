"""How long commands take to begin: W10 what only looks, among 500 distributions, and ``run`` up to its first hook.

Each measurement is a process of its own: the processor's seconds of what ends, the clock's up to a hook's word.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.sides import Goal, Measuring, Result

DISTRIBUTIONS, PLUGINS = 500, 50
PATIENCE = 120.0
HEADER = "".join(f"Classifier: Topic :: Number {number}\n" for number in range(40))
DESCRIPTION = "What a package says about itself, at length.\n" * 120
PLUGIN = """
import os
from datasync_core import Watch, hookimpl

WATCH = Watch("{name}/", bytes)
watches = [WATCH]

@hookimpl
def on_resync(event):
    if "FIRST_HOOK" in os.environ:
        os.write(int(os.environ["FIRST_HOOK"]), b"x")
"""
IMPORTS = "import pluggy, importlib_metadata, click"
WALK = f"""{IMPORTS}
for distribution in importlib_metadata.distributions():
    distribution.metadata["Name"]
"""
OURS = f"""{IMPORTS}
for distribution in importlib_metadata.distributions():
    if "[datasync." in (distribution.read_text("entry_points.txt") or ""):
        distribution.metadata["Name"]
"""
TRANSPORTS = """
import sys
from datasync_core.cli import main
try:
    main()
finally:
    loaded = [name for name in sys.modules if name.startswith("datasync_transports")]
    assert not loaded, loaded
"""


@contextmanager
def site(distributions: int, plugins: int) -> Iterator[Path]:
    """A folder with so many installed distributions, the first of which are plugins."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "site"
        folder.mkdir()
        for number in range(distributions):
            metadata = folder / f"acme_{number:03}-1.0.dist-info"
            metadata.mkdir()
            text = f"Metadata-Version: 2.1\nName: acme-{number:03}\nVersion: 1.0\n{HEADER}\n{DESCRIPTION}"
            (metadata / "METADATA").write_text(text)
            points = f"[console_scripts]\nacme-{number:03} = acme_{number:03}:main\n"
            if number < plugins:
                points += f"\n[datasync.plugins]\nacme{number:03} = acme_{number:03}\n"
                (folder / f"acme_{number:03}.py").write_text(PLUGIN.format(name=f"acme{number:03}"))
            (metadata / "entry_points.txt").write_text(points)
        yield folder


def process(folder: Path, *arguments: str) -> float:
    """Seconds of the processor that a Python process takes, from its start to its end."""
    command, before = [sys.executable, *arguments], _of_children()
    subprocess.run(
        command, cwd=folder.parent, env=_environment(folder), check=True, stdout=subprocess.DEVNULL
    )
    return _of_children() - before


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def first_hook(folder: Path) -> float:
    """Seconds from the start of ``datasync-host run`` to its first hook."""
    heard, said = os.pipe()
    environment = {**_environment(folder), "FIRST_HOOK": str(said)}
    command = [sys.executable, "-m", "datasync_core", "run", "--quiet"]
    began = time.perf_counter()
    with subprocess.Popen(command, cwd=folder.parent, env=environment, pass_fds=[said]) as host:
        try:
            os.close(said)
            ready, _, _ = select.select([heard], [], [], PATIENCE)
            seconds = time.perf_counter() - began
            assert ready, f"no hook was called within {PATIENCE} s"
            assert os.read(heard, 1) == b"x", "the host ended before its first hook"
        finally:
            host.send_signal(signal.SIGTERM)
            host.wait(PATIENCE)
            os.close(heard)
    return seconds


def _environment(folder: Path) -> dict[str, str]:
    """That of an installation: with what is imported compiled, in a folder of its own."""
    ours = ("DATASYNC_", "PYTHONDONTWRITEBYTECODE")
    said = {name: text for name, text in os.environ.items() if not name.startswith(ours)}
    return {**said, "PYTHONPATH": str(folder), "PYTHONPYCACHEPREFIX": str(folder.parent / "compiled")}


def imports(folder: Path) -> float:
    """Seconds of the least that such a host imports."""
    command = [sys.executable, "-c", "import pluggy, attrs"]
    began = time.perf_counter()
    subprocess.run(command, cwd=folder.parent, env=_environment(folder), check=True)
    return time.perf_counter() - began


def w10(measuring: Measuring) -> list[Result]:
    """What only looks."""
    with site(DISTRIBUTIONS, PLUGINS) as folder:
        process(folder, "-c", WALK)  # what is compiled once is compiled here
        for command in ("plugins", "--version"):
            process(folder, "-c", TRANSPORTS, command)
        results = []
        for command, code, against in (
            ("plugins", WALK, f"{IMPORTS}; one walk over the distributions and the names read"),
            (
                "--version",
                OURS,
                f"{IMPORTS}; one walk and the names of those that have entry points of ours read",
            ),
        ):
            sides = measuring.best(
                "W10",
                lambda command=command: process(folder, "-m", "datasync_core", command),  # type: ignore[misc]
                lambda code=code: process(folder, "-c", code),  # type: ignore[misc]
            )
            what = f"datasync-host {command} among {DISTRIBUTIONS} distributions, {PLUGINS} of them plugins"
            results.append(Result("W10", what, against, *sides, "s", Goal(1.3)))
    return results


def start(measuring: Measuring) -> list[Result]:
    """The host up to its first hook."""
    results = []
    counts: Sequence[int] = (1, 50) if measuring.short else (1, 50, 500)
    for plugins in counts:
        with site(plugins, plugins) as folder:
            first_hook(folder)
            sides = measuring.best(
                "start",
                lambda folder=folder: first_hook(folder),  # type: ignore[misc]
                lambda folder=folder: imports(folder),  # type: ignore[misc]
            )
        what = f"datasync-host run up to the first hook, {plugins} plugins"
        results.append(Result("start", what, "python -c 'import pluggy, attrs'", *sides, "s"))
    return results
