"""`new plugin`, `new transport`: what they make installs, passes its own tests, and pleases mypy and ruff."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from datasync_core.cli.scaffold import TEMPLATES
from tests.cli.command import GREET, PATIENCE, Place
from tests.packages import OFFLINE, PIP, ROOT, Packages

PACKAGES = {
    "datasync-my-routes": "plugin my-routes --requires interfaces --requires greet",
    "datasync-single": "plugin single --watch cfg/proxy",
    "datasync-every": "plugin every --watch= --requires greet",
    "datasync-mine": "transport mine",
}


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """The Python of a new environment: without a network, so what this one has is there already."""
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", tmp_path / "new"], check=True, timeout=PATIENCE
    )
    site = next((tmp_path / "new" / "lib").glob("python*/site-packages"))
    here = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    lines = [f"import site; site.addsitedir({path!r})\n" for path in sorted(here)]
    (site / "here.pth").write_text("".join(lines))
    return tmp_path / "new" / "bin" / "python"


def run(place: Place, *command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command,
        cwd=cwd or place.folder,
        env=place.env,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.install
@pytest.mark.timeout(900)  # four packages are installed, tested and checked
def test_what_is_made_installs_and_passes_its_tests_mypy_and_ruff(place: Place, python: Path) -> None:
    place.install("greet", GREET)
    for name, command in PACKAGES.items():
        answer = place.do("new", *command.split())
        assert answer.code == 0, answer
        assert len(answer.lines) == 3
        assert answer.lines[0].startswith(f"{name} is made; write what it does in {name}/datasync_")
    folders = [place.folder / name for name in PACKAGES]
    run(place, *PIP, "--python", python, "install", *OFFLINE, "--no-build-isolation", *folders)
    for folder in folders:
        tests = run(place, python, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=folder)
        assert " passed" in tests.stdout
        run(place, python, "-m", "mypy", "--cache-dir", place.folder / "mypy", cwd=folder)
    run(place, sys.executable, "-m", "ruff", "check", "--no-cache", *map(str, folders))
    run(place, sys.executable, "-m", "ruff", "format", "--no-cache", "--check", *map(str, folders))
    place.write("store.json", '{"single/one": "hi"}')
    listed = run(place, python, "-m", "datasync_core", "list", "--values", "--store", "mine:store.json")
    assert listed.stdout == "single/one\thi\n"
    checked = run(place, python, "-m", "datasync_core", "plugins")
    assert "single: ok, datasync-single 0.1.0, watches cfg/proxy, hooks on_resync on_change" in checked.stdout
    assert "my-routes: waiting (requires interfaces: not installed)" in checked.stdout


def test_required_plugins_become_dependencies_of_the_package(
    place: Place,
) -> None:
    """Names the distribution of an installed plugin, and guesses that of one that is not installed."""
    place.install("greet", GREET)
    place.do("new", "plugin", "mine", "--requires", "greet", "--requires", "inter_faces")
    assert """
dependencies = [
    "attrs>=24.1",
    "datasync-host",
    "acme-greet",  # the plugin greet
    "datasync-inter-faces",  # the plugin inter_faces; a guess, correct it
]
""" in (place.folder / "datasync-mine" / "pyproject.toml").read_text()


def test_the_files_of_a_package(place: Place) -> None:
    answer = place.do("new", "plugin", "one", "--dir", "some/where")
    assert "./some/where[dev]" in answer.lines[1]
    root = place.folder / "some" / "where"
    assert {str(file.relative_to(root)) for file in root.rglob("*") if file.is_file()} == {
        ".github/workflows/tests.yml",
        ".gitignore",
        "README.md",
        "datasync_one/__init__.py",
        "datasync_one/py.typed",
        "pyproject.toml",
        "tests/test_datasync_one.py",
    }
    assert "python-version: ${{ matrix.python }}" in (root / ".github/workflows/tests.yml").read_text()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("plugin Routes", "'Routes' is no name for a plugin: use lower case letters"),
        ("plugin a__b", "__ separates the parts of environment variables"),
        ("plugin core", "datasync-core is a part of datasync itself"),
        ("plugin one --requires Two", "'Two' is no name for a plugin"),
        ("plugin one --requires one", "one cannot require itself"),
        ("plugin one --watch /a", "path '/a' starts with a slash; write 'a'"),
        ("transport a_b", "'a_b' is no scheme of a URL: write a-b"),
        ("transport", "missing argument 'NAME'"),
        ("plugn one", "no such command 'plugn'"),
        ("plugin one --dir full", "full is there already, and is no empty folder: name another by --dir"),
        ("plugin one --dir file", "file is there already, and is no empty folder: name another by --dir"),
        ("plugin one --dir file/in", "cannot be written (Not a directory): name another folder by --dir"),
    ],
)
def test_what_cannot_be_made_is_told_and_nothing_is_written(place: Place, command: str, said: str) -> None:
    place.write("full/README.md", "mine")
    place.write("file", "mine")
    answer = place.do("new", *command.split())
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("datasync-host: ")
    assert said in answer.err
    assert place.names() == {"full", "file"}
    assert [file.name for file in (place.folder / "full").iterdir()] == ["README.md"]


def test_a_folder_that_is_empty_is_filled(place: Place) -> None:
    (place.folder / "datasync-one").mkdir()
    assert place.do("new", "transport", "one").code == 0
    assert (place.folder / "datasync-one" / "pyproject.toml").exists()


def test_the_templates_are_shipped(packages: Packages) -> None:
    with zipfile.ZipFile(packages.wheel()) as wheel:
        shipped = {name for name in wheel.namelist() if name.endswith(".tmpl")}
    assert shipped == {str(file.relative_to(ROOT)) for file in TEMPLATES.rglob("*.tmpl")}
    assert shipped
