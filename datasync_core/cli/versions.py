"""``--version``: what is installed, from metadata alone; nothing of it is imported."""

from __future__ import annotations

from collections.abc import Iterator

from datasync_core.cli.session import PROGRAM


def versions() -> Iterator[str]:
    """A line for the host, then one for each transport and plugin with its distribution and version."""
    from importlib.metadata import PackageNotFoundError, version

    from datasync_core.plugins.discovery import GROUP_PLUGINS, GROUP_TRANSPORTS, discover

    try:
        yield f"{PROGRAM} {version(PROGRAM)}"
    except PackageNotFoundError:
        yield f"{PROGRAM} (not installed)"
    for kind, group in (("transport", GROUP_TRANSPORTS), ("plugin", GROUP_PLUGINS)):
        for found in discover(group).found:
            yield f"{kind} {found.name} ({found.origin})"
