"""``file:DIR``: a directory of JSON, YAML or TOML documents, as it is kept in git or mounted by Kubernetes.

A document's key is its path below the directory, without its suffix; its value is its content as compact JSON.
A look (`mirror`) lists the directory (`tree`), waits until it is quiet, reads what has another signature
(`documents`) and lists again, so that what belongs together arrives together. Where watchfiles is installed its
events (`events`) say when to look; they say no more, so a lost one costs seconds and no change. Else the
directory is looked at every ``interval`` seconds.
"""

from datasync_transports.file.transport import FileTransport

__all__ = ["FileTransport"]
