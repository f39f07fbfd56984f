"""What a plugin is given to speak to its host (`spec.context.Context`), on one dispatcher."""

from __future__ import annotations

import logging
from collections.abc import Callable

from datasync_core.dispatch.dispatcher import Dispatcher
from datasync_core.model.errors import UsageError, cut, said
from datasync_core.model.faults import Fault, FaultKind
from datasync_core.spec.context import Context, Publisher

log = logging.getLogger("datasync")


def make_context(
    name: str,
    dispatcher: Dispatcher,
    publisher: Callable[..., Publisher],
    *,
    policy: str = "resync",
    restart: Callable[[], None] = lambda: None,
) -> Context:
    """The context of the plugin ``name``; ``restart`` is called where a fault's policy is ``restart``."""

    def report_fault(error: BaseException | str) -> None:
        if dispatcher.is_telling():
            raise UsageError("on_fault cannot report a fault: it would be told of that one, too")
        cause = error if isinstance(error, BaseException) else None
        text = f"{name}: reported: {cut(str(error)) if cause is None else said(cause)}"
        dispatcher.report(Fault(FaultKind.REPORTED, text, plugin=name, cause=cause))
        if policy == "resync":
            dispatcher.wish(name, "fault")
        elif policy == "restart":
            restart()

    def request_resync(reason: str) -> None:
        log.info("%s: asks for a resync: %s", name, cut(str(reason)), extra={"plugin": name})
        dispatcher.wish(name, "request")

    logger = logging.getLogger(f"datasync.plugins.{name}")
    return Context(name, logger, publisher, report_fault, request_resync)
