"""A value that cannot be decoded is invalid alone: the last good one stays, and the rest flows."""

from __future__ import annotations

from attrs import frozen

from datasync_core import Event, Watch, hookimpl
from datasync_core.testing import Harness
from tests.dispatch.recording import Recording


@frozen
class Route:
    via: str
    metric: int = 100


def test_G8_an_invalid_value_is_invalid_alone() -> None:
    harness = Harness(p=Recording(type=Route))
    harness.commit({"a/1": {"via": "eth0"}, "a/2": {"via": "eth0", "metric": "x"}})
    assert harness.calls[-1].changes == [("CREATE", "a/1", Route("eth0"), None)]
    assert harness.faults() == ["p: a/2 (revision 1): expected int, got str at $.metric"]
    harness.put("a/2", {"via": "eth1"})
    assert harness.calls[-1].changes == [("CREATE", "a/2", Route("eth1"), None)]


def test_G8_the_last_good_value_stays_through_resyncs() -> None:
    harness = Harness(p=Recording(type=Route))
    harness.put("a/1", {"via": "eth0"})
    harness.put("a/1", "{")
    for _ in range(2):
        harness.lose()
        harness.back()
        assert harness.calls[-1].reason == "reconnect"
        assert harness.calls[-1].values == {"a/1": Route("eth0")}
        assert harness.calls[-1].changes == []
    assert len(harness.faults()) == 1
    harness.put("a/1", {"via": "eth0"})
    assert harness.calls[-1].reason == "reconnect", "it went back to what was applied"
    harness.put("a/1", {"via": "eth9"})
    assert harness.calls[-1].changes == [("UPDATE", "a/1", Route("eth9"), Route("eth0"))]


def test_G8_a_delete_of_an_invalid_key_is_a_delete() -> None:
    harness = Harness(p=Recording(type=Route))
    harness.put("a/1", {"via": "eth0"})
    harness.put("a/1", "{")
    harness.delete("a/1")
    assert harness.calls[-1].changes == [("DELETE", "a/1", None, Route("eth0"))]


def test_a_key_invalid_at_the_first_resync_is_deleted_when_it_goes() -> None:
    harness = Harness(p=Recording(type=Route), paused=True)
    harness.lose()
    harness.put("a/1", "{")
    harness.back()
    assert harness.calls[-1].changes == []
    harness.delete("a/1")
    assert harness.calls[-1].changes == [("DELETE", "a/1", None, None)]


def test_one_key_may_be_invalid_for_one_plugin_and_fine_for_another() -> None:
    harness = Harness(strict=Recording(type=Route), loose=Recording(type=bytes))
    harness.put("a/1", "{")
    assert [(call.plugin, call.changes) for call in harness.calls[2:]] == [
        ("loose", [("CREATE", "a/1", b"{", None)])
    ]


def test_event_invalid_names_the_key_and_no_diff_deletes_it() -> None:
    class Reads:
        WATCH = Watch("a/", Route)
        watches = [WATCH]

        @hookimpl
        def on_resync(self, event: Event) -> None:
            self.invalid = dict(event.invalid)
            installed = {"1": Route("eth0"), "stray": Route("eth5")}
            self.diff = [(change.kind, change.name) for change in event.changes(self.WATCH, actual=installed)]

        @hookimpl
        def on_change(self, event: Event) -> None: ...

    plugin = Reads()
    harness = Harness(p=plugin)
    harness.put("a/1", {"via": "eth0"})
    harness.put("a/1", "{")
    harness.lose()
    harness.back()
    assert list(plugin.invalid) == ["a/1"]
    assert "revision 2" in plugin.invalid["a/1"]
    assert plugin.diff == [("DELETE", "stray")]


def test_a_plugin_may_change_what_it_gets() -> None:
    class Vandal(Recording):
        @hookimpl
        def on_change(self, event: Event) -> None:
            for change in event.changes(self.watch):
                if not change.deleted:
                    change.value.append("spoilt")

    harness = Harness(first=Vandal(type=list[str]), second=Recording(type=list[str]))
    harness.put("a/1", ["x"])
    assert harness.calls[-1].changes == [("CREATE", "a/1", ["x"], None)]
    harness.put("a/1", ["y"])
    assert [call.changes for call in harness.calls if call.plugin == "second"][-1] == [
        ("UPDATE", "a/1", ["y"], ["x"])
    ]
    assert [call.changes for call in harness.calls if call.plugin == "first"][-1] == [
        ("UPDATE", "a/1", ["y"], ["x"])
    ]
