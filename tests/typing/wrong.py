"""A plugin that is wrong in every line with ``# E:``, which is followed by a part of what mypy says there.

pyright reports an error there, too, but where it says ``# E (mypy):``.
"""

from __future__ import annotations

from attrs import frozen

from datasync_core import Change, Context, Event, Host, Kind, Reject, Watch, hookimpl
from datasync_core import Wath  # E: has no attribute "Wath"


@frozen
class Route:
    via: str
    metric: int = 100


def from_text(text: str) -> int:
    return int(text)


ROUTES = Watch("routes/", Route)
NAMES = Watch("names/", str)
NO_TYPE = Watch("routes/", 3)  # E: No overload variant of "Watch" matches
NO_PATH = Watch(Route)  # E: No overload variant of "Watch" matches
NOT_FROM_BYTES = Watch("ports/", codec=from_text)  # E: "codec" to "Watch" has incompatible type
TWO_TYPES = Watch("ports/", str, codec=int.from_bytes)  # E (mypy): "codec" to "Watch" has incompatible type
OTHER: Watch[int] = Watch("names/", str)  # E: Argument 2 to "Watch" has incompatible type "type[str]"
watches = [ROUTES, NAMES]


@hookimpl
def on_start(context: Context) -> None:
    context.report_fault(3)  # E: has incompatible type "int"; expected "BaseException | str"
    context.request_resync()  # E: Too few arguments
    context.publish("state/ready", b"yes")  # E: "Context" has no attribute "publish"
    context.publisher().put("state/ready", 3)  # E: incompatible type "int"; expected "bytes | str"
    context.name = "other"  # E: Property "name" defined in "Context" is read-only


@hookimpl
def on_resync(event: Event) -> None:
    event["routes/"]  # E: Invalid index type "str" for "Event"; expected type "Watch[Never]"
    event[ROUTES]["default"].gateway  # E: "Route" has no attribute "gateway"
    event[ROUTES]["default"] = Route("10.0.0.1")  # E: Unsupported target for indexed assignment
    number: int = event[NAMES]["ada"]  # E: expression has type "str", variable has type "int"
    for change in event.changes(ROUTES, actual=[Route("10.0.0.1")]):  # E: "actual" to "changes" of "Event"
        apply(change)
    for name in event.changes(NAMES):
        apply(name)  # E: Argument 1 to "apply" has incompatible type


@hookimpl
def on_change(event: Event) -> None:
    for change in event.changes(ROUTES):
        change.value.metric  # E: Item "None" of "Route | None" has no attribute "metric"
        change.previous.metric  # E: Item "None" of "Route | None" has no attribute "metric"
        if change.kind is not Kind.DELETE:
            change.value.gateway  # E: "Route" has no attribute "gateway"
        event.retry(change, "not yet", delay="soon")  # E: incompatible type "str"; expected "float | None"
        event.reject(change)  # E: Missing positional argument "reason"
        change.deleted = True  # E: Cannot assign to class variable "deleted" via instance
    for change in event.changes(NAMES):  # E (mypy): Incompatible types in assignment
        pass
    if event.first:
        raise Reject(3)  # E: Argument 1 to "Reject" has incompatible type "int"


def apply(change: Change[Route]) -> str:
    if not change.deleted:
        return change.value  # E: Incompatible return value type (got "Route", expected "str")
    return change.previous.via  # E: Item "None" of "Route | None" has no attribute "via"


def embed() -> None:
    Host(stores=3)  # E: "stores" to "Host" has incompatible type "int"
