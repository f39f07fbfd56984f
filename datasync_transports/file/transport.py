"""The transport: options, and who may write."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from datasync_core.transport import (
    Capabilities,
    Misconfigured,
    Subscription,
    Transport,
    Unsupported,
    Url,
    Writer,
)
from datasync_transports.file.documents import MAX_DOCUMENT
from datasync_transports.file.mirror import Linked
from datasync_transports.file.subscription import FileSubscription
from datasync_transports.file.writer import KEY_BYTES, FileWriter


class FileTransport(Transport):
    """A directory of this machine; any thread may use it, and anybody may edit its documents.

    ``interval``: seconds between two looks where there are no events. ``watch``: use events where watchfiles is
    installed; ``watch=false`` suits file systems that have none, as networks' do. ``write``: let the host write.
    ``max_document``: bytes of a document, and of the JSON that it stands for, at most.
    """

    capabilities = Capabilities(key_bytes=KEY_BYTES)

    def __init__(
        self,
        url: Url,
        *,
        interval: float = 0.5,
        watch: bool = True,
        write: bool = False,
        max_document: int = MAX_DOCUMENT,
    ) -> None:
        super().__init__(url)
        if url.hosts:
            raise Misconfigured(f"{url} names a server; write file:FOLDER or file:///etc/FOLDER")
        if not url.path:
            raise Misconfigured(f"{url} names no directory; write file:FOLDER, or file:. for this one")
        if not 0 < interval <= threading.TIMEOUT_MAX:
            raise Misconfigured(f"{url}: interval is a number of seconds above 0, got {interval:g}")
        if max_document < 1:
            raise Misconfigured(f"{url}: max_document is a number of bytes above 0, got {max_document}")
        self._root = url.file().absolute()
        self._interval = interval
        self._watch = watch
        self._write = write
        self._max_document = max_document
        self._linked: Linked = {}  # each subscription's thread puts whole values into it

    def subscribe(self, paths: Sequence[str]) -> Subscription:
        return FileSubscription(
            self._root,
            paths,
            interval=self._interval,
            watch=self._watch,
            max_document=self._max_document,
            liveness=self.liveness,
            linked=self._linked,
        )

    def writer(self) -> Writer:
        if not self._write:
            raise Unsupported(
                f"{self.url} is read-only; edit the files, or add the option write=1 to its URL"
            )
        return FileWriter(self._root, self._max_document)
