"""Where settings come from, which one counts, and what each is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasync_core.config import Origin, Settings, embedded_store, load_settings
from datasync_core.config.settings import Brake, RetrySettings
from datasync_core.config.urls import store_settings
from datasync_core.model.errors import ConfigError

Load = Callable[..., Settings]
Shown = Callable[[Settings], Mapping[str, tuple[str, str]]]


def test_nothing_configured_is_all_defaults_and_no_store(tmp_path: Path, load: Load, shown: Shown) -> None:
    settings = load()
    assert settings.stores == {}
    assert settings.plugins == {}
    assert settings.main_store() is None
    assert (settings.folder, settings.file) == (tmp_path, None)
    assert settings.host.name
    assert settings.host.retry == RetrySettings(0.5, 60.0, 3)
    assert settings.host.brake == Brake(0.5, 10)
    assert shown(settings)["host.stop_timeout"] == ("30", "default")
    assert {row.origin.kind for row in settings.rows} == {"default"}


def test_a_file_gives_host_stores_and_plugins_with_their_lines(
    tmp_path: Path, load: Load, shown: Shown
) -> None:
    settings = load(
        """
        [host]
        name = "agent-1"
        only = ["routes"]
        retry = { first = 2 }
        [stores]
        main = "redis://cache.internal:6379/0?prefix=agent1/&db=3"
        [stores.aux]
        url = "file:conf.d"
        liveness = 3
        poll = 5
        [plugins.routes]
        store = "aux"
        requires = ["interfaces"]
        config = { table = 100 }
        [plugins.interfaces]
        """,
    )
    assert settings.file == tmp_path / "datasync.toml"
    assert settings.host.name == "agent-1"
    assert settings.host.only == ("routes",)
    assert settings.host.retry == RetrySettings(2.0, 60.0, 3)
    main, aux = settings.stores["main"], settings.stores["aux"]
    assert (main.prefix, main.separator, main.liveness) == ("agent1/", "/", 10.0)
    assert main.url.query == {"db": "3"}
    assert main.options == {}
    assert main.origin == Origin("file", "datasync.toml:6")
    assert aux.options == {"poll": 5}
    assert aux.liveness == 3.0
    assert not aux.text
    assert aux.url.file() == tmp_path / "conf.d"
    assert str(aux.origins["poll"]) == "datasync.toml:10"
    routes = settings.plugins["routes"]
    assert routes.stores == {"main": "aux"}
    assert routes.requires == ("interfaces",)
    assert routes.config == {"table": 100}
    assert str(routes.origins["table"]) == "datasync.toml:14"
    assert routes.retry == RetrySettings(2.0, 60.0, 3)
    assert not routes.text
    assert str(routes.origin) == "datasync.toml:11"
    assert settings.store_of("routes") is aux
    assert settings.store_of("interfaces") is main
    assert settings.plugins["interfaces"].enabled is None
    rows = shown(settings)
    assert rows["host.retry.first"] == rows["plugins.routes.retry.first"] == ("2", "datasync.toml:4")
    assert rows["stores.main.prefix"] == ('"agent1/"', "datasync.toml:6")
    assert rows["stores.main.url"] == ('"redis://cache.internal:6379/0?db=3"', "datasync.toml:6")
    assert rows["stores.main.separator"] == ('"/"', "default")
    assert rows["plugins.routes.config.table"] == ("100", "datasync.toml:14")
    assert rows["plugins.interfaces.enabled"] == ("true", "default")


def test_command_line_beats_environment_beats_file_setting_by_setting(load: Load, shown: Shown) -> None:
    text = """
        [host]
        name = "f"
        stop_timeout = 1
        hold = 2
        [stores]
        main = "memory:f"
    """
    settings = load(
        text,
        DATASYNC_HOST__NAME="e",
        DATASYNC_HOST__STOP_TIMEOUT="5",
        name="c",
        stores=["memory:c"],
    )
    host = settings.host
    assert (host.name, host.stop_timeout, host.hold) == ("c", 5.0, 2.0)
    assert settings.stores["main"].url.path == "c"
    rows = shown(settings)
    assert [rows[f"host.{name}"][1] for name in ("name", "stop_timeout", "hold")] == [
        "--name",
        "DATASYNC_HOST__STOP_TIMEOUT",
        "datasync.toml:4",
    ]
    assert rows["stores.main.url"] == ('"memory:c"', "--store")
    assert load(DATASYNC_STORE="memory:e").stores["main"].url.path == "e"


def test_disable_on_the_command_line_adds_to_that_of_the_file(load: Load) -> None:
    """Enables nothing that the file disables; an empty list in the environment does."""
    settings = load('[host]\ndisable = ["a"]\n', disable=["b"], only=["c"])
    assert settings.host.disable == ("a", "b")
    assert settings.host.only == ("c",)
    assert load(DATASYNC_HOST__DISABLE="[]").host.disable == ()


def test_a_url_of_a_higher_source_replaces_the_options_of_lower_ones(load: Load) -> None:
    """Within one source the keys of a store's table take precedence over the query of its URL."""
    text = '[stores.main]\nurl = "memory:a?prefix=u&x=1"\nprefix = "t"\nx = 2\n'
    store = load(text).stores["main"]
    assert (store.prefix, store.url.query, store.options) == ("t", {}, {"x": 2})
    store = load(DATASYNC_STORE="memory:b?prefix=e&x=3").stores["main"]
    assert (store.prefix, store.url.query, store.options) == ("e", {"x": "3"}, {})
    store = load(DATASYNC_STORE="memory:b", DATASYNC_STORES__MAIN__LIVENESS="4").stores["main"]
    assert (store.prefix, store.liveness, store.url.path) == ("t", 4.0, "b")


