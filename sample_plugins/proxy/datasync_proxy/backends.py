"""backends: the servers under `backends/POOL/NAME`, written as the `backend` sections of a HAProxy configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import define, field, frozen

from datasync_core import Context, Event, Watch, hookimpl
from datasync_proxy.admission import admitted
from datasync_proxy.files import swap
from datasync_proxy.program import Program, Refused, word


@frozen
class Server:
    """The value of a key: where a server listens, and its share of the traffic."""

    host: str
    port: int
    weight: int = 100


SERVERS = Watch("backends/", Server)


@define
class Backends:
    """Keeps ``file`` equal to the servers that HAProxy takes; it is a part for `haproxy` to include.

    It has no `on_change`: the file is written whole, and before `haproxy` is called, deletes too.
    """

    file: Path = Path("backends.cfg")
    haproxy: str = "haproxy"
    _program: Program = field(factory=Program, init=False)

    watches = [SERVERS]

    @hookimpl
    def on_start(self, context: Context) -> None:
        """Find the program that checks."""
        self._program = Program.find(self.haproxy, context)

    @hookimpl
    def on_resync(self, event: Event) -> None:
        """Write all servers that HAProxy takes."""

        def check(servers: Mapping[str, Server]) -> None:
            self._program.check(sections(servers))

        servers = admitted(event, SERVERS, check)
        swap(self.file, sections(servers))


def sections(servers: Mapping[str, Server]) -> str:
    """A section for each pool, always in the same order; raises `Refused` for what HAProxy would misread."""
    pools: dict[str, list[str]] = {}
    for key, server in sorted(servers.items()):
        pool, slash, name = key.partition("/")
        if not slash:
            raise Refused("a server's key has two parts below backends/: backends/POOL/NAME")
        line = f"    server {word(name)} {word(server.host)}:{server.port} weight {server.weight} check\n"
        pools.setdefault(word(pool), []).append(line)
    return "".join(f"\nbackend {pool}\n{''.join(lines)}" for pool, lines in pools.items())
