"""Who is installed: read from real metadata, however damaged, and without an import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from datasync_core.plugins.discovery import GROUP_PLUGINS, Discovery, discover
from tests.plugins.conftest import Site


def names(found: Discovery) -> list[str]:
    return [one.name for one in found.found]


def test_installed_plugins_are_found_sorted_with_their_distribution(site: Site) -> None:
    site.install("acme-b", "[datasync.plugins]\nzebra = acme_z\nant = acme_a:Ant\n", version="2.1")
    found = discover(GROUP_PLUGINS)
    assert [(one.name, one.value, one.distribution, one.version) for one in found.found] == [
        ("ant", "acme_a:Ant", "acme-b", "2.1"),
        ("zebra", "acme_z", "acme-b", "2.1"),
    ]
    assert found.problems == ()


def test_discovery_imports_no_plugin(site: Site) -> None:
    site.plugin("quiet", "raise RuntimeError('imported')")
    assert names(discover(GROUP_PLUGINS)) == ["quiet"]
    assert "sited_quiet" not in sys.modules


def test_load_imports_the_attribute(site: Site) -> None:
    site.install(
        "acme", "[datasync.plugins]\nx = acme_x:Thing.inner\n", {"acme_x": "class Thing:\n    inner = 7\n"}
    )
    assert discover(GROUP_PLUGINS).found[0].load() == 7


def test_of_a_distribution_found_twice_the_first_on_the_path_counts(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compares the names of distributions as pip does: case and separators make no difference."""
    site.install("acme-routes", "[datasync.plugins]\nroutes = new\n", version="2.0")
    later = type(site)(tmp_path / "later")
    later.install("Acme.Routes", "[datasync.plugins]\nroutes = old\n", version="1.0")
    monkeypatch.setattr(sys, "path", [*sys.path, str(later.folder), str(site.folder)])
    found = discover(GROUP_PLUGINS)
    assert [(one.value, one.version) for one in found.found] == [("new", "2.0")]
    assert found.problems == ()


def test_an_older_version_does_not_shine_through_one_without_plugins(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.install("acme-routes", "", version="2.0")
    later = type(site)(tmp_path / "later")
    later.install("acme-routes", "[datasync.plugins]\nroutes = old\n", version="1.0")
    monkeypatch.setattr(sys, "path", [*sys.path, str(later.folder)])
    assert discover(GROUP_PLUGINS) == Discovery()


def test_one_name_in_two_distributions_fails_for_both_and_names_them(site: Site) -> None:
    site.plugin("routes", distribution="acme-one")
    site.install("acme-two", "[datasync.plugins]\nroutes = two\nother = two\n", version="3.2")
    found = discover(GROUP_PLUGINS)
    assert names(found) == ["other"]
    (problem,) = found.problems
    assert problem.plugin == "routes"
    assert "acme-one 1.0 and acme-two 3.2" in problem.text


@pytest.mark.parametrize("name", ["Routes", "9lives", "a__b", "käse", "a b", "-x"])
def test_a_bad_name_is_a_problem_with_the_right_form(site: Site, name: str) -> None:
    site.install("acme", f"[datasync.plugins]\n{name} = acme\n")
    found = discover(GROUP_PLUGINS)
    assert found.found == ()
    (problem,) = found.problems
    assert problem.plugin == name
    assert repr(name) in problem.text
    assert problem.where == "acme 1.0"


@pytest.mark.parametrize(
    ("points", "said"),
    [
        (b"[datasync.plugins]\nthis is no entry point\n", "line 2 is not NAME = MODULE[:ATTRIBUTE]"),
        (b"[datasync.plugins]\nx = caf\xe9\n", "byte 0xe9"),
        (b"\xef\xbb\xbf[datasync.plugins]\nx = acme\n", "byte order mark"),
    ],
)
def test_malformed_entry_points_hide_nobody_else(site: Site, points: bytes, said: str) -> None:
    site.plugin("fine")
    site.install("broken", points, version="0.3")
    found = discover(GROUP_PLUGINS)
    assert names(found) == ["fine"]
    (problem,) = found.problems
    assert said in problem.text
    assert problem.where == "broken 0.3"


@pytest.mark.parametrize("points", [b"[console_scripts]\nno entry point\n", b"\xff\xfe[console_scripts]\n"])
def test_what_is_malformed_and_none_of_ours_is_no_problem(site: Site, points: bytes) -> None:
    site.plugin("fine")
    site.install("broken", points)
    found = discover(GROUP_PLUGINS)
    assert (names(found), found.problems) == (["fine"], ())


@pytest.mark.parametrize("metadata", [None, "", "Version: 1.0\n"])
def test_a_distribution_without_metadata_is_named_by_its_plugins(site: Site, metadata: str | None) -> None:
    site.plugin("fine")
    info = site.install("broken", "[datasync.plugins]\nhurt = acme\n", metadata=metadata)
    found = discover(GROUP_PLUGINS)
    assert names(found) == ["fine"]
    (problem,) = found.problems
    assert (problem.plugin, problem.where) == ("hurt", str(info))
    assert "METADATA" in problem.text


@pytest.mark.parametrize(
    ("header", "origin"),
    [
        ("Name: acme \nVersion: 2.0\nName: late\n", "acme 2.0"),
        ("Name: acme\n", "acme of unknown version"),
    ],
)
def test_name_and_version_are_those_of_the_header(site: Site, header: str, origin: str) -> None:
    site.install("acme", "[datasync.plugins]\nroutes = acme\n", metadata=f"{header}\nVersion: 9\n")
    (found,) = discover(GROUP_PLUGINS).found
    assert found.origin == origin


@pytest.mark.parametrize("lines", ["name: acme\nversion: 2.0\n", "Name: acme\nVersion:\n 2.0\n"])
def test_name_and_version_may_be_written_in_another_way(site: Site, lines: str) -> None:
    site.install("acme", "[datasync.plugins]\nroutes = acme\n", version="2.0", metadata=lines)
    (found,) = discover(GROUP_PLUGINS).found
    assert found.origin.split() == ["acme", "2.0"]


def test_the_remnant_of_an_uninstalled_version_hurts_nobody(site: Site) -> None:
    site.install("acme", "[datasync.plugins]\nroutes = new\n", version="2.0")
    site.install("acme", "[datasync.plugins]\nroutes = old\n", version="1.0", metadata=None)
    found = discover(GROUP_PLUGINS)
    assert ([one.value for one in found.found], found.problems) == (["new"], ())


def test_a_finder_that_fails_is_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    class Finder:
        @staticmethod
        def find_distributions(context: object) -> list[object]:
            raise RuntimeError("no such archive")

    site.plugin("fine")
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    found = discover(GROUP_PLUGINS)
    assert names(found) == ["fine"]
    assert "no such archive" in found.problems[0].text


def test_metadata_of_foreign_distributions_is_not_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.plugin("mine")
    site.install("foreign", "[console_scripts]\nx = y:z\n")
    read: list[str] = []
    original = Path.read_text

    def spy(self: Path, *arguments: object, **keywords: object) -> str:
        read.append(str(self))
        return original(self, *arguments, **keywords)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "read_text", spy)
    discover(GROUP_PLUGINS)
    assert not [path for path in read if "foreign-1.0" in path and path.endswith("METADATA")]
    assert [path for path in read if "acme_mine" in path and path.endswith("METADATA")]


def test_discovery_imports_no_transport() -> None:
    code = (
        "import sys; from datasync_core.plugins.discovery import *; discover(GROUP_TRANSPORTS); "
        "print([name for name in sys.modules if name.startswith('datasync_transports')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
