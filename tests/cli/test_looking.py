"""`check`, `plugins`, `graph`, `config`: they look, start nothing, make nothing, and work when plugins are broken."""

from __future__ import annotations

import pytest

from tests.cli.command import GREET, Place, requiring

pytestmark = pytest.mark.slow

DB = "--store=sqlite:data.db"


def rows(place: Place, *args: str) -> dict[str, dict[str, object]]:
    listed = place.do("plugins", "--json", *args).json()
    return {row["name"]: row for row in listed}


def test_plugins_shows_each_with_its_state_and_why(place: Place) -> None:
    place.install("good", GREET, version="1.2")
    place.install("broken", "import nowhere_to_be_found\n")
    place.install("off", "raise SystemExit('never imported')\n")
    place.install("needy", requiring("good", "ghost"))
    place.install("needier", requiring("needy"))
    place.install(
        "nomark", 'from datasync_core import Watch\nwatches = [Watch("a/")]\ndef on_resync(event): ...\n'
    )
    place.write("datasync.toml", "[plugins.off]\nenabled = false\n")
    found = rows(place)
    assert found["good"] == {
        "name": "good",
        "distribution": "acme-good",
        "version": "1.2",
        "path": str(place.site / "acme_good.py"),
        "hooks": ["on_resync", "on_change", "on_stop"],
        "requires": [],
        "after": [],
        "watches": ["hello/"],
        "state": "ok",
        "reason": "",
    }
    assert found["broken"]["state"] == "failed"
    assert "nowhere_to_be_found" in str(found["broken"]["reason"])
    assert found["broken"]["distribution"] == "acme-broken"
    assert found["off"]["state"] == "disabled"
    assert "datasync.toml:2" in str(found["off"]["reason"])
    assert (found["needy"]["state"], found["needy"]["reason"]) == ("waiting", "requires ghost: not installed")
    assert found["needier"]["reason"] == "requires needy: requires ghost: not installed"
    assert found["nomark"]["state"] == "failed"
    text = place.do("plugins")
    assert text.code == 0
    assert (
        f"good: ok, acme-good 1.2, watches hello/, hooks on_resync on_change on_stop, in {place.site}"
        in text.out
    )
    assert place.names() == {"datasync.toml"}


def test_plugins_imports_no_transport_and_minds_no_wrong_store(place: Place) -> None:
    spy = (
        GREET
        + """
    import sys
    found = [name for name in sys.modules if name.startswith("datasync_transports")]
    if found:
        raise ImportError(f"there is {found}")
    """
    )
    place.install("spy", spy)
    place.write("datasync.toml", '[stores]\nmain = "nonsense:"\n')
    assert rows(place)["spy"]["state"] == "ok"
    assert place.do("graph").lines == ["spy"]
    assert place.do("check").code == 3


def test_plugins_all_lists_the_transports_and_damaged_metadata_is_told(place: Place) -> None:
    place.install("damaged", "", entry="[datasync.plugins\nthis is no entry point\n[datasync.plugins]\nx\n")
    answer = place.do("plugins", "--all")
    assert answer.code == 0
    assert any(line.startswith("transport sqlite: datasync-host ") for line in answer.lines)
    assert "entry_points.txt is malformed" in answer.err


def test_instances_are_shown_in_place_of_their_plugin(place: Place) -> None:
    place.install("greet", GREET)
    place.write("datasync.toml", '[plugins.edge]\nuse = "greet"\n[plugins.core]\nuse = "greet"\n')
    assert {name: row["state"] for name, row in rows(place).items() if row["state"] != "disabled"} == {
        "core": "ok",
        "edge": "ok",
    }


def test_check_is_0_where_all_is_well_and_changes_nothing(place: Place) -> None:
    place.install("greet", GREET)
    place.do("put", "hello/ada", "hi", DB)
    before = place.names()
    answer = place.do("check", DB)
    assert answer.code == 0, answer
    assert any(line.startswith("greet: ok") for line in answer.lines)
    assert "store main: reached, sqlite:data.db" in answer.lines
    assert place.names() == before
    checked = place.do("check", DB, "--json").json()
    assert checked["stores"] == [{"name": "main", "url": "sqlite:data.db", "error": None, "unreadable": {}}]
    assert checked["exit"] == 0


