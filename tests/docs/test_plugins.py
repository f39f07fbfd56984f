"""docs/plugins.md is true: each snippet does what the text says, each table has what the code has."""

from __future__ import annotations

import inspect
import re
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

import datasync_core
from datasync_core import Change, Context, Event, Fault, Host, Publisher, Watch
from datasync_core.config import Settings, load_settings
from datasync_core.dispatch.states import StateName
from datasync_core.model.changes import DeleteChange, PutChange
from datasync_core.model.faults import FaultKind
from datasync_core.plugins.files import load_file
from datasync_core.plugins.loading import Source, make_plugin
from datasync_core.spec.hooks import Hooks
from datasync_core.testing import Harness
from tests.docs.conftest import Snippets, snippet_names
from tests.documents import ROOT, rows, texts

PAGE = "plugins.md"
TEXT = (ROOT / "docs" / PAGE).read_text()


def column(heading: str, number: int = 0) -> list[str]:
    return [row[number] for row in rows(TEXT, heading)]


def public(cls: type) -> set[str]:
    return {name for name in vars(cls) if not name.startswith("_")}


# Snippets


def test_every_snippet_has_a_test_here() -> None:
    source = Path(__file__).read_text()
    unused = [name for name in snippet_names(PAGE) if f'snippet(PAGE, "{name}")' not in source]
    assert unused == []
    assert all(snippet_names(PAGE)), "a Python snippet without a name is not run"


def test_routes_heals_its_table_and_follows_changes(snippet: Snippets) -> None:
    routes = snippet(PAGE, "routes.py")
    routes.table["stray"] = routes.Route("eth9")
    harness = Harness(routes=routes)
    assert routes.table == {}
    harness.put("routes/10.0.0.0", {"via": "eth0"})
    assert routes.table == {"10.0.0.0": routes.Route("eth0", 100)}
    harness.delete("routes/10.0.0.0")
    assert routes.table == {}


def test_a_resync_with_actual_deletes_what_is_no_longer_stored(snippet: Snippets) -> None:
    """Deletes from the table what was deleted from the store while the host was down."""
    routes = snippet(PAGE, "routes.py")
    routes.table.update(gone=routes.Route("eth0"), right=routes.Route("eth1"))
    harness = Harness(routes=routes, paused=True)
    harness.put("routes/right", {"via": "eth1"})
    assert routes.table == {"right": routes.Route("eth1")}


def settings_of(name: str, folder: Path) -> Settings:
    (folder / "datasync.toml").write_text("\n".join(texts(TEXT, f"toml {name}")))
    return load_settings(cwd=folder, environ={})


