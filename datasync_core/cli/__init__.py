"""The command ``datasync-host``: one module a command group; each imports what it needs when it runs."""

from __future__ import annotations

from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    from datasync_core.cli.signals import guard

    guard()
    from datasync_core.cli.root import execute

    execute()
