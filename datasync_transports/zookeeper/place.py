"""Which ZooKeeper, as whom, and what keys are called there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from datasync_core.transport import Misconfigured, Unsupported, Url

PORT = 2181
RESERVED = "zookeeper"
"""The directory at the top of every ZooKeeper where it keeps its own things."""

_ILLEGAL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\ud800-\uf8ff\ufff0-\U0010ffff]"
)  # as PathUtils.validatePath has it


@dataclass
class Place:
    """What all sessions of one transport share. ``liveness`` follows the transport's."""

    url: Url
    hosts: tuple[tuple[str, int], ...]
    root: str
    """The chroot as a path; ``""`` for none."""
    sasl: str | None = None
    acl: str = "open"
    tls: bool = False
    verify: bool = True
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    key_password: str | None = field(default=None, repr=False)
    liveness: float = 10.0
    directories: set[str] = field(default_factory=set)
    """Nodes that had others below them when they were seen last."""

    def __str__(self) -> str:
        return str(self.url)

    def path(self, key: str) -> str:
        """The node of a key."""
        return f"{self.root}/{key}"

    def name(self, path: str) -> str:
        """The key of a node below the root."""
        return path[len(self.root) + 1 :]

    def check_key(self, key: str) -> None:
        """Raise `Unsupported` for a key that no node can have."""
        wrong = self.wrong(key)
        if wrong:
            raise Unsupported(f"{self}: no node is called {key!r}: {wrong}")

    def check_watched(self, path: str) -> None:
        """Raise `Misconfigured` for a path that no node can have."""
        wrong = self.wrong(path)
        if wrong:
            raise Misconfigured(f"{self}: nothing can lie under {path!r}: {wrong}")

    def wrong(self, key: str) -> str | None:
        """Why no node has this name, in words."""
        parts = key.split("/")
        if "" in parts:
            return "it has an empty part between slashes"
        if "." in parts or ".." in parts:
            return "a part is . or .."
        found = _ILLEGAL.search(key)
        if found:
            return f"ZooKeeper takes no {found[0]!r} (control characters, emoji, private use)"
        if not self.root and parts[0] == RESERVED:
            return f"/{RESERVED} is ZooKeeper's own"
        return None


def place_of(url: Url) -> Place:
    """Read a URL, without its options; raises `Misconfigured` for one that names no servers."""
    if not url.hosts and url.path[:1] not in ("", "/"):
        raise Misconfigured(f"{url.scheme}:{url.path} lacks its slashes; write {url.scheme}://{url.path}")
    if not url.hosts:
        raise Misconfigured(f"{url} names no server; write {url.scheme}://HOST:{PORT}/CHROOT")
    hosts = tuple((host.strip("[]") or "127.0.0.1", port or PORT) for host, port in url.hosts)
    place = Place(url, hosts, url.path.rstrip("/"))
    if place.root:
        wrong = Place(url, hosts, "").wrong(place.root[1:])
        if wrong:
            raise Misconfigured(f"{url}: no node is called {place.root}: {wrong}")
    return place
