"""``--version``: what is installed, from metadata alone; nothing of it is imported."""

from __future__ import annotations

from collections.abc import Iterator

from datasync_core.cli.session import PROGRAM


def versions() -> Iterator[str]:
    """A line for the host, then one for each transport and plugin with its distribution and version."""
    from datasync_core.plugins.discovery import GROUP_PLUGINS, GROUP_TRANSPORTS, discover_all

    transports, plugins = discover_all(GROUP_TRANSPORTS, GROUP_PLUGINS)
    ours = [found.version for found in transports.found if found.distribution == PROGRAM]
    yield f"{PROGRAM} {ours[0] if ours else '(not installed)'}"
    for found in transports.found:
        yield f"transport {found.name} ({found.origin})"
    for found in plugins.found:
        yield f"plugin {found.name} ({found.origin})"