def test_a_store_name_before_a_url_is_told_from_options_of_the_url(tmp_path: Path, load: Load) -> None:
    """Parses `--store NAME=URL` although the query of a URL holds equals signs, too."""
    settings = load(stores=["sqlite:a.db?prefix=x=y", "aux=memory:m?q=1"])
    assert settings.stores["main"].prefix == "x=y"
    assert settings.stores["main"].url.file() == tmp_path / "a.db"
    assert settings.stores["aux"].url.query == {"q": "1"}


def test_the_only_store_is_main_whatever_its_name(load: Load) -> None:
    settings = load('[stores]\naux = "memory:"\n')
    assert settings.main_store() is settings.stores["aux"] is settings.store_of("anything")
    with pytest.raises(ConfigError, match="none of the stores aux, other is called main"):
        load(stores=["other=memory:"]).main_store()


def test_a_store_that_a_plugin_names_and_none_has_is_refused(load: Load) -> None:
    settings = load('[stores]\nmain = "memory:"\naux = "memory:"\n[plugins.a]\nstores.config = "aux"\n')
    assert settings.store_of("a", "config") is settings.stores["aux"]
    with pytest.raises(ConfigError, match=r"^plugin b uses an unknown store auxx: did you mean aux\?$"):
        settings.store_of("b", "auxx")


def test_a_store_named_by_its_url_alone_has_the_hosts_options_apart(tmp_path: Path) -> None:
    store = store_settings("main", "sqlite:x.db?prefix=p/&liveness=2", tmp_path)
    assert (store.prefix, store.liveness, store.url.query) == ("p/", 2.0, {})
    assert store.url.file() == tmp_path / "x.db"
    assert embedded_store(tmp_path).url.file() == tmp_path / "datasync.db"


def test_an_existing_embedded_database_is_the_default_store(tmp_path: Path, load: Load, shown: Shown) -> None:
    """It is the store main, unless the settings name any store."""
    (tmp_path / "datasync.db").touch()
    settings = load()
    store = settings.main_store()
    assert store is not None
    assert store.url.file() == tmp_path / "datasync.db"
    assert shown(settings)["stores.main.url"] == ('"sqlite:datasync.db"', "default")
    assert list(load(stores=["aux=memory:"]).stores) == ["aux"]


def test_files_are_found_by_option_then_variable_then_name(tmp_path: Path, load: Load, shown: Shown) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.toml").write_text(f'[host]\nname = "{name}"\nstate_dir = "state"\n')
    load('[host]\nname = "here"\n')
    assert load().host.name == "here"
    settings = load(DATASYNC_CONFIG="a/x.toml")
    assert settings.host.name == "a"
    assert settings.folder == tmp_path / "a"
    assert settings.host.state_dir == tmp_path / "a" / "state"
    assert shown(settings)["host.name"][1] == "a/x.toml:2"
    assert load(file=tmp_path / "b" / "x.toml", DATASYNC_CONFIG="a/x.toml").host.name == "b"
    assert load(DATASYNC_CONFIG="").host.name == "here"


def test_variables_take_text_as_it_is_and_the_rest_as_toml(load: Load) -> None:
    settings = load(
        DATASYNC_HOST__ONLY='["a", "b"]',
        DATASYNC_HOST__RETRY="{ first = 1, most = 2.5 }",
        DATASYNC_HOST__NAME="007",
        DATASYNC_STORES__AUX="memory:m",
        DATASYNC_STORES__AUX__PREFIX="",
        DATASYNC_STORES__AUX__POLL="5",
        DATASYNC_PLUGINS__ROUTES__ENABLED="false",
        DATASYNC_PLUGINS__ROUTES__CONFIG__TABLE="100",
        DATASYNC_PLUGINS__EDGE__CONFIG="{ limits = { most = 1 } }",
        DATASYNC_PLUGINS__EDGE__STORES__MAIN="aux",
    )
    assert settings.host.only == ("a", "b")
    assert settings.host.name == "007"
    assert settings.host.retry == RetrySettings(1.0, 2.5, 3)
    assert settings.stores["aux"].options == {"poll": "5"}
    assert settings.stores["aux"].text == {"poll"}
    routes, edge = settings.plugins["routes"], settings.plugins["edge"]
    assert routes.enabled is False
    assert routes.config == {"table": "100"}
    assert routes.text
    assert edge.config == {"limits": {"most": 1}}
    assert not edge.text
    assert edge.stores == {"main": "aux"}
    assert str(routes.origins["table"]) == "DATASYNC_PLUGINS__ROUTES__CONFIG__TABLE"