def test_a_class_gets_its_configuration_converted(
    snippet: Snippets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge = snippet(PAGE, "edge.py")
    monkeypatch.chdir(tmp_path)
    settings = settings_of("edge.toml", tmp_path)
    with Host("memory:", {"proxy": edge.Proxy}, settings=settings) as host:
        host.publisher().put("peers/a", "10.0.0.1")
        assert host.wait(60)
    assert (tmp_path / "peers.txt").read_text() == "9090 a 10.0.0.1\n"


def test_a_wrong_configuration_fails_the_plugin_alone_and_names_its_place(
    snippet: Snippets, tmp_path: Path
) -> None:
    edge = snippet(PAGE, "edge.py")
    (tmp_path / "datasync.toml").write_text('[plugins.proxy.config]\nfile = "x"\nport = "no number"\n')
    host = Host("memory:", {"proxy": edge.Proxy}, settings=load_settings(cwd=tmp_path, environ={}))
    host.load()
    assert host.plugins == ()
    assert "port" in str(host.problems[0])
    assert "datasync.toml" in str(host.problems[0])


def test_two_instances_of_a_class_follow_two_stores(
    snippet: Snippets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge = snippet(PAGE, "edge.py")
    monkeypatch.chdir(tmp_path)
    settings = settings_of("instances.toml", tmp_path)
    with Host(plugins={"proxy": edge.Proxy}, settings=settings) as host:
        assert [plugin.name for plugin in host.plugins] == ["core", "edge"]
        host.publisher("inside").put("peers/a", "10.0.0.1")
        host.publisher("outside").put("peers/b", "10.0.0.2")
        assert host.wait(60)
    assert (tmp_path / "core.txt").read_text() == "9090 a 10.0.0.1\n"
    assert (tmp_path / "edge.txt").read_text() == "8080 b 10.0.0.2\n"


def test_objects_are_told_apart_by_identity() -> None:
    class Same:
        __hash__ = None  # type: ignore[assignment]
        requires = ["nobody"]

        def __eq__(self, other: object) -> bool:
            return True

    harness = Harness(a=Same(), b=Same())
    assert harness.state("a").state == harness.state("b").state == "waiting"


def test_values_are_read_by_their_types_and_a_wrong_one_is_invalid_alone(snippet: Snippets) -> None:
    values = snippet(PAGE, "values.py")
    harness = Harness(values=values)
    harness.commit({"ports/web": {"number": 80}, "limits": {"cpu": 2}, "lines/a": "x\ny"})
    harness.put("ports/web", {"number": "80"})
    harness.put("ports/far", {"number": 65536})
    harness.put("limits", {"cpu": 3})
    assert values.seen["ports"] == {"web": 80}
    assert values.seen["limits"] == {"cpu": 3}
    assert values.seen["lines"] == {"a": ["x", "y"]}
    assert set(values.seen["invalid"]) == {"ports/web", "ports/far"}
    said = "ports/web (revision 2): expected int, got str at $.number"
    assert said in TEXT
    assert values.seen["invalid"]["ports/web"].endswith(said)


def test_the_hooks_come_in_the_order_of_the_table(snippet: Snippets) -> None:
    lifecycle = snippet(PAGE, "lifecycle.py")
    harness = Harness(lifecycle=lifecycle)
    harness.put("session/1", 1)
    harness.put("session/1", b"no JSON")
    harness.stop()
    assert lifecycle.said == [
        "start lifecycle",
        "resync startup",
        "change ['session/1']",
        "fault value invalid",
        "stop",
    ]


def test_failures_are_tried_again_or_given_up_on_as_the_table_says(snippet: Snippets) -> None:
    failures = snippet(PAGE, "failures.py")
    harness = Harness(failures=failures)
    harness.commit({"addresses/a": "10.0.0.1", "addresses/b": "taken", "addresses/c": "nonsense"})
    assert failures.applied == {"a": "10.0.0.1"}
    calls = len(harness.calls)
    harness.advance(3)
    again = harness.calls[calls:]
    assert again
    assert {change.key for call in again for change in call.changes} == {"addresses/b"}
    harness.commit({"addresses/b": "10.0.0.2", "addresses/c": "10.0.0.3"})
    assert failures.applied == {"a": "10.0.0.1", "b": "10.0.0.2", "c": "10.0.0.3"}
    failures.system["up"] = False
    harness.put("addresses/d", "10.0.0.4")
    failures.system["up"] = True
    harness.advance(1.9)
    assert "d" not in failures.applied
    assert harness.state("failures").state == "retrying"
    harness.advance(0.2)
    assert failures.applied["d"] == "10.0.0.4"


def test_an_interface_comes_before_its_address_and_goes_after_it(snippet: Snippets) -> None:
    addresses, interfaces = snippet(PAGE, "addresses.py"), snippet(PAGE, "interfaces.py")
    order = interfaces.order
    harness = Harness(addresses=addresses, interfaces=interfaces)
    harness.commit({"addresses/1": "x", "interfaces/eth0": "up"} | {"interfaces/eth1": 1})
    del order[:]
    harness.commit({"interfaces/eth0": 0, "addresses/1": 1, "interfaces/eth1": 0, "addresses/2": 2})
    harness.commit(dict.fromkeys(["interfaces/eth0", "addresses/1"]))
    assert [line for line in order if "DELETE" in line] == ["DELETE addresses/1", "DELETE interfaces/eth0"]
    assert order.index("CREATE addresses/2") > order.index("CREATE interfaces/eth0")


def test_a_client_is_there_for_those_that_require_who_makes_it(snippet: Snippets) -> None:
    dialer, switches, link = (
        snippet(PAGE, "dialer.py"),
        snippet(PAGE, "switches.py"),
        snippet(PAGE, "link.py"),
    )
    config = {"dialer": {"address": "10.0.0.9"}}
    harness = Harness(switches=switches, dialer=dialer.Dialer, config=config)
    harness.put("switches/hall", "on")
    (client,) = link.clients
    assert (client.address, client.sent) == ("10.0.0.9", ["hall on"])
    harness.delete("switches/hall")
    harness.stop()
    assert client.sent == ["hall on", "hall off", "closed"]
    assert link.clients == []


def test_those_that_require_a_client_wait_while_it_cannot_be_made(
    snippet: Snippets, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialer, switches, link = (
        snippet(PAGE, "dialer.py"),
        snippet(PAGE, "switches.py"),
        snippet(PAGE, "link.py"),
    )

    def away(address: str) -> None:
        raise OSError(f"{address} does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(link, "Client", away)
        harness = Harness(switches=switches, dialer=dialer.Dialer())
        harness.put("switches/hall", "on")
        assert harness.state("switches").state == "waiting"
    harness.advance(2)
    assert [client.sent for client in link.clients] == [["hall on"]]


def test_a_file_that_another_one_imports_is_a_second_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what both import from a third file there is one."""
    for name, text in {"maker_f": "import third_f", "user_f": "import maker_f, third_f"}.items():
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "third_f.py").write_text("")
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    try:
        maker, user = (load_file(tmp_path / f"{name}_f.py") for name in ("maker", "user"))
        assert user.maker_f is not maker
        assert user.third_f is maker.third_f
    finally:
        for name in set(sys.modules) - before:
            del sys.modules[name]


def test_what_is_published_is_in_the_store(snippet: Snippets) -> None:
    publishing = snippet(PAGE, "publishing.py")
    harness = Harness(publishing=publishing)
    harness.put("requests/1", "what")
    assert b"WHAT" in str(harness.stored()["answers/1"]).encode()
    harness.delete("requests/1")
    assert "answers/1" not in harness.stored()


def test_after_a_reported_fault_the_device_is_right_again(snippet: Snippets) -> None:
    device = snippet(PAGE, "device.py")
    harness = Harness(device=device)
    harness.put("lamps/hall", "on")
    device.restarted()
    harness.settle()
    assert device.device == {"hall": "on"}
    assert harness.calls[-1].reason == "fault"
    assert harness.calls[-1].changes == [("CREATE", "lamps/hall", "on", None)]


def test_a_wrapper_sees_the_delivery_of_every_plugin(snippet: Snippets) -> None:
    timing, routes = snippet(PAGE, "timing.py"), snippet(PAGE, "routes.py")
    harness = Harness(timing=timing, routes=routes)
    harness.put("routes/a", {"via": "x"})
    assert [(plugin, reason) for plugin, reason, _ in timing.took] == [
        ("routes", "startup"),
        ("routes", "change"),
    ]


# Tables


def test_every_attribute_is_documented() -> None:
    from datasync_core.plugins.validation import ATTRIBUTES

    assert column("attribute") == list(ATTRIBUTES)
    assert [row[1] for row in rows(TEXT, "attribute")] == ["[]", "[]", "[]", "False"]


def test_names_are_those_of_the_table() -> None:
    table = rows(TEXT, "path")
    assert [row[0] for row in table] == ["routes/", "routes/eu/10.0.0.0", "*empty*"]
    for path, _, name in table:
        watch = Watch("" if path == "*empty*" else path, str)
        plugin = Recording(watch)
        Harness(plugin=plugin).put("routes/eu/10.0.0.0", "x")
        assert plugin.names == [name]


def test_values_are_what_the_table_of_types_says() -> None:
    assert [row[0] for row in rows(TEXT, "type")][:3] == ["none, or `Any`", "str", "bytes"]
    for watch, value in (
        (Watch("a"), {"x": 1}),
        (Watch("a", str), '{"x":1}'),
        (Watch("a", bytes), b'{"x":1}'),
    ):
        plugin = Recording(watch)
        Harness(plugin=plugin).put("a", {"x": 1})
        assert plugin.values == [value]


class Recording:
    """Notes the names and values of its last resync."""

    names: list[str]
    values: list[object]

    def __init__(self, watch: Watch[Any]) -> None:
        self.watches = [watch]

    @datasync_core.hookimpl
    def on_resync(self, event: Event) -> None:
        self.names, self.values = list(event[self.watches[0]]), list(event[self.watches[0]].values())


def test_every_hook_is_documented_with_its_signature() -> None:
    hooks = {
        f"{name}({', '.join(list(inspect.signature(hook).parameters)[1:])})"
        for name, hook in vars(Hooks).items()
        if not name.startswith("_")
    }
    assert set(column("hook")) == hooks
    assert len(column("hook")) == len(hooks)


def test_every_member_of_an_event_is_documented() -> None:
    inner = {"live", "expire", "handed"}  # for the parts of an event, and for the dispatcher
    members = {
        name for name in public(Event) | set(vars(Event)["__slots__"]) if not name.startswith("_")
    } - inner
    documented = {re.split(r"\W", member.removeprefix("event.").strip())[0] for member in EVENT_ROWS}
    assert documented - {"event", "for"} == members
    assert {"event[WATCH]", "for change in event"} <= set(EVENT_ROWS)
    for name in ("reject", "retry"):
        parameters = inspect.signature(getattr(Event, name)).parameters.values()
        shown = ", ".join(
            one.name if one.default is one.empty else f"{one.name}={one.default}" for one in parameters
        )
        assert f"event.{shown.replace('self, ', f'{name}(')})" in EVENT_ROWS


MEMBERS = re.findall(r"^\| member \|.*\n\|[-|]+\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
EVENT_ROWS, CHANGE_ROWS, CONTEXT_ROWS = (
    [line.split("|")[1].strip().strip("`") for line in table.splitlines()] for table in MEMBERS
)


def test_every_member_of_a_change_is_documented() -> None:
    members = (public(PutChange) | public(DeleteChange) | {"key", "name", "revision"}) - {"source"}
    assert {row.removeprefix("change.") for row in CHANGE_ROWS} == members | {"with change:"}


def test_every_member_of_the_context_is_documented() -> None:
    documented = {re.split(r"\W", row.removeprefix("context."))[0] for row in CONTEXT_ROWS}
    assert documented == {field.name for field in attrs.fields(Context)}


def test_every_method_of_a_publisher_is_documented() -> None:
    documented = {row.partition("(")[0]: row for row in column("method")}
    assert set(documented) == public(Publisher) - {"_is_protocol"}
    for name, row in documented.items():
        shown = [
            f"{one.name}=None" if one.default is None else one.name
            for one in inspect.signature(getattr(Publisher, name)).parameters.values()
        ]
        assert row == f"{name}({', '.join(shown[1:])})"


def test_every_reason_is_documented() -> None:
    source = inspect.getsource(Event)
    said = re.search(r'"""Why: (.*)\."""', source)
    assert said is not None
    assert column("reason") == said[1].replace(" or ", ", ").split(", ")


def test_every_state_kind_and_policy_is_documented() -> None:
    from datasync_core.config import SETTINGS

    assert column("state") == [str(state) for state in StateName]
    assert column("kind") == [str(kind) for kind in FaultKind]
    policy = next(setting for setting in SETTINGS if setting.name == "host.fault_policy")
    assert column("policy") == re.findall(r'"(\w+)"', policy.kind.expected)
    assert all(f"`fault.{field.name}`" in TEXT for field in attrs.fields(Fault))


def test_every_public_name_is_documented() -> None:
    assert column("name") == sorted(datasync_core.__all__)


# Refused at load

START = "import functools\nfrom datasync_core import Watch, hookimpl\n"
GOOD = f'{START}watches = [Watch("routes/")]\n@hookimpl\ndef on_resync(event): ...\n'
MISTAKES = {
    "a hook without `@hookimpl`": GOOD.replace("@hookimpl\n", ""),
    "a misspelt hook": GOOD + "def on_chnage(event): ...",
    "`@hookimpl` on another name": GOOD + "@hookimpl\ndef greet(event): ...",
    "an async hook": GOOD + "@hookimpl\nasync def on_change(event): ...",
    "a generator that is no wrapper": GOOD + "@hookimpl\ndef on_change(event):\n    yield",
    "a wrapper without a `yield`": GOOD + "@hookimpl(wrapper=True)\ndef on_change(event): ...",
    "a wrapper of another hook": GOOD + "@hookimpl(wrapper=True)\ndef on_stop():\n    yield",
    "`tryfirst` or `trylast`": GOOD + "@hookimpl(tryfirst=True)\ndef on_change(event): ...",
    "hookwrapper": GOOD + "@hookimpl(hookwrapper=True)\ndef on_change(event):\n    yield",
    "optionalhook": GOOD + "@hookimpl(optionalhook=True)\ndef on_change(event): ...",
    "`specname`, but on a wrapper": GOOD + "@hookimpl(specname='on_stop')\ndef leave(): ...",
    "a parameter with a default": GOOD + "@hookimpl\ndef on_change(event=None): ...",
    "*args": GOOD + "@hookimpl\ndef on_change(*args): ...",
    "an unknown parameter": GOOD + "@hookimpl\ndef on_change(keys): ...",
    "a `partial`": GOOD + "def f(a, event): ...\non_change = hookimpl(functools.partial(f, 1))",
    "a hook imported from elsewhere": GOOD
    + "@hookimpl\ndef on_change(event): ...\non_change.__module__ = 'posixpath'",
    "`on_resync` without `watches`": f"{START}@hookimpl\ndef on_resync(event): ...",
    "`on_change` without `on_resync`": GOOD.replace("on_resync", "on_change"),
    "`watches` without `on_resync`": f'{START}watches = [Watch("a/")]',
    "`watches` as text": GOOD.replace('[Watch("routes/")]', '"routes/"'),
    "`requires` as text": GOOD + 'requires = "interfaces"',
    "a misspelt attribute": GOOD + 'require = ["interfaces"]',
    "one path twice": GOOD.replace(")]", '), Watch("routes/")]'),
    "a type that cannot be read into": GOOD.replace('"routes/"', '"routes/", complex'),
}
IN_A_CLASS = "`watches` annotated in an attrs class"


def refused(thing: object) -> str:
    made = make_plugin("mine", Source("mine", lambda: thing, "acme"), thing, {})
    assert isinstance(made, tuple), "it was not refused"
    return made[0].text


def test_every_mistake_of_the_table_is_tested() -> None:
    assert {row[0] for row in rows(TEXT, "mistake")} == {*MISTAKES, IN_A_CLASS}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_refused_as_the_table_says(mistake: str, tmp_path: Path) -> None:
    said = {row[0]: row[1] for row in rows(TEXT, "mistake")}[mistake]
    module = types.ModuleType("mine")
    module.__file__ = str(tmp_path / "mine.py")
    (tmp_path / "mine.py").write_text(MISTAKES[mistake])
    exec(compile(MISTAKES[mistake], module.__file__, "exec"), vars(module))
    assert said in refused(module)


def test_an_annotated_attribute_is_refused_as_the_table_says() -> None:
    @attrs.define
    class Mine:
        watches: tuple[Watch[str], ...] = ()

    assert {row[0]: row[1] for row in rows(TEXT, "mistake")}[IN_A_CLASS] in refused(Mine)


# Claims of the text that no snippet shows


def test_hooks_run_on_one_thread_and_an_event_kept_expires(
    snippet: Snippets, monkeypatch: pytest.MonkeyPatch
) -> None:
    routes = snippet(PAGE, "routes.py")
    threads: set[threading.Thread] = set()
    kept: list[Event] = []

    @datasync_core.hookimpl
    def on_resync(event: Event) -> None:
        threads.add(threading.current_thread())
        kept.append(event)

    on_resync.__module__ = routes.__name__
    monkeypatch.setattr(routes, "on_resync", on_resync)
    with Host("memory:", {"routes": routes}) as host:
        assert host.wait(60)
    assert len(threads) == 1
    assert threading.main_thread() not in threads
    with pytest.raises(Exception, match="copy what you keep"):
        kept[0][routes.ROUTES]


def test_the_numbers_of_the_text_are_those_of_the_code() -> None:
    from datasync_core.config import HostSettings

    defaults = HostSettings("any")
    retry, brake = defaults.retry, defaults.brake
    assert f"after a backoff ({retry.first:g} s to {retry.most:g} s)" in TEXT
    assert f"`brake = {{ share = {brake.share:g}, keys = {brake.keys} }}`".replace(
        "`brake", ""
    ) in TEXT.replace("`[host] brake", "")
    assert f"at most `hold` seconds ({defaults.hold:g})" in TEXT
    assert retry.resync_after == 3
    assert "After three failures in a row" in TEXT


WATCH = Watch("a/", str)
Does = Callable[[Event, Change[str]], None]


class Failing:
    """Does to `a/1` what a row of the table of failures says, and applies the rest."""

    watches = [WATCH]

    def __init__(self, does: Does | None = None) -> None:
        self.does = does

    @datasync_core.hookimpl
    def on_resync(self, event: Event) -> None:
        """Nothing fails here."""

    @datasync_core.hookimpl
    def on_change(self, event: Event) -> None:
        for change in event.changes(WATCH):
            if change.key == "a/1" and self.does is not None:
                self.does(event, change)


def leaving(error: Exception) -> Does:
    def does(event: Event, change: Change[str]) -> None:
        raise error

    return does


def alone(error: Exception) -> Does:
    def does(event: Event, change: Change[str]) -> None:
        with change:
            raise error

    return does


# what is written → when it is told again: after seconds, or None for "when something changes"; and whether all of it is
FAILURES: dict[str, tuple[Does, float | None, bool]] = {
    "an exception leaves the hook": (leaving(ValueError("no")), 0.5, True),
    "an exception leaves `with change:`": (alone(ValueError("no")), 0.5, False),
    "event.retry(key, reason)": (lambda event, change: event.retry("a/1", "later"), 0.5, False),
    "event.retry(key, reason, delay=5)": (
        lambda event, change: event.retry("a/1", "later", delay=5),
        5,
        False,
    ),
    "raise Retry(reason, delay=5)": (leaving(datasync_core.Retry("later", delay=5)), 5, True),
    "event.reject(key, reason)": (lambda event, change: event.reject(change, "never"), None, False),
    "`raise Reject(reason)` in `with change:`": (alone(datasync_core.Reject("never")), None, False),
    "`raise Reject(reason)` out of the hook": (leaving(datasync_core.Reject("never")), None, True),
}


def test_every_row_of_the_table_of_failures_is_tested() -> None:
    assert column("you write") == list(FAILURES)


@pytest.mark.parametrize("row", FAILURES)
def test_what_fails_is_told_again_as_the_table_says(row: str) -> None:
    does, delay, everything = FAILURES[row]
    plugin = Failing(does)
    harness = Harness(plugin=plugin)
    harness.commit({"a/1": "x", "a/2": "x"})
    plugin.does = None
    told = len(harness.calls)
    harness.advance(
        0.9 * (0.5 * delay if delay == 0.5 else delay or 1000)
    )  # a backoff is shortened by up to half
    assert len(harness.calls) == told
    if delay is None:
        harness.put("a/1", "y")
    else:
        harness.advance(delay)
    keys = {change.key for call in harness.calls[told:] for change in call.changes}
    assert keys == ({"a/1", "a/2"} if everything else {"a/1"})
    assert harness.in_sync()
