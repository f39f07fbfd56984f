"""What the harness does to plugins, and what it shows of that."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import define, frozen

from datasync_core import Context, Event, Reject, Watch, hookimpl
from datasync_core.model.errors import PluginError, StoreError, UsageError
from datasync_core.testing import Harness, Told


@frozen
class Route:
    via: str
    metric: int = 100


ROUTES = Watch("routes/", Route)


@define
class Routes:
    """Fails for a gateway called ``broken``, sets ``late`` aside, rejects ``never``."""

    table: int = 1
    watches = [ROUTES]
    started: Context | None = None
    stopped: int = 0

    @hookimpl
    def on_start(self, context: Context) -> None:
        self.started = context

    @hookimpl
    def on_resync(self, event: Event) -> None:
        self.apply(event)

    @hookimpl
    def on_change(self, event: Event) -> None:
        self.apply(event)

    @hookimpl
    def on_stop(self) -> None:
        self.stopped += 1

    def apply(self, event: Event) -> None:
        for change in event.changes(ROUTES):
            via = None if change.deleted else change.value.via
            if via == "broken":
                raise ValueError("no such gateway")
            with change:
                if via == "late":
                    raise ValueError("not yet")
                if via == "never":
                    raise Reject("never")


class Mirror:
    """Publishes what it is told into another store; requires the routes."""

    watches = [Watch("routes/", bytes)]
    requires = ["routes"]

    @hookimpl
    def on_start(self, context: Context) -> None:
        self.publisher = context.publisher("copy")

    @hookimpl
    def on_resync(self, event: Event) -> None:
        for key, value in event.values.items():
            assert isinstance(key, str), "it watches one store"
            self.publisher.put(key, value)


def changes(harness: Harness) -> list[Any]:
    return [change for call in harness.calls for change in call.changes]


def test_put_and_delete_are_told_at_once() -> None:
    """Values are decoded, and each change carries what was applied before."""
    harness = Harness(routes=Routes())
    harness.put("routes/a", {"via": "eth0"})
    harness.put("routes/a", b'{"via": "eth1"}')
    harness.put("other", "not watched")
    harness.delete("routes/a")
    assert [(call.hook, call.reason) for call in harness.calls] == [
        ("on_resync", "startup"),
        *[("on_change", "change")] * 3,
    ]
    assert changes(harness) == [
        ("CREATE", "routes/a", Route("eth0"), None),
        ("UPDATE", "routes/a", Route("eth1"), Route("eth0")),
        ("DELETE", "routes/a", None, Route("eth1")),
    ]


def test_a_change_has_parts_by_name_and_reads_well() -> None:
    harness = Harness(routes=Routes())
    harness.put("routes/a", {"via": "eth0"})
    harness.put("routes/a", {"via": "eth1"})
    harness.delete("routes/a")
    created, updated, deleted = changes(harness)
    assert isinstance(updated, Told)
    assert (updated.kind, updated.key, updated.value.via, updated.previous.via) == (
        "UPDATE",
        "routes/a",
        "eth1",
        "eth0",
    )
    assert str(created) == "CREATE routes/a Route(via='eth0', metric=100)"
    assert str(deleted) == "DELETE routes/a (was Route(via='eth1', metric=100))"


def test_a_commit_is_one_call_and_none_deletes() -> None:
    harness = Harness(routes=Routes())
    harness.put("routes/a", {"via": "eth0"})
    harness.commit({"routes/a": None, "routes/b": {"via": "eth1"}})
    assert harness.calls[-1].changes == [
        ("DELETE", "routes/a", None, Route("eth0")),
        ("CREATE", "routes/b", Route("eth1"), None),
    ]
    assert harness.values("routes") == {"routes/b": Route("eth1")}


def test_clear_removes_all_without_a_delete_for_each() -> None:
    harness = Harness(routes=Routes())
    harness.put("routes/a", {"via": "eth0"})
    harness.clear()
    assert harness.values("routes") == {}
    assert harness.stored() == {}


def test_what_is_written_while_a_store_is_lost_is_told_when_it_is_back() -> None:
    harness = Harness(routes=Routes())
    harness.lose()
    harness.put("routes/a", {"via": "eth0"})
    assert len(harness.calls) == 1
    assert harness.stored() == {"routes/a": b'{"via":"eth0"}'}
    harness.back()
    assert (harness.calls[-1].hook, harness.calls[-1].reason) == ("on_resync", "reconnect")
    harness.lose()
    harness.put("routes/a", {"via": "eth1"})
    harness.back(resume=True)
    assert harness.calls[-1].hook == "on_change"
    assert harness.values("routes") == {"routes/a": Route("eth1")}


def test_a_fault_brings_a_resync_to_whom_it_concerns() -> None:
    harness = Harness(stores=("main", "copy"), routes=Routes(), mirror=Mirror())
    before = len(harness.calls)
    harness.fault("mirror")
    assert [(call.plugin, call.reason) for call in harness.calls[before:]] == [("mirror", "fault")]
    harness.fault("routes")
    assert [(call.plugin, call.reason) for call in harness.calls[before + 1 :]] == [
        ("routes", "fault"),
        ("mirror", "fault"),
    ]


def test_a_resync_may_be_asked_for_one_plugin_or_for_all() -> None:
    harness = Harness(stores=("main", "copy"), routes=Routes(), mirror=Mirror())
    before = len(harness.calls)
    harness.resync("mirror")
    assert [(call.plugin, call.reason) for call in harness.calls[before:]] == [("mirror", "request")]
    harness.resync()
    assert [call.plugin for call in harness.calls[before + 1 :]] == ["routes", "mirror"]


def test_advance_lets_retries_and_times_to_live_come_in_their_time() -> None:
    harness = Harness(routes=Routes())
    harness.put("routes/a", {"via": "late"})
    assert not harness.in_sync()
    tried = len(harness.calls)
    harness.advance(5)
    assert len(harness.calls) > tried
    harness.put("routes/a", {"via": "eth0"}, ttl=10.0)
    assert harness.in_sync()
    harness.advance(9.9)
    assert set(harness.values("routes")) == {"routes/a"}
    harness.advance(0.2)
    assert harness.values("routes") == {}
    assert harness.runtime.monotonic() == pytest.approx(15.1)


def test_state_and_faults_say_what_broke_and_why() -> None:
    harness = Harness(routes=Routes())
    assert (harness.state("routes").state, harness.state("routes").reason) == ("in_sync", "startup")
    harness.put("routes/a", {"via": "broken"})
    assert harness.state("routes").state == "retrying"
    assert "no such gateway" in harness.state("routes").reason
    assert any("no such gateway" in fault for fault in harness.faults())
    assert isinstance(harness.calls[-1].error, ValueError)
    assert harness.values("routes") == {}, "what it failed on does not count"
    harness.put("routes/a", {"via": "eth0"})
    harness.advance(100)
    assert harness.state("routes").state == "in_sync"


def test_a_rejected_key_is_not_told_again_until_it_changes() -> None:
    harness = Harness(routes=Routes())
    harness.put("routes/a", {"via": "never"})
    told = len(harness.calls)
    harness.advance(1000)
    assert len(harness.calls) == told
    harness.put("routes/a", {"via": "eth0"})
    assert harness.calls[-1].changes == [("CREATE", "routes/a", Route("eth0"), None)]


def test_release_lets_go_what_the_brake_holds() -> None:
    harness = Harness(routes=Routes(), brake=(0.5, 2))
    harness.commit({f"routes/{i}": {"via": "eth0"} for i in range(4)})
    harness.clear()
    assert harness.state("routes").state == "held"
    assert len(harness.values("routes")) == 4
    harness.release("routes")
    assert harness.values("routes") == {}
    assert harness.state("routes").state == "in_sync"


def test_paused_lets_a_first_resync_find_what_was_put_before() -> None:
    class Late:
        watches = [ROUTES]

        @hookimpl
        def on_resync(self, event: Event) -> None:
            pass

    harness = Harness(late=Late, paused=True)
    assert repr(harness).splitlines()[1] == "  no calls so far"
    harness.put("routes/a", {"via": "eth0"})
    assert [(call.hook, call.changes) for call in harness.calls] == [
        ("on_resync", [("CREATE", "routes/a", Route("eth0"), None)])
    ]


def test_stop_calls_on_stop_once_and_nothing_comes_after_it() -> None:
    plugin = Routes()
    harness = Harness(routes=plugin)
    harness.stop()
    harness.stop()
    assert plugin.stopped == 1
    assert harness.state("routes").state == "stopped"
    harness.put("routes/a", {"via": "eth0"})
    assert changes(harness) == []


def test_config_is_converted_for_classes_and_refused_as_a_host_would() -> None:
    seen: list[Routes] = []

    class Noting(Routes):
        @hookimpl
        def on_start(self, context: Context) -> None:
            seen.append(self)

    Harness(routes=Noting, config={"routes": {"table": 7}})
    assert [plugin.table for plugin in seen] == [7]
    with pytest.raises(PluginError, match="table"):
        Harness(routes=Routes, config={"routes": {"table": "many"}})
    with pytest.raises(PluginError, match="unknown setting 'tabel'"):
        Harness(routes=Routes, config={"routes": {"tabel": 7}})


def test_several_stores_are_written_lost_and_read_each_by_its_name() -> None:
    class Both:
        main, aux = Watch("a/", str), Watch("a/", str, store="aux")
        watches = [main, aux]

        @hookimpl
        def on_resync(self, event: Event) -> None:
            pass

    harness = Harness(stores=("main", "aux"), both=Both())
    harness.lose(store="aux")
    harness.put("a/1", "of main")
    harness.put("a/2", "of aux", store="aux")
    assert harness.values("both") == {("main", "a/1"): "of main"}
    harness.back(store="aux")
    assert harness.values("both") == {("main", "a/1"): "of main", ("aux", "a/2"): "of aux"}
    harness.commit({"a/3": "of aux"}, store="aux")
    harness.delete("a/2", store="aux")
    assert harness.stored("aux") == {"a/3": b"of aux"}
    harness.clear(store="aux")
    assert harness.values("both") == {("main", "a/1"): "of main"}


def test_what_plugins_publish_is_stored() -> None:
    harness = Harness(stores=("main", "copy"), routes=Routes(), mirror=Mirror())
    harness.put("routes/a", {"via": "eth0"})
    assert harness.stored("copy") == {"routes/a": b'{"via":"eth0"}'}


def test_a_plugin_asks_for_a_resync_and_reports_faults_by_its_context() -> None:
    plugin = Routes()
    harness = Harness(routes=plugin)
    assert plugin.started is not None
    plugin.started.request_resync("because")
    harness.settle()
    assert harness.calls[-1].reason == "request"
    plugin.started.report_fault("the table was flushed")
    harness.advance(100)
    assert harness.calls[-1].reason == "fault"
    assert harness.faults() == ["routes: reported: the table was flushed"]


def test_calls_of_one_plugin_are_found_among_those_of_all() -> None:
    harness = Harness(stores=("main", "copy"), routes=Routes(), mirror=Mirror())
    harness.put("routes/a", {"via": "eth0"})
    assert [call.plugin for call in harness.calls] == ["routes", "mirror"] * 2
    assert harness.calls_of("mirror") == [harness.calls[1], harness.calls[3]]


def test_repr_shows_the_calls_one_a_line_and_the_states() -> None:
    harness = Harness(routes=Routes())
    harness.put("routes/a", {"via": "eth0"})
    harness.put("routes/b", {"via": "broken"})
    lines = repr(harness).splitlines()
    assert lines[0] == "<Harness"
    assert lines[1].endswith("routes.on_resync (startup): nothing changed")
    assert lines[2].endswith("routes.on_change (change): CREATE routes/a Route(via='eth0', metric=100)")
    assert lines[3].endswith("CREATE routes/b Route(via='broken', metric=100) -> ValueError: no such gateway")
    assert lines[4].startswith("  routes: retrying: ")
    assert lines[5:] == [">"]


def test_who_is_not_there_is_named_with_who_is() -> None:
    harness = Harness(routes=Routes())
    for use in (
        harness.state,
        harness.fault,
        harness.resync,
        harness.release,
        harness.values,
        harness.calls_of,
    ):
        with pytest.raises(PluginError, match=r"^there is no plugin route here \(there is routes\)$"):
            use("route")
    for write in (harness.lose, harness.back, harness.clear):
        with pytest.raises(
            StoreError, match=r"^there is no store aux \(there is main\): name it in stores=$"
        ):
            write(store="aux")
    with pytest.raises(StoreError, match="there is no store aux"):
        harness.put("a", "b", store="aux")
    with pytest.raises(StoreError, match="there is no store copy"):
        Harness(routes=Routes(), mirror=Mirror()).stored("copy")
    with pytest.raises(UsageError, match="starts or ends with a slash"):
        harness.put("/a", "b")


def test_what_a_host_would_refuse_is_refused() -> None:
    class Wrong:
        def on_chang(self, event: Event) -> None:
            pass

    with pytest.raises(PluginError):
        Harness(wrong=Wrong())
    far = type("Far", (Routes,), {"watches": [Watch("a/", store="aux")]})
    with pytest.raises(PluginError, match="far watches the store aux: name it in stores="):
        Harness(far=far())


def test_undelivered_names_what_a_plugin_is_not_told_and_why() -> None:
    class Picky:
        WATCH = Watch("a/", str)
        watches = [WATCH]

        @hookimpl
        def on_resync(self, event: Event) -> None:
            if "bad" in event[self.WATCH]:
                event.reject("a/bad", "not like this")

    harness = Harness(picky=Picky())
    harness.put("a/bad", "x")
    harness.put("a/odd", b"\xff")
    assert harness.undelivered("picky") == {
        "a/bad": "not like this",
        "a/odd": "a/odd (revision 2): expected UTF-8 text, got byte 0xff at position 0",
    }
