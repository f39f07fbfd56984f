"""Checks of losses: a cut connection, a store that stops answering, and how a subscription goes on after them."""

from __future__ import annotations

import time
from collections.abc import Callable

from datasync_core.model.entries import Cursor, Put
from datasync_core.model.errors import ConnectionLost, CursorExpired, StoreError
from datasync_core.testing.conformance.rules import Rule, holds, raises, require
from datasync_core.testing.conformance.site import Site, doc


class LossChecks:
    """Part of `TransportConformance`."""

    liveness: float

    @holds(Rule.CONTINUITY)
    def test_a_lost_connection_ends_the_subscription(self, site: Site) -> None:
        outside = site.outside
        if outside.lose is None or outside.back is None:
            return
        site.fill({"a": doc(1), "b": doc(1)})
        copy = site.copy().read()
        copy.poll(0.0)
        outside.lose()
        outside.back()
        site.put("a", doc(2))
        site.delete("b")
        error = copy.until_lost(site.patience, "the connection was cut and can be made again")
        require(isinstance(error, ConnectionLost), f"the connection was cut, and poll raised {error!r}")
        site.copy().read().check()

    @holds(Rule.ERRORS)
    def test_errors_are_the_spi_s_and_tell_no_password(self, site: Site) -> None:
        outside = site.outside
        if outside.lose is None or outside.back is None:
            return
        outside.lose()
        try:
            self._is_lost(site, "a snapshot", lambda: site.copy().read())
            writer = site.writer()
            if writer is not None:
                self._is_lost(site, "commit", lambda: site.write(writer, Put("a", doc(1))))
        finally:
            outside.back()

    @holds(Rule.LIVENESS)
    def test_a_store_that_stops_answering_is_noticed(self, site: Site) -> None:
        outside = site.outside
        if outside.stop is None or outside.go is None:
            return
        site.transport.liveness = self.liveness
        seconds = self.liveness + site.patience / 4
        site.put("a", doc(1))
        copy, unread = site.copy().read(), site.copy()
        copy.poll(0.0)
        outside.stop()
        try:
            what = f"the store has stopped answering (liveness {self.liveness:g} s)"
            error = site.within(seconds + 1, lambda: copy.until_lost(seconds, what), "poll")
            require(isinstance(error, ConnectionLost), f"{what}, and poll raised {error!r}")
            site.within(seconds, lambda: self._is_lost(site, "a snapshot", unread.read), "a snapshot")
        finally:
            outside.go()
        site.copy().read().check()

    @holds(Rule.CURSOR)
    def test_what_happened_while_disconnected_is_told_afterwards(self, site: Site) -> None:
        site.fill({name: doc(1) for name in ("same", "other", "gone", "kept")})
        before = site.copy().read()
        cursor = before.cursor
        before.subscription.close()
        for name in ("same", "other", "gone"):
            site.delete(name)
        site.put("same", doc(1))
        site.put("other", doc(2))
        site.put("made", doc(1))
        after = site.copy()
        if site.can.resumable:
            after.resume(before, cursor)
        else:
            after.read()
        after.follow()
        if site.can.revisions:
            key = site.prefix + "same"
            require(
                after.entries[key].revision > before.entries[key].revision,
                f"{key} was deleted and made anew while disconnected, and its revision is the one before",
            )

    @holds(Rule.CURSOR)
    def test_a_cursor_is_not_ahead_of_what_was_handed_out(self, site: Site) -> None:
        if not site.can.resumable:
            return
        before = site.copy().read()
        site.put("a", doc(1))
        before.follow()
        site.put("b", doc(1))  # is in the store, and was not handed out
        cursor = before.cursor
        before.subscription.close()
        after = site.copy()
        after.resume(before, cursor)
        after.follow()

    @holds(Rule.CAPABILITIES)
    def test_a_cursor_is_there_where_resumable_is_declared_and_only_there(self, site: Site) -> None:
        copy = site.copy()
        require(copy.cursor is None, "there is a cursor before anything was read")
        cursor = copy.read().cursor
        if site.can.resumable:
            require(cursor is not None, "resumable is declared, but there is no cursor after a snapshot")
        else:
            require(
                cursor is None, "resumable is not declared, but there is a cursor; declare it, or give none"
            )
            self._expires(site, Cursor("", ""), "resumable is not declared, but resume took a cursor")

    @holds(Rule.EPOCH)
    def test_a_cursor_of_another_history_expires(self, site: Site) -> None:
        if not site.can.resumable:
            return
        site.put("a", doc(1))
        copy = site.copy().read()
        cursor = copy.cursor
        require(cursor is not None, "resumable is declared, but there is no cursor after a snapshot")
        assert cursor is not None
        self._expires(
            site, Cursor("another", cursor.position), "resume took a cursor whose epoch is not this store's"
        )
        self._expires(site, Cursor(cursor.epoch, "?"), "resume took a cursor whose position is no position")

    def _expires(self, site: Site, cursor: Cursor, what: str) -> None:
        copy = site.copy()
        expired = raises(CursorExpired, lambda: copy.subscription.resume(cursor), "resume")
        require(expired, f"{what}; raise CursorExpired")

    def _is_lost(self, site: Site, what: str, call: Callable[[], object]) -> None:
        began = time.monotonic()
        try:
            call()
        except StoreError as error:
            lost = isinstance(error, ConnectionLost)
            require(lost, f"{what} of a store that cannot be reached raised {error!r}, not ConnectionLost")
            password = site.transport.url.password
            require(not password or password not in str(error), f"the error of {what} tells the password")
        except Exception as error:
            require(False, f"{what} of a store that cannot be reached raised {error!r}, not ConnectionLost")
        else:
            took = time.monotonic() - began
            require(False, f"{what} of a store that cannot be reached raised nothing in {took:.1f} s")
