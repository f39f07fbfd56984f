"""``sqlite:PATH``: the embedded store, one file in WAL mode, shared between processes.

Every commit takes the next revision and leaves a random mark beside it (`schema`). A subscription is a place
in that history, ``revision:mark``: where its commit is still there with its mark, nothing was missed and
nothing was replaced by a backup, and what has a later revision is what changed. Deleted keys stay as rows
without a value for ``retention`` seconds (an hour; at most 100,000 commits), so that subscriptions learn of
them.

Nothing runs in the background: time to live is served by whoever polls or writes, purging by writers. A
waiting subscription looks at ``PRAGMA data_version`` a hundred times a second. A key that another program wrote
and that is not UTF-8 text is an `Entry` with an error, under a name that no other key has (`key_name`).
"""

from datasync_transports.sqlite.transport import SqliteTransport

__all__ = ["SqliteTransport"]
