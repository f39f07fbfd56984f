"""Where a host keeps its state: a folder of its own below the state directory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from datasync_core.config.settings import DEFAULT, Origin, Settings

_LONGEST = 120  # a file system takes 255 bytes for a name, and the socket in it wants a short path


def state_folder(settings: Settings, environ: Mapping[str, str]) -> Path:
    """The folder of this host; it may not be there yet."""
    base, _ = state_base(settings.host.state_dir, settings.folder, environ)
    return base / folder_name(settings.host.name)


def state_base(state_dir: Path | None, folder: Path, environ: Mapping[str, str]) -> tuple[Path, Origin]:
    """The state directory: ``[host] state_dir``, else systemd's, else ``.datasync/`` in ``folder``."""
    if state_dir is not None:
        return state_dir, DEFAULT
    first = environ.get("STATE_DIRECTORY", "").split(":")[0]
    if first:
        return folder / first, Origin("environment", "STATE_DIRECTORY")
    return folder / ".datasync", DEFAULT


def folder_name(host: str) -> str:
    """A host's name as the name of a folder; different names give different folders."""
    name = quote(host, safe=" ")
    if not name.strip("."):
        name = name.replace(".", "%2E")
    if len(name) > _LONGEST:
        name = f"{name[: _LONGEST - 17]}-{hashlib.sha256(host.encode()).hexdigest()[:16]}"
    return name
