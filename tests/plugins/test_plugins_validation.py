"""Refused at load: every mistake with file, line and the right form; and nothing that is no mistake."""

from __future__ import annotations

import pytest

from datasync_core.plugins.loading import Source, make_plugin
from datasync_core.plugins.plugin import Plugin
from datasync_core.plugins.problem import Problem
from tests.plugins.conftest import Site, Writer
from tests.plugins.deliveries import delivery, instance

GOOD = """
watches = [Watch("routes/")]
@hookimpl
def on_resync(event): ...
"""


def load(thing: object, **config: object) -> Plugin | tuple[Problem, ...]:
    return make_plugin("mine", Source("mine", lambda: thing, "acme"), thing, config)


def problems(thing: object) -> tuple[Problem, ...]:
    made = load(thing)
    assert not isinstance(made, Plugin), "it was not refused"
    return made


# source, line of the mistake (0: the first after the usual imports), words of the message
REFUSED = [
    ('watches = [Watch("a/")]\ndef on_resync(event): ...', 1, "on_resync lacks @hookimpl"),
    (GOOD + "def on_stop(): ...", 4, "write @hookimpl above def on_stop()"),
    (GOOD + "on_stop = 3", 4, "on_stop is the name of a hook"),
    (GOOD + "@hookimpl\ndef on_chnage(event): ...", 4, "did you mean on_change?"),
    (GOOD + "def on_chnage(event): ...", 4, "did you mean on_change?"),
    (GOOD + "@hookimpl\ndef greet(event): ...", 4, "greet is the name of no hook"),
    (GOOD + "@hookimpl\nasync def on_change(event): ...", 4, "on_change is async"),
    (GOOD + "@hookimpl\nasync def on_change(event):\n    yield", 4, "on_change is async"),
    (GOOD + "@hookimpl\ndef on_change(event):\n    yield", 4, "on_change has a yield"),
    (GOOD + "@hookimpl(wrapper=True)\ndef on_change(event): ...", 4, "without a yield"),
    (
        GOOD + "@hookimpl(wrapper=True)\ndef on_stop():\n    yield",
        4,
        "wrappers surround on_resync or on_change",
    ),
    (GOOD + "@hookimpl(tryfirst=True)\ndef on_stop(): ...", 4, "tryfirst"),
    (GOOD + "@hookimpl(trylast=True)\ndef on_stop(): ...", 4, "trylast"),
    (GOOD + "@hookimpl(hookwrapper=True)\ndef on_change(event):\n    yield", 4, "wrapper=True"),
    (GOOD + "@hookimpl(optionalhook=True)\ndef on_stop(): ...", 4, "optionalhook"),
    (GOOD + "@hookimpl(specname='on_stop')\ndef leave(): ...", 4, "name the function on_stop"),
    (
        GOOD + "@hookimpl(wrapper=True, specname='on_chang')\ndef t(event):\n    yield",
        4,
        "did you mean on_change?",
    ),
    (GOOD + "@hookimpl\ndef on_change(event=None): ...", 4, "has a default for event"),
    (GOOD + "@hookimpl\ndef on_change(*args): ...", 4, "takes *args"),
    (GOOD + "@hookimpl\ndef on_change(**kw): ...", 4, "takes **kw"),
    (GOOD + "@hookimpl\ndef on_change(*, event): ...", 4, "by keyword only"),
    (GOOD + "@hookimpl\ndef on_change(evnt): ...", 4, "argument evnt"),
    (GOOD + "@hookimpl\ndef on_stop(event): ...", 4, "it takes none"),
    (
        GOOD + "def f(a, event): ...\non_change = hookimpl(functools.partial(f, 1))",
        5,
        "on_change is a partial",
    ),
    (GOOD + "def f(a, event): ...\non_change = functools.partial(f, 1)", 5, "on_change is a partial"),
    ("@hookimpl\ndef on_resync(event): ...", 0, "never run without watches"),
    ('watches = [Watch("a/")]\n@hookimpl\ndef on_change(event): ...', 1, "on_change without on_resync"),
    ('watches = [Watch("a/")]', 0, "watches without on_resync"),
    (
        'watches = [Watch("a/")]\n@hookimpl(wrapper=True)\ndef on_resync(event):\n    yield',
        0,
        "watches without on_resync",
    ),
    ('watches = "routes/"\n@hookimpl\ndef on_resync(event): ...', 0, "watches is text and not a list"),
    (
        'watches = Watch("routes/")\n@hookimpl\ndef on_resync(event): ...',
        0,
        "watches is one Watch and not a list",
    ),
    ('watches = ["routes/"]\n@hookimpl\ndef on_resync(event): ...', 0, "it takes Watch('routes/')"),
    (GOOD + 'requires = "interfaces"', 4, "write requires = ['interfaces']"),
    (GOOD + 'after = "interfaces"', 4, "write after = ['interfaces']"),
    (GOOD + "requires = [3]", 4, "it takes names of plugins"),
    (GOOD + "requires = ['No Name']", 4, "is no name for a plugin"),
    (GOOD + "whole = 'yes'", 4, "neither True nor False"),
    (GOOD + "require = ['interfaces']", 4, "did you mean requires?"),
    (GOOD + "required = 'interfaces'", 4, "did you mean requires?"),
    (GOOD + "afer = ['interfaces']", 4, "did you mean after?"),
    ('watch = [Watch("a/")]', 0, "did you mean watches?"),
    ('WATCHES = [Watch("a/")]', 0, "did you mean watches?"),
    (GOOD.replace("]", ', Watch("routes/")]'), 1, "is watched twice"),
    (GOOD.replace('"routes/"', '"routes/", type=complex'), 1, "cannot be decoded"),
    (GOOD.replace('"routes/"', '"routes/", type=object()'), 1, "cannot be decoded"),
    ("from sited_other import on_resync\nwatches = [Watch('b/')]", None, "imported from sited_other"),
]


