"""``watch``: print changes as they come, over lost connections.

The same parts as in a host do the work: a reflector on its thread, an inbox, a replica; here the main thread prints
what differs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from datasync_core.cli.exits import Exit
from datasync_core.cli.opening import opened
from datasync_core.cli.options import config_options, json_option, store_option
from datasync_core.cli.session import echo, print_json, say
from datasync_core.cli.values import as_fields, as_line
from datasync_core.model.keys import check_path

if TYPE_CHECKING:
    from datasync_core.model.faults import Fault
    from datasync_core.sync.replica import Replica
    from datasync_core.sync.store import Store
    from datasync_core.transport import Entry

LOOK = 1.0
"""Seconds between looks at whether the store refuses us; changes and losses ring."""


@click.command("watch")
@click.argument("path", default="")
@click.option("--only-changes", is_flag=True, help="Leave out what is there already.")
@store_option
@json_option
@config_options
def watch_command(
    path: str, only_changes: bool, store: str | None, as_json: bool, config: Path | None
) -> int:
    """Print what is there, then changes as they come, until Ctrl-C.

    PATH is a subtree when it ends in a slash (routes/), else one key; without it, everything. A lost connection is
    said on stderr, and made up for; of several changes of a key in a moment only the last may show.
    """
    check_path(path)
    with opened(config, store) as source:
        try:
            for key, old, new in _changes(source, path, only_changes):
                _print(key, old, new, as_json)
        except KeyboardInterrupt:
            pass
    return Exit.FINE


def _changes(store: Store, path: str, only_changes: bool) -> Iterator[tuple[str, Entry | None, Entry | None]]:
    """Key, entry before, entry now. Raises the store's error where it refuses us."""
    from datasync_core.model.runtime import RealRuntime
    from datasync_core.sync.backoff import Backoff
    from datasync_core.sync.inbox import Inbox
    from datasync_core.sync.reflector import Reflector
    from datasync_core.sync.replica import Replica

    runtime = RealRuntime()
    doorbell = runtime.doorbell()
    faults: deque[Fault] = deque()

    def report(fault: Fault) -> None:  # on the reflector's thread
        faults.append(fault)
        doorbell.ring()

    inbox = Inbox(runtime, doorbell)
    reflector = Reflector(store, [path], inbox, runtime, report, Backoff(0.5, 60.0, runtime.random))
    replica = Replica([path], counts=not store.capabilities.revisions)
    reflector.start()
    try:
        while True:
            doorbell.wait(LOOK)
            while faults:
                say(faults.popleft().text)
            if reflector.health.refused and reflector.health.error is not None:
                raise reflector.health.error
            for segment in inbox.take():
                synced = replica.synced
                replica.settle()
                replica.apply([segment])
                if synced:
                    yield from _delta(replica)
                elif replica.synced and not only_changes:
                    yield from _everything(replica)
    finally:
        reflector.stop()
        reflector.join()


def _everything(replica: Replica) -> Iterator[tuple[str, Entry | None, Entry | None]]:
    for shelf in replica.shelves.all.values():
        yield from ((key, None, entry) for key, entry in sorted(shelf.entries.items()))


def _delta(replica: Replica) -> Iterator[tuple[str, Entry | None, Entry | None]]:
    for shelf in replica.touched:
        for key, old in {**shelf.renewed, **shelf.delta}.items():
            new = shelf.entries.get(key)
            if old is not None or new is not None:
                yield key, old, new


def _print(key: str, old: Entry | None, new: Entry | None, as_json: bool) -> None:
    kind = "DELETE" if new is None else "CREATE" if old is None else "UPDATE"
    if as_json:
        fields: dict[str, object] = {"key": key, "kind": kind}
        if new is not None:
            fields |= {"error": new.error} if new.error is not None else as_fields(new.value)
            fields["revision"] = new.revision
        print_json(fields)
    elif new is None:
        echo(f"{kind} {key}")
    else:
        what = f": {new.error}" if new.error is not None else f" {as_line(new.value)}"
        echo(f"{kind} {key}{what}")
