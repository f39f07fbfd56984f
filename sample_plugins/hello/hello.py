"""hello: greet everybody under `hello/`."""

from datasync_core import Event, Watch, hookimpl

PEOPLE = Watch("hello/", str)
watches = [PEOPLE]


@hookimpl
def on_resync(event: Event) -> None:
    """Greet all who are there."""
    greet(event)


@hookimpl
def on_change(event: Event) -> None:
    """Greet who came, and say goodbye to who left."""
    greet(event)


def greet(event: Event) -> None:
    """Say what became of each name; flushed, so that a pipe has it at once."""
    for change in event.changes(PEOPLE):
        if change.deleted:
            print(f"goodbye, {change.name}", flush=True)
        else:
            print(f"hello, {change.name}: {change.value}", flush=True)
