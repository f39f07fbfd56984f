"""``--version``: what is installed, from metadata alone; nothing of it is imported."""

from __future__ import annotations

from collections.abc import Iterator

from datasync_core.cli.session import PROGRAM


def versions() -> Iterator[str]:
    """A line for the host, then one for each transport and plugin with its distribution and version."""
    from datasync_core.plugins.discovery import GROUP_PLUGINS, GROUP_TRANSPORTS, discover

    transports = discover(GROUP_TRANSPORTS).found
    ours = [found.version for found in transports if found.distribution == PROGRAM]
    yield f"{PROGRAM} {ours[0] if ours else '(not installed)'}"
    for found in transports:
        yield f"transport {found.name} ({found.origin})"
    for found in discover(GROUP_PLUGINS).found:
        yield f"plugin {found.name} ({found.origin})"
