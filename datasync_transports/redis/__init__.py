"""``redis:``, ``rediss:`` and ``redis+unix:``: one database of a Redis or Valkey server, followed without a gap.

A subscription has one connection of its own (`wire`), on which the server tells the names of all keys that change
below the watched prefixes: ``CLIENT TRACKING ON BCAST``, RESP3's invalidation messages. Tracking is switched on
before anything is read; then ``SCAN`` and ``MGET`` (`reading`); then what was named meanwhile is read again until
nothing that belongs together is divided (`settling`). A flush is named, too: everything is read anew, since
messages do not say which database was flushed. There is nothing to resume from: a lost connection is followed by
a snapshot. Strings are values; a hash is a JSON object of its fields; other types are entries with an error.
"""

from datasync_transports.redis.transport import RedisTransport

__all__ = ["RedisTransport"]
