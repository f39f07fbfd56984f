"""Replacing a file at once: whoever opens it reads the old text or the new one, also after a power cut."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def swap(path: Path, text: str) -> None:
    """Make ``text`` the content of ``path``, which keeps its permissions; raises OSError and leaves it as it was."""
    new = path.with_name(f".{path.name}.new")
    with new.open("w") as file:
        if path.exists():
            shutil.copymode(path, new)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
