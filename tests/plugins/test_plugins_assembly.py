"""What a host runs: installed, given and one-off plugins, as the settings say, in DAG order."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from datasync_core.plugins.assembly import Assembly, Wanted, assemble
from datasync_core.plugins.discovery import GROUP_PLUGINS, Discovery, discover
from datasync_core.plugins.wrappers import Wrapper
from tests.plugins.conftest import Site, Writer
from tests.plugins.deliveries import delivery, instance

HAPROXY = """
@define
class HAProxy:
    port: int = 1
    watches = [Watch("proxy")]
    @hookimpl
    def on_resync(self, event): ...
"""


def run(
    given: Mapping[str, object] | None = None,
    *,
    found: Discovery | None = None,
    files: Sequence[Path] = (),
    wanted: Mapping[str, Wanted] | None = None,
    only: Collection[str] = (),
    disable: Collection[str] = (),
    wrappers: Sequence[Wrapper] = (),
) -> Assembly:
    return assemble(found or Discovery(), given or {}, files, wanted, only, disable, wrappers)


def names(assembly: Assembly) -> list[str]:
    return [plugin.name for plugin in assembly.plugins]


@pytest.fixture
def haproxy(write: Writer) -> Mapping[str, object]:
    return {"haproxy": write(HAPROXY, "written_haproxy").HAProxy}


def test_G5_plugins_come_in_the_order_of_what_they_require(site: Site) -> None:
    site.plugin("a", "requires = ['b']")
    site.plugin("b", "after = ['c', 'nobody']")
    site.plugin("c")
    assembly = run(found=discover(GROUP_PLUGINS))
    assert names(assembly) == ["c", "b", "a"]
    assert (assembly.problems, assembly.disabled, assembly.waiting_for) == ((), {}, {})
    assert assembly.order.dependents("b") == ("a",)
    assert assembly.plugins[0].distribution == "acme-c"


def test_G8_a_broken_plugin_is_named_with_its_version_and_the_others_run(site: Site) -> None:
    site.plugin("exits", "import sys; sys.exit(3)")
    site.plugin("breaks", "import no_such_thing")
    site.plugin("wrong", "requires = 'x'")
    site.plugin("missing", "requires = ['exits', 'nobody']")
    site.plugin("fine")
    assembly = run(found=discover(GROUP_PLUGINS))
    assert names(assembly) == ["fine", "missing"]
    assert [problem.plugin for problem in assembly.problems] == ["breaks", "exits", "wrong"]
    assert (
        "sited_exits (acme-exits 1.0) cannot be imported: it calls sys.exit(3)" in assembly.problems[1].text
    )
    assert assembly.waiting_for == {"missing": "requires exits: failed, requires nobody: not installed"}


def test_an_entry_point_with_a_missing_attribute_is_a_problem(site: Site) -> None:
    """An entry point whose module has no valid name is a problem, too."""
    site.install("acme", "[datasync.plugins]\nx = acme_x:Thing\ny = acme-x\n", {"acme_x": ""})
    assembly = run(found=discover(GROUP_PLUGINS))
    assert "has no attribute 'Thing'" in assembly.problems[0].text
    assert "acme-x" in assembly.problems[1].text


def test_only_what_is_enabled_is_imported(site: Site) -> None:
    for name in ("off", "no", "on"):
        site.plugin(name)
    wanted = {"off": Wanted(enabled=False, where="datasync.toml:3")}
    assembly = run(found=discover(GROUP_PLUGINS), wanted=wanted, disable=["no"])
    assert names(assembly) == ["on"]
    assert assembly.disabled == {"no": "disabled", "off": "enabled = false (datasync.toml:3)"}
    assert {"sited_off", "sited_no"}.isdisjoint(sys.modules)


def test_only_brings_what_the_named_ones_require_and_imports_nothing_else(site: Site) -> None:
    site.plugin("a", "requires = ['b']\nafter = ['other']")
    site.plugin("b", "requires = ['c', 'off']")
    site.plugin("c")
    site.plugin("off")
    site.plugin("other")
    assembly = run(found=discover(GROUP_PLUGINS), only=["a"], disable=["off"])
    assert names(assembly) == ["c", "b", "a"]
    assert assembly.disabled == {"off": "disabled", "other": "not named by only"}
    assert assembly.waiting_for == {"b": "requires off: disabled"}
    assert "sited_other" not in sys.modules


def test_a_class_named_by_use_runs_only_as_its_instances(haproxy: Mapping[str, object]) -> None:
    wanted = {"edge": Wanted(use="haproxy", config={"port": 80}), "core": Wanted(use="haproxy")}
    assembly = run(haproxy, wanted=wanted)
    assert names(assembly) == ["core", "edge"]
    assert [instance(plugin).port for plugin in assembly.plugins] == [1, 80]


def test_with_a_table_of_its_own_the_class_runs_beside_its_instances(haproxy: Mapping[str, object]) -> None:
    wanted = {"edge": Wanted(use="haproxy"), "haproxy": Wanted(config={"port": 5})}
    assert names(run(haproxy, wanted=wanted)) == ["edge", "haproxy"]


def test_requiring_a_plugin_means_all_its_instances(haproxy: Mapping[str, object], write: Writer) -> None:
    web = write("requires = ['haproxy']", "written_web")
    after = write("after = ['haproxy']", "written_after")
    wanted = {"edge": Wanted(use="haproxy"), "core": Wanted(use="haproxy")}
    assembly = run({**haproxy, "an": after, "web": web}, wanted=wanted)
    assert names(assembly) == ["core", "edge", "an", "web"]
    assert assembly.plugins[-1].requires == ("core", "edge")
    assert assembly.plugins[-2].after == ("core", "edge")
    assert assembly.order.required_by("edge") == ("web",)
    off = run({**haproxy, "web": web}, wanted=wanted, disable=["core"])
    assert off.waiting_for == {"web": "requires core: disabled"}


def test_requiring_a_plugin_that_runs_beside_its_instances_means_it_too(
    haproxy: Mapping[str, object], write: Writer
) -> None:
    web = write("requires = ['haproxy']", "written_web")
    wanted = {"edge": Wanted(use="haproxy"), "haproxy": Wanted()}
    assert run({**haproxy, "web": web}, wanted=wanted).plugins[-1].requires == ("edge", "haproxy")


def test_a_file_runs_once_however_many_instances_it_has(tmp_path: Path) -> None:
    file = tmp_path / "haproxy.py"
    file.write_text("from datasync_core import hookimpl\n@hookimpl\ndef on_start(context): ...\n")
    wanted = {"edge": Wanted(use="haproxy"), "core": Wanted(use="haproxy")}
    core, edge = run(files=[file], wanted=wanted).plugins
    assert core.on_start is edge.on_start


def test_settings_narrow_which_instances_are_required(haproxy: Mapping[str, object], write: Writer) -> None:
    web = {
        **haproxy,
        "web": write("requires = ['haproxy', 'dns']", "written_web"),
        "dns": write("", "written_dns"),
    }
    uses = {"edge": Wanted(use="haproxy"), "core": Wanted(use="haproxy")}
    assembly = run(web, wanted={**uses, "web": Wanted(requires=("edge",))})
    assert assembly.plugins[-1].requires == ("dns", "edge")
    for chosen in (("haproxy",), ()):
        assembly = run(web, wanted={**uses, "web": Wanted(requires=chosen)})
        assert assembly.plugins[-1].requires == ("core", "dns", "edge")
    assembly = run(web, wanted={**uses, "web": Wanted(requires=("egde",), where="datasync.toml:9")})
    (problem,) = assembly.problems
    assert "requires names egde" in problem.text
    assert "did you mean edge?" in problem.text
    assert problem.where == "datasync.toml:9"


def test_an_instance_of_what_does_not_import_fails_with_it(site: Site) -> None:
    site.plugin("haproxy", "raise ValueError('no')")
    wanted = {"edge": Wanted(use="haproxy"), "core": Wanted(use="haproxy")}
    assembly = run(found=discover(GROUP_PLUGINS), wanted=wanted)
    assert [problem.plugin for problem in assembly.problems] == ["core", "edge"]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"haproxi": Wanted()}, "no plugin of this name is installed: did you mean haproxy?"),
        (
            {"edge": Wanted(use="haproxi")},
            "use names 'haproxi', which is no plugin here: did you mean haproxy?",
        ),
        ({"other": Wanted(use="haproxy")}, "a plugin 'other' is there already"),
        ({"Edge": Wanted(use="haproxy")}, "'Edge' is no name for a plugin"),
        ({"edge": Wanted(use="haproxy"), "far": Wanted(use="edge")}, "write use = 'haproxy'"),
        ({"haproxy": Wanted(config={"prot": 1})}, "unknown setting 'prot': did you mean port?"),
    ],
)
def test_settings_that_fit_no_plugin_are_problems_with_their_place(
    haproxy: Mapping[str, object], write: Writer, wanted: dict[str, Wanted], said: str
) -> None:
    import attrs

    wanted = {name: attrs.evolve(one, where=f"datasync.toml:{name}") for name, one in wanted.items()}
    assembly = run({**haproxy, "other": write("", "written_other")}, wanted=wanted)
    (problem,) = assembly.problems
    assert said in problem.text
    assert problem.where == f"datasync.toml:{problem.plugin}"
    assert "other" in names(assembly) or "other" in wanted


def test_an_instance_of_an_instance_is_told_what_to_use(
    haproxy: Mapping[str, object],
) -> None:
    """Names the plugin at the end of the chain, or reports that the chain is a circle."""
    chain = {"edge": Wanted(use="haproxy"), "far": Wanted(use="edge"), "further": Wanted(use="far")}
    told = {problem.plugin: problem.text for problem in run(haproxy, wanted=chain).problems}
    assert list(told) == ["far", "further"]
    assert all(text.endswith("write use = 'haproxy'") for text in told.values())
    circle = {"a": Wanted(use="b"), "b": Wanted(use="c"), "c": Wanted(use="b")}
    told = {problem.plugin: problem.text for problem in run(haproxy, wanted=circle).problems}
    assert list(told) == ["a", "b", "c"]
    assert all(text.endswith("in a circle: name an installed plugin") for text in told.values())


@pytest.mark.parametrize("setting", ["only", "disable"])
def test_only_and_disable_name_the_nearest_plugin(haproxy: Mapping[str, object], setting: str) -> None:
    asked = ["haproxi"]
    assembly = run(haproxy, only=asked) if setting == "only" else run(haproxy, disable=asked)
    assert str(assembly.problems[0]) == (
        f"{setting} names 'haproxi', which is no plugin here: did you mean haproxy? ({setting})"
    )


def test_a_circle_fails_its_members_and_the_rest_runs(site: Site) -> None:
    site.plugin("a", "requires = ['b']")
    site.plugin("b", "requires = ['c']")
    site.plugin("c", "after = ['a']")
    site.plugin("d", "requires = ['a']")
    assembly = run(found=discover(GROUP_PLUGINS))
    assert names(assembly) == ["d"]
    assert [problem.plugin for problem in assembly.problems] == ["a", "b", "c"]
    assert all("a → b → c → a" in problem.text for problem in assembly.problems)
    assert assembly.waiting_for == {"d": "requires a: failed"}


def test_a_plugin_offered_twice_fails_and_what_requires_it_waits(site: Site) -> None:
    site.plugin("routes", distribution="acme-one")
    site.install("acme-two", "[datasync.plugins]\nroutes = two\n")
    site.plugin("web", "requires = ['routes']")
    assembly = run(found=discover(GROUP_PLUGINS), wanted={"routes": Wanted()}, only=["web", "routes"])
    assert [problem.plugin for problem in assembly.problems] == ["routes"]
    assert assembly.waiting_for == {"web": "requires routes: failed"}
    assembly = run(found=discover(GROUP_PLUGINS), disable=["routes"])
    assert (assembly.problems, assembly.disabled) == ((), {"routes": "disabled"})
    assert assembly.waiting_for == {"web": "requires routes: disabled"}


def test_one_off_files_run_beside_the_others_under_their_stem(tmp_path: Path, write: Writer) -> None:
    file = tmp_path / "one-off.py"
    file.write_text("requires = ['given']\n")
    assembly = run({"given": write("")}, files=[file, file])
    assert names(assembly) == ["given", "one-off"]


@pytest.mark.parametrize(
    ("stem", "said"), [("given", "rename one of them"), ("My File", "is no name for a plugin")]
)
def test_a_file_with_a_bad_or_taken_name_is_a_problem(
    tmp_path: Path, write: Writer, stem: str, said: str
) -> None:
    file = tmp_path / f"{stem}.py"
    file.write_text("")
    assembly = run({"given": write("")}, files=[file])
    (problem,) = assembly.problems
    assert said in problem.text
    assert problem.plugin == stem


def test_wrappers_of_plugins_and_of_the_host_surround_the_deliveries(
    haproxy: Mapping[str, object], write: Writer
) -> None:
    log: list[object] = []

    def trace(event: object) -> Iterator[None]:
        log.append(event)
        yield

    tracer = write(
        "seen = []\n@hookimpl(wrapper=True)\ndef on_resync(event):\n    seen.append(event)\n    yield"
    )
    assembly = run({**haproxy, "tracer": tracer}, wrappers=[("on_resync", trace)])
    surrounded = next(plugin for plugin in assembly.plugins if plugin.name == "haproxy")
    delivery(surrounded.on_resync)("event")
    assert log == tracer.seen == ["event"]


@pytest.mark.slow
def test_G5_the_order_does_not_depend_on_discovery_or_the_hash_seed(site: Site) -> None:
    chain = "zyxwvutsrq"
    for before, name in itertools.pairwise(chain):
        site.plugin(name, f"requires = ['{before}']\nafter = {{'q', 'm', 'n'}} - {{'{name}', 'q'}}")
    for name in (chain[0], "m", "n", "o"):
        site.plugin(name)
    code = (
        f"import sys; sys.path.insert(0, {str(site.folder)!r})\n"
        "from datasync_core.plugins.discovery import *; from datasync_core.plugins.assembly import *\n"
        "assembly = assemble(discover(GROUP_PLUGINS), {}, [], {}, [], [])\n"
        "print([p.name for p in assembly.plugins if len(p.name) == 1], assembly.problems, assembly.waiting_for)"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(outputs) == 1
    assert b"['m', 'n', 'o', 'z', 'y', 'x'" in outputs.pop()
