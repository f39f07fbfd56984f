"""From modules, objects, classes and files to plugins; whatever they raise stays their own problem."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from datasync_core.plugins.files import load_file
from datasync_core.plugins.loading import Source, import_plugin, make_plugin
from datasync_core.plugins.plugin import Plugin
from datasync_core.plugins.problem import Problem
from tests.plugins.conftest import Writer
from tests.plugins.deliveries import delivery, instance

EDGE = """
from ipaddress import IPv4Address
from pathlib import Path
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar
if TYPE_CHECKING:
    from nowhere import Client

@frozen
class Limit:
    most: int = 3
    least: int = 0

@dataclass
class Share:
    size: int = 1
    known: ClassVar = 2

@frozen
class Edge:
    port: int
    address: IPv4Address = IPv4Address("127.0.0.1")
    folder: Path = Path(".")
    names: list[str] = []
    limit: Limit = Limit()
    limits: dict[str, Limit] = {}
    maybe: Limit | None = None
    shares: list[Share] = []
    password: str = ""
    pin_secret: int = 0
    client: Client | None = None
    watches = [Watch("edge/")]

    @hookimpl
    def on_resync(self, event): ...
"""


def source_of(thing: object) -> Source:
    return Source("edge", lambda: thing, "acme (acme 1.0)", "acme", "1.0")


def make(thing: object, config: Mapping[str, object] = {}, *, from_text: bool = False) -> Plugin:
    made = make_plugin("edge", source_of(thing), thing, config, from_text=from_text)
    assert isinstance(made, Plugin), made
    return made


def refused(
    thing: object, config: Mapping[str, object] = {}, config_at: Callable[[str], str] = lambda setting: ""
) -> Problem:
    made = make_plugin("edge", source_of(thing), thing, config, config_at=config_at)
    assert not isinstance(made, Plugin)
    assert len(made) == 1
    return made[0]


def test_a_module_becomes_a_plugin_whose_deliveries_are_its_own_functions(write: Writer) -> None:
    module = write(
        """
        watches = [Watch("a/"), Watch("b", store="aux")]
        requires = ["y", "x", "x"]
        after = ["z"]
        whole = True
        seen = []
        @hookimpl
        def on_resync(event): seen.append(event)
        @hookimpl
        def on_change(): seen.append("change")
        @hookimpl
        def on_start(): seen.append("start")
        """
    )
    plugin = make(module)
    assert plugin.on_resync is module.on_resync
    delivery(plugin.on_change)(1)
    delivery(plugin.on_start)(2)
    assert module.seen == ["change", "start"]
    assert plugin.watches == tuple(module.watches)
    assert (plugin.requires, plugin.after, plugin.whole) == (("x", "y"), ("z",), True)
    assert plugin.hooks == ("on_start", "on_resync", "on_change")
    assert (plugin.on_stop, plugin.on_fault) == (None, None)
    assert (plugin.distribution, plugin.version, plugin.where) == ("acme", "1.0", module.__file__)


def test_a_class_is_called_with_its_settings_converted_by_the_annotations(write: Writer) -> None:
    config = {
        "port": 80,
        "address": "10.0.0.1",
        "folder": "/srv",
        "names": ["a"],
        "limit": {"most": 5},
        "limits": {"x": {"least": 1}},
        "maybe": {"most": 1},
        "shares": [{"size": 4}],
    }
    edge = instance(make(write(EDGE).Edge, config))
    assert (edge.port, edge.address, edge.folder, edge.names) == (
        80,
        IPv4Address("10.0.0.1"),
        Path("/srv"),
        ["a"],
    )
    assert (edge.limit.most, edge.limits["x"].least, edge.maybe.most) == (5, 1, 1)


def test_numbers_in_text_are_numbers_only_where_the_settings_came_as_text(write: Writer) -> None:
    edge = write(EDGE).Edge
    assert instance(make(edge, {"port": "80"}, from_text=True)).port == 80
    problem = refused(
        edge, {"port": "80"}, config_at=lambda setting: {"config.port": "datasync.toml:7"}.get(setting, "")
    )
    assert problem.text == "config: the setting 'port' is wrong: expected int, got str"
    assert problem.where == "datasync.toml:7"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, "the setting port is missing"),
        ({"prot": 1}, "unknown setting 'prot': did you mean port? (known: port, address,"),
        ({"port": 1, "limit": {"mots": 1}}, "unknown setting 'limit.mots': did you mean most?"),
        ({"port": 1, "limits": {"x": {"mots": 1}}}, "unknown setting 'limits.x.mots': did you mean most?"),
        ({"port": 1, "maybe": {"mots": 1}}, "unknown setting 'maybe.mots': did you mean most?"),
        (
            {"port": 1, "shares": [{}, {"sise": 1}]},
            "unknown setting 'shares[1].sise': did you mean size? (known: size)",
        ),
        ({"port": 1, "limit": {"most": "x"}}, "the setting 'limit.most' is wrong: expected int, got str"),
        ({"port": 1, "address": "nowhere"}, "the setting 'address' is wrong: expected 4 octets in 'nowhere'"),
        ({"port": 1, "client": "x"}, "the annotation 'Client | None' of 'client' cannot be read"),
    ],
)
def test_a_wrong_setting_is_named_with_the_right_form(
    write: Writer, config: Mapping[str, object], said: str
) -> None:
    assert said in refused(write(EDGE).Edge, config).text


def test_a_secret_is_in_no_message(write: Writer) -> None:
    module = write(
        EDGE
        + """
