"""directory: each file below a folder is a key, its path; the file's bytes are the value."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from stat import S_ISREG

from datasync_core.transport import Capabilities, ConnectionLost, ListingTransport, Url


class DirectoryTransport(ListingTransport):
    """``directory:PATH?suffix=.txt``: with ``suffix`` only such files are keys, called without it. Read-only."""

    capabilities = Capabilities(raw=True, key_bytes=255)  # what one file name holds

    def __init__(self, url: Url, *, suffix: str = "", interval: float | None = None) -> None:
        super().__init__(url, interval=interval)
        self.suffix = suffix

    def read(self) -> Mapping[str, bytes]:
        root = self.url.file()
        before = root.stat()
        found: dict[str, bytes] = {}
        for folder, _, names in os.walk(root, onerror=_fail):
            for file in (Path(folder, name) for name in names if name.endswith(self.suffix)):
                key = file.relative_to(root).as_posix().removesuffix(self.suffix)
                try:
                    if S_ISREG(file.stat().st_mode):
                        found[key] = file.read_bytes()
                except FileNotFoundError:
                    continue  # deleted since it was listed
        if not os.path.samestat(root.stat(), before):
            raise ConnectionLost(f"{self.url} was replaced by another folder while it was read")
        return found


def _fail(error: OSError) -> None:
    raise error  # os.walk would pass over what it cannot list, and its keys would count as deleted