def test_variables_of_others_are_left_alone(load: Load) -> None:
    quiet = load(
        DATASYNC_PORT="tcp://10.0.0.1:80",
        DATASYNC_SERVICE_HOST="10.0.0.1",
        DATASYNC_STORE_PORT="1",
        DATASYNC="x",
        MY_DATASYNC_HOST__NAM="x",
    )
    assert quiet.rows == load().rows


def test_an_underscore_in_a_variable_stands_for_a_hyphen_of_a_known_name(load: Load, shown: Shown) -> None:
    text = '[plugins.rate-limit]\nenabled = true\n[stores]\nmy-store = "memory:"\n'
    settings = load(
        text,
        DATASYNC_PLUGINS__RATE_LIMIT__ENABLED="false",
        DATASYNC_STORES__MY_STORE__PREFIX="p",
        DATASYNC_PLUGINS__OTHER_ONE__ENABLED="false",
    )
    assert list(settings.plugins) == ["rate-limit", "other_one"]
    assert settings.plugins["rate-limit"].enabled is False
    assert settings.stores["my-store"].prefix == "p"
    installed = settings.matched(["rate-limit", "other-one"])
    assert list(installed.plugins) == ["rate-limit", "other-one"]
    assert installed.plugins["other-one"].name == "other-one"
    assert shown(installed)["plugins.other-one.enabled"][0] == "false"
    assert settings.matched(["other_one", "other-one"]) == settings


def test_a_table_in_a_variable_adds_to_the_files_own(load: Load) -> None:
    settings = load("[plugins.a]\nretry.first = 2\n", DATASYNC_PLUGINS__A="{ enabled = false }")
    plugin = settings.plugins["a"]
    assert (plugin.enabled, plugin.retry.first, str(plugin.origin)) == (False, 2.0, "datasync.toml:1")


def test_an_empty_url_in_the_environment_names_no_store(load: Load) -> None:
    assert load(DATASYNC_STORE="").stores == {}


def test_an_exact_name_wins_over_one_with_hyphens(load: Load) -> None:
    settings = load("[plugins.a_b]\n[plugins.a-b]\n", DATASYNC_PLUGINS__A_B__ENABLED="false")
    assert settings.plugins["a_b"].enabled is False
    assert settings.plugins["a-b"].enabled is None


def test_a_plugin_without_a_table_has_the_hosts_ways(load: Load) -> None:
    settings = load('[host]\nreconnect = "delta"\n[plugins.a]\nreconnect = "resync"\nretry.first = 9\n')
    assert settings.plugin("b").reconnect == "delta"
    assert settings.plugin("a").reconnect == "resync"
    assert settings.plugin("a").retry.first == 9.0
    assert settings.plugin("b").retry.first == 0.5


WORDS = st.from_regex(r"[A-Za-z0-9]{1,6}", fullmatch=True)
VARIABLES = st.lists(
    st.one_of(st.sampled_from(["HOST", "STORES", "PLUGINS", "A", "", "NAME"]), WORDS), max_size=5
)


@pytest.mark.slow
@given(
    st.dictionaries(
        VARIABLES.map(lambda parts: "DATASYNC_" + "__".join(parts)), st.text(max_size=8), max_size=4
    )
)
def test_any_environment_is_settings_or_one_sentence_that_names_a_variable(environ: dict[str, str]) -> None:
    environ = {
        name: text for name, text in environ.items() if name not in ("DATASYNC_CONFIG", "DATASYNC_STORE")
    }
    try:
        settings = load_settings(cwd=Path("/nonexistent"), environ=environ)
    except ConfigError as error:
        sentence = str(error)
    else:
        sentence = "DATASYNC_"
        used = {row.origin.where for row in settings.rows if row.origin.kind == "environment"}
        assert used <= {name for name in environ if "__" in name}
    assert sentence.startswith("DATASYNC_")
    assert "\n" not in sentence


@given(st.text(st.characters(blacklist_categories=["Cs"]), max_size=20))
def test_a_text_in_a_variable_comes_through_as_it_is(text: str) -> None:
    environ = {"DATASYNC_PLUGINS__A__CONFIG__X": text.replace("$", "")}
    settings = load_settings(cwd=Path("/nonexistent"), environ=environ)
    assert settings.plugins["a"].config == {"x": text.replace("$", "")}
