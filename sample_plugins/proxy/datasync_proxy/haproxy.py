"""haproxy: the frontends under `frontends/NAME`, with the pools of `backends`, in a running HAProxy."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path

from attrs import define, field, frozen

from datasync_core import Context, Event, Retry, Watch, hookimpl
from datasync_proxy.admission import admitted
from datasync_proxy.files import swap
from datasync_proxy.program import Program, word

HEAD = """\
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
"""


@frozen
class Frontend:
    """The value of a key: where HAProxy listens, and the pool that serves it."""

    bind: str
    pool: str


FRONTENDS = Watch("frontends/", Frontend)
POOLS = Watch("backends/", bytes)  # what they say is in the file of `backends`; here they say when to read it


@define
class Haproxy:
    """Keeps ``config`` equal to the keys that HAProxy takes, and has the master of ``pid_file`` read it.

    ``backends`` is the file of the plugin `backends`; ``template`` has the sections to begin with. HAProxy is never
    started here; without ``pid_file`` it is never told either.
    """

    config: Path = Path("haproxy.cfg")
    backends: Path = Path("backends.cfg")
    template: Path | None = None
    pid_file: Path | None = None
    haproxy: str = "haproxy"
    _program: Program = field(factory=Program, init=False)
    _loaded: str | None = field(default=None, init=False, repr=False)

    watches = [FRONTENDS, POOLS]
    requires = ["backends"]

    @hookimpl
    def on_start(self, context: Context) -> None:
        """Find the program that checks."""
        self._program = Program.find(self.haproxy, context)

    @hookimpl
    def on_resync(self, event: Event) -> None:
        """Write all frontends that HAProxy takes, and let it load them."""
        head = HEAD if self.template is None else self.template.read_text()
        pools = self.backends.read_text()

        def check(frontends: Mapping[str, Frontend]) -> None:
            self._program.check(configuration(head, frontends, pools))

        frontends = admitted(event, FRONTENDS, check)
        text = configuration(head, frontends, pools)
        if event.reason in ("fault", "request"):
            self._loaded = None  # whoever asks for all of it may have changed the file, or HAProxy
        if text != self._loaded:
            swap(self.config, text)
            if self.pid_file is not None:
                reload(self.pid_file)
            self._loaded = text  # not before: a host that is killed, or fails, in between does it all again


def configuration(head: str, frontends: Mapping[str, Frontend], pools: str) -> str:
    """The configuration; raises `Refused` for what HAProxy would misread. A pool without servers answers 503."""
    sections = [
        f"\nfrontend {word(name)}\n    bind {word(frontend.bind)}\n    default_backend {word(frontend.pool)}\n"
        for name, frontend in sorted(frontends.items())
    ]
    known = [*head.splitlines(), *pools.splitlines()]
    named = sorted({f"backend {frontend.pool}" for frontend in frontends.values()})
    empty = [f"\n{section}\n" for section in named if section not in known]
    return "".join([head, *sections, pools, *empty])


def reload(pid_file: Path) -> None:
    """Have the master read its configuration again; `Retry` where none runs, for it may just be starting."""
    try:
        pid = int(pid_file.read_text())
        name = Path(f"/proc/{pid}/comm").read_text()
    except (OSError, ValueError):
        pid, name = 0, ""
    if not name.startswith("haproxy"):  # a pid that another program has by now: the signal would end it
        raise Retry(
            f"no HAProxy runs under the pid in {pid_file}: start it with haproxy -W -p {pid_file}", delay=5
        )
    os.kill(pid, signal.SIGUSR2)