@frozen
class Locked(Edge):
    def __attrs_post_init__(self):
        raise ValueError(f"cannot log in with {self.password}")
"""
    )
    problem = refused(module.Edge, {"port": 1, "pin_secret": "hunter2"})
    assert "pin_secret" in problem.text
    assert "hunter2" not in str(problem)
    problem = refused(module.Locked, {"port": 1, "password": "hunter2"})
    assert "cannot log in with ***" in problem.text
    assert problem.error is None
    assert isinstance(refused(module.Locked, {"port": 1}).error, ValueError)


def test_settings_for_a_module_are_refused(write: Writer) -> None:
    problem = refused(write("requires = ['a']"), {"x": 1}, config_at=lambda setting: "datasync.toml:3")
    assert "takes no config, because it is a module" in problem.text
    assert problem.where == "datasync.toml:3"


def test_equal_and_unhashable_instances_are_plugins_of_their_own(write: Writer) -> None:
    edge = write(EDGE.replace("@frozen\nclass Edge", "@define\nclass Edge")).Edge
    one, two = make(edge, {"port": 1}), make(edge, {"port": 1})
    assert instance(one) == instance(two)
    assert one != two
    assert len({one, two}) == 2


@pytest.mark.parametrize(
    "raised", ["SystemExit(3)", "GeneratorExit()", "RuntimeError('x')", "BaseException('y')"]
)
def test_whatever_init_raises_is_a_problem(write: Writer, raised: str) -> None:
    module = write(f"class P:\n    def __init__(self):\n        raise {raised}")
    problem = refused(module.P)
    assert "acme (acme 1.0) cannot be made: " in problem.text
    assert problem.where == f"{module.__file__}:7"


def test_an_attribute_that_raises_is_a_problem(write: Writer) -> None:
    module = write(
        """
        class P:
            @property
            def watches(self): raise LookupError('none')
            @hookimpl
            def on_start(self): ...
        """
    )
    assert "LookupError: none" in refused(module.P).text


@pytest.mark.parametrize(
    "body", ["raise ValueError", "raise SystemExit(3)", "raise KeyboardInterrupt", "return 5"]
)
@pytest.mark.parametrize("base", ["Exception", "BaseException", "ImportError", "ConfigError", "SystemExit"])
def test_an_exception_without_a_text_is_a_problem(write: Writer, base: str, body: str) -> None:
    """Out of an import and out of ``__init__``."""
    odd = f"from datasync_core.model.errors import ConfigError\nclass Odd({base}):\n    def __str__(self): {body}\n"
    problem = import_plugin(Source("x", lambda: write(odd + "raise Odd"), "x"))
    assert isinstance(problem, Problem)
    assert "x cannot be imported: " in problem.text
    made = refused(write(odd + "class P:\n    def __init__(self): raise Odd\n").P)
    assert "config: " in made.text or "cannot be made: " in made.text


def test_the_code_of_an_exit_is_shown_where_it_is_plain(write: Writer) -> None:
    odd = "class Odd:\n    def __repr__(self): raise KeyError\nraise SystemExit(Odd())"
    problem = import_plugin(Source("x", lambda: write(odd), "x"))
    assert isinstance(problem, Problem)
    assert problem.text == "x cannot be imported: it calls sys.exit"


def test_a_keyboard_interrupt_passes(write: Writer) -> None:
    with pytest.raises(KeyboardInterrupt):
        make(write("class P:\n    def __init__(self):\n        raise KeyboardInterrupt").P)
    with pytest.raises(KeyboardInterrupt):
        import_plugin(Source("x", lambda: write("raise KeyboardInterrupt"), "x"))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import no_such_thing", "ModuleNotFoundError: No module named 'no_such_thing'"),
        ("import sys; sys.exit('bye')", "it calls sys.exit('bye')"),
        ("raise BaseException", "BaseException"),
        ("def (", "SyntaxError"),
        (
            "from datasync_core import Watch; Watch('/a')",
            "cannot be imported: Watch: path '/a' starts with a slash",
        ),
        ("from . import sibling", "make one, or import what lies beside it by its name"),
    ],
)
def test_a_file_that_does_not_run_is_a_problem_with_its_line(tmp_path: Path, source: str, said: str) -> None:
    """Leaves no module of it in sys.modules."""
    file = tmp_path / "broken.py"
    file.write_text(f"\n{source}\n")
    problem = import_plugin(Source("broken", lambda: load_file(file), str(file)))
    assert isinstance(problem, Problem)
    assert said in problem.text
    assert problem.where == f"{file}:2"
    assert problem.error is not None
    assert not [name for name in sys.modules if name.endswith("_broken")]


def test_a_file_runs_under_a_name_of_its_own_with_what_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "beside_it.py").write_text("VALUE = 5\n")
    file = tmp_path / "json.py"
    file.write_text(
        "from __future__ import annotations\nimport json\nfrom dataclasses import dataclass\n"
        "from beside_it import VALUE\n@dataclass\nclass Route:\n    via: str\nTEXT = json.dumps(VALUE)\n"
    )
    one, two = load_file(file), load_file(file)
    assert one.TEXT == "5"
    assert one is not two
    assert one.__name__ != two.__name__
    assert sys.modules[one.__name__] is one
    assert sys.modules["json"].__file__ != str(file)


@pytest.mark.parametrize("name", ["missing.py", "."])
def test_a_file_that_is_none_is_a_problem(tmp_path: Path, name: str) -> None:
    problem = import_plugin(Source("x", lambda: load_file(tmp_path / name), name))
    assert isinstance(problem, Problem)
    assert "Error" in problem.text