def test_check_names_the_keys_that_cannot_be_read(place: Place) -> None:
    place.install("greet", GREET)
    place.write("conf.d/hello/ada.json", "1")
    place.write("conf.d/other/broken.json", "{")  # watched by nobody
    for number in range(7):
        place.write(f"conf.d/hello/{number}.json", "" if number else "{")
    answer = place.do("check", "--store=file:conf.d")
    assert answer.code == 0, answer
    start = answer.lines.index("store main: reached, file:conf.d")
    assert answer.lines[start + 1].startswith("  hello/0: ")
    assert "hello/0.json" in answer.lines[start + 1]
    assert [line[:11] for line in answer.lines[start + 2 :]] == [
        *(f"  hello/{number}: " for number in range(1, 5)),
        "  and 2 key",
    ]
    (store,) = place.do("check", "--store=file:conf.d", "--json").json()["stores"]
    assert list(store["unreadable"]) == [f"hello/{number}" for number in range(7)]


@pytest.mark.parametrize(
    ("code", "exit_code", "said"),
    [
        (GREET, 5, "there is no"),
        (requiring("ghost"), 4, "requires ghost: not installed"),
        ("import nowhere\n", 4, "No module named 'nowhere'"),
    ],
)
def test_check_names_what_is_wrong(place: Place, code: str, exit_code: int, said: str) -> None:
    place.install("one", code)
    answer = place.do("check", DB)
    assert answer.code == exit_code
    assert said in answer.out
    assert "Traceback" not in answer.err
    assert place.names() == set()
    assert place.do("check", DB, "--json").json()["exit"] == exit_code


def test_check_shows_with_v_where_a_store_failed(place: Place) -> None:
    place.install("greet", GREET)
    short, loud = place.do("check", DB), place.do("check", DB, "-v")
    assert (short.code, loud.code) == (5, 5)
    assert short.err == ""
    assert loud.err.startswith("Traceback")
    assert loud.out == short.out


def test_check_without_a_store_is_a_matter_of_configuration(place: Place) -> None:
    answer = place.do("check")
    assert (answer.code, answer.err) == (
        3,
        "datasync-host: no datasync.toml or datasync.db here; give --store\n",
    )


def test_graph_in_each_form(place: Place) -> None:
    place.install("end", GREET)  # a word of mermaid
    place.install("b", requiring("end", "ghost"))
    place.install("c", GREET.replace("requires: list[str] = []", 'after = ["b"]'))
    text = place.do("graph")
    assert (text.code, text.lines) == (0, ["end", "b requires end, ghost", "c after b"])
    assert "b: waits (requires ghost: not installed)" in text.err
    assert place.do("graph", "--format", "mermaid").lines == [
        "graph LR",
        '    n0["end"]',
        '    n1["b"]',
        '    n2["c"]',
        '    n3["ghost is not there"]',
        "    n0 --> n1",
        "    n3 --> n1",
        "    n1 -.-> n2",
    ]
    dot = place.do("graph", "--format", "dot").out
    assert '"ghost" [style=dashed]' in dot
    assert '"end" -> "b"\n' in dot
    assert '"b" -> "c" [style=dashed]' in dot
    assert place.do("graph", "--json").json() == {
        "order": ["end", "b", "c"],
        "plugins": [
            {"name": "end", "requires": [], "after": []},
            {"name": "b", "requires": ["end", "ghost"], "after": []},
            {"name": "c", "requires": [], "after": ["b"]},
        ],
        "waiting": {"b": "requires ghost: not installed"},
    }


def test_graph_names_a_circle_in_full(place: Place) -> None:
    for name, other in {"a": "b", "b": "c", "c": "a"}.items():
        place.install(name, requiring(other))
    answer = place.do("graph")
    assert answer.code == 0
    assert "a → b → c → a" in answer.err


def test_config_shows_each_setting_with_its_origin_and_no_secret(place: Place) -> None:
    place.write("datasync.toml", '[host]\nname = "agent"\n[stores]\nmain = "redis://:hidden@h:1/0"\n')
    place.env["DATASYNC_HOST__HOLD"] = "7"
    text = place.do("config")
    assert text.code == 0
    assert "hidden" not in text.out + text.err
    assert any(
        line.startswith('host.name = "agent" ') and line.endswith("# datasync.toml:2") for line in text.lines
    )
    found = {row["name"]: row for row in place.do("config", "--json").json()}
    assert found["host.hold"] == {"name": "host.hold", "value": "7", "origin": "DATASYNC_HOST__HOLD"}
    assert found["host.retry.first"]["origin"] == "default"