@pytest.mark.parametrize(("source", "line", "said"), REFUSED, ids=[row[2] for row in REFUSED])
def test_a_mistake_is_refused_with_file_line_and_the_right_form(
    site: Site, write: Writer, source: str, line: int | None, said: str
) -> None:
    site.plugin("other", GOOD)
    module = write(source)
    (problem,) = problems(module)
    assert said in problem.text
    assert problem.plugin == "mine"
    if line is not None:
        assert problem.where == f"{module.__file__}:{5 + line}"


ACCEPTED = [
    "",
    "requires = ['x']",
    "matches = ['a']\nrequests = ['GET']\nlater = ['d']\nbatches = 'all'",
    "from sited_other import renaming\nwatches = [Watch('a')]\n@hookimpl\n@renaming\ndef on_resync(event): ...",
    GOOD,
    "import logging\n" + GOOD,
    # what resembles us, and is not
    GOOD
    + "matches = ['a']\nrequests = ['GET']\nbatches = ['b']\nwatch = Watch('x/')\nafterwards = ['c']\nlater = ['d']",
    GOOD + "import functools as requests\nWATCH = Watch('y')\nonly = ['x']\nwatched = {'a': 1}",
    GOOD + "def on_message(event): ...\ndef on_changed(event): ...\ndef on_connect(client, event): ...",
    GOOD + "def resync(event): ...\non_changes = []\nclass OnChange: ...",
    GOOD + "requires = []\nrequire = ['not meant']",
    GOOD + "on_change = None",
    # decorators
    """
def loud(function):
    @functools.wraps(function)
    def inner(*args, **kwargs):
        return function(*args, **kwargs)
    return inner
watches = [Watch("a/")]
@hookimpl
@loud
def on_resync(event): ...
@loud
@hookimpl
def on_change(event): ...
""",
    """
import asyncio
def run(function):
    @functools.wraps(function)
    def inner(event):
        return asyncio.run(function(event))
    return inner
watches = [Watch("a/")]
@hookimpl
@run
async def on_resync(event): ...
""",
    # composition of another module's hook
    "from sited_other import on_resync as base\nwatches = [Watch('a/')]\n@hookimpl\ndef on_resync(event): base(event)",
    GOOD + "resync = on_resync",
    # fewer arguments
    "watches = [Watch('a/')]\n@hookimpl\ndef on_resync(): ...\n@hookimpl\ndef on_start(): ...",
    # lazy proxies must not be run
    """
class Lazy:
    def __getattribute__(self, name): raise RuntimeError("outside of a request")
    def __call__(self): ...
request = Lazy()
"""
    + GOOD,
    GOOD + "@hookimpl(wrapper=True, specname='on_resync')\ndef trace(event):\n    return (yield)",
    "@hookimpl(wrapper=True)\ndef on_resync(event):\n    yield",
    "whole = True\n" + GOOD,
    GOOD.replace("]", ', Watch("routes/", store="aux"), Watch("routes/a")]'),
]


