"""``run --trace-hooks``: a line before and after each delivery, by a wrapper like those that plugins bring."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator

from datasync_core.model.errors import said
from datasync_core.spec.event import Event
from datasync_core.spec.hooks import hookimpl

log = logging.getLogger("datasync.trace")


class HookTrace:
    """The outermost wrapper: what it sees is what decides success. The dispatcher's thread calls it."""

    @hookimpl(wrapper=True)
    def on_resync(self, event: Event) -> Generator[None, object, object]:
        return (yield from _traced("on_resync", event))

    @hookimpl(wrapper=True)
    def on_change(self, event: Event) -> Generator[None, object, object]:
        return (yield from _traced("on_change", event))


def _traced(hook: str, event: Event) -> Generator[None, object, object]:
    what = f"trace: {event.plugin}.{hook}, round {event.round}, {event.reason}"
    place = {"plugin": event.plugin}
    log.info("%s: begins", what, extra=place)
    begun = time.perf_counter()
    try:
        result = yield
    except BaseException as error:
        log.info("%s: raised %s after %.1f ms", what, said(error), _since(begun), extra=place)
        raise
    log.info("%s: returned after %.1f ms", what, _since(begun), extra=place)
    return result


def _since(begun: float) -> float:
    return (time.perf_counter() - begun) * 1000
