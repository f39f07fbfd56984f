"""From names of changed keys to what is in them, so that no transaction is divided between two batches.

A transaction is seen half when some of its keys are read just after it while the others were not named yet. So
what was read goes out only if nothing that was named since belongs to it: if all of that lies among the keys of the
last read, or none among all that is to go out. Else everything is read again, with the names that came. Under a
writer that ties new keys to old ones without a pause this takes some turns; after ``PATIENCE`` seconds and ``TURNS``
what there is goes out as it is.
"""

from __future__ import annotations

import time

from datasync_transports.redis.reading import Change, Reader
from datasync_transports.redis.wire import Wire

PATIENCE = 1.0
"""Seconds until changes go out though one transaction may be divided; one writer at full speed took 0.15 at most."""

TURNS = 8
"""Turns until then: on a slow link, or after a long backlog, a second is over before anything was read twice."""


def settle(wire: Wire, reader: Reader, *, after_all: bool = False) -> dict[bytes, Change] | None:
    """What is in the keys that the wire has heard of, at one moment; names that came since stay with the wire.

    ``after_all``: all other keys were read before and go out with these. None where a database was emptied meanwhile.
    """
    deadline = time.monotonic() + PATIENCE
    turns = 0
    read: dict[bytes, Change] = {}
    dirty = wire.take()
    if after_all and not dirty:
        wire.call("PING")  # what was named until the last key was read has been heard by then
        dirty = wire.take()
    while dirty:
        turns += 1
        while len(dirty) > reader.at_once:  # too many for one moment: it is the last part's that counts
            read.update(reader.read([dirty.pop() for _ in range(reader.at_once)]))
            if time.monotonic() < deadline:
                dirty |= wire.take()
        late = turns >= TURNS and time.monotonic() >= deadline
        together = read.keys() | dirty
        if len(together) > reader.at_once:
            together = dirty
        read.update(reader.read(list(together)))
        if wire.flushed:
            return None
        named = wire.dirty
        if late or named <= together or not (after_all or named & read.keys()):
            return read
        dirty = wire.take()
    return None if wire.flushed else read