@pytest.mark.parametrize("source", ACCEPTED)
def test_what_is_no_mistake_is_not_refused(site: Site, write: Writer, source: str) -> None:
    site.plugin("other", GOOD + "def renaming(f):\n    def inner(event): return f(event)\n    return inner")
    made = load(write(source))
    assert isinstance(made, Plugin), made


def test_every_mistake_of_a_plugin_is_told_at_once(write: Writer) -> None:
    assert len(problems(write("requires = 'a'\nafter = 'b'\ndef on_stop(): ..."))) == 3


def test_a_hook_of_a_submodule_may_be_reexported(site: Site) -> None:
    import importlib

    package = site.folder / "acme_package"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from datasync_core import Watch\nfrom acme_package.hooks import on_resync\nwatches = [Watch('a/')]\n"
    )
    (package / "hooks.py").write_text(
        "from datasync_core import hookimpl\n@hookimpl\ndef on_resync(event): ...\n"
    )
    assert isinstance(load(importlib.import_module("acme_package")), Plugin)


@pytest.mark.parametrize(
    ("source", "line", "said"),
    [
        ("@frozen\nclass P:\n    watches: list = []", 2, "watches is annotated"),
        (
            "from dataclasses import dataclass\n@dataclass\nclass P:\n    requires: tuple = ()",
            3,
            "write requires = … bare",
        ),
        ("class P:\n    @hookimpl\n    def on_stop(): ...", 1, "lacks self"),
        ("class P:\n    @hookimpl\n    def on_start(context): ...", 1, "on_start(self, context)"),
        ("class P:\n    def on_start(self, context): ...", 1, "lacks @hookimpl"),
        ("class P:\n    requires = 'x'\n    @hookimpl\n    def on_start(self): ...", 1, "requires is text"),
        (
            "class Q:\n    watchs = ['x']\nclass P(Q):\n    @hookimpl\n    def on_start(self): ...",
            1,
            "did you mean watches?",
        ),
        ("class P: ...", None, "without any hook"),
        ("P = 7", None, "is a int without any hook"),
        ("def P(): ...", None, "is a function without any hook"),
    ],
)
def test_mistakes_of_classes_and_objects_are_refused(
    write: Writer, source: str, line: int | None, said: str
) -> None:
    module = write(source)
    (problem,) = problems(module.P)
    assert said in problem.text
    if line is not None:
        assert problem.where == f"{module.__file__}:{5 + line}"


def test_hooks_may_be_static_and_class_methods(write: Writer) -> None:
    """`@hookimpl` may stand above or below `@staticmethod` and `@classmethod`."""
    made = load(
        write(
            """
            @define
            class P:
                limit: int = 3
                seen = []
                watches = [Watch("a/")]
                @hookimpl
                @staticmethod
                def on_start(context): P.seen.append(("start", context))
                @staticmethod
                @hookimpl
                def on_stop(): P.seen.append("stop")
                @hookimpl
                @classmethod
                def on_resync(cls, event): cls.seen.append(("resync", event))
                @classmethod
                @hookimpl
                def on_change(cls, event): cls.seen.append(("change", event))
            """
        ).P
    )
    assert isinstance(made, Plugin)
    for hook, arguments in (
        (made.on_start, [1]),
        (made.on_stop, []),
        (made.on_resync, [2]),
        (made.on_change, [3]),
    ):
        delivery(hook)(*arguments)
    assert instance(made).seen == [("start", 1), "stop", ("resync", 2), ("change", 3)]
    assert made.hooks == ("on_start", "on_resync", "on_change", "on_stop")


def test_settings_of_an_object_may_be_called_like_misspelt_attributes(write: Writer) -> None:
    module = write(
        """
        class P:
            def __init__(self, required):
                self.required = required
            @hookimpl
            def on_start(self): ...
        """
    )
    assert isinstance(load(module.P, required=["name"]), Plugin)
    assert isinstance(load(module.P(["name"])), Plugin)
