"""``zookeeper://HOST,HOST,HOST/CHROOT``: a ZooKeeper from 3.6 on.

A key is a node's path below the chroot. A node with data is an entry, one without is a directory. Revisions are
mzxids. A subscription is one session that is never connected again: persistent recursive watches name nodes, and
`MultiRead` reads what they have become. kazoo (its session, its authentication, its TLS) runs it; what kazoo lacks is
in `requests`.

`place` is where and as whom, `session` and `handler` the line to a server, `nodes` and `reading` what its answers
hold, `watching` which nodes and keys are meant, `subscription` the reading side; `writer` and `multi` the writing one,
with `lives` for entries that end with the host; `failures` says what went wrong.
"""

from datasync_transports.zookeeper.transport import ZookeeperTransport

__all__ = ["ZookeeperTransport"]
