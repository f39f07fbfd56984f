"""Secrets come from the environment and are shown nowhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasync_core.config import Settings, load_settings
from datasync_core.config.references import masked, refers, resolve
from datasync_core.model.errors import ConfigError

Load = Callable[..., Settings]
Shown = Callable[[Settings], Mapping[str, tuple[str, str]]]

SECRET = "s3cr/t@${x}?#&=%"


def test_a_reference_is_resolved_encoded_inside_a_url_and_never_shown(load: Load, shown: Shown) -> None:
    settings = load(
        """
        [stores]
        main = "redis://bob:${PW}@cache:6379/0?prefix=a/${PW}/&tag=${PW}&plain=x"
        [stores.aux]
        url = "memory:x"
        sasl = "${PW}"
        [plugins.a.config]
        header = "Bearer ${PW}"
        list = ["${PW}", "y"]
        password = "literal"
        nested = { token = "literal", port = 1 }
        """,
        PW=SECRET,
    )
    main, aux, plugin = settings.stores["main"], settings.stores["aux"], settings.plugins["a"]
    assert main.url.password == SECRET
    assert main.url.hosts == (("cache", 6379),)
    assert main.prefix == f"a/{SECRET}/"
    assert main.options == {"tag": SECRET}
    assert main.text == {"tag"}
    assert main.url.query == {"plain": "x"}
    assert aux.options == {"sasl": SECRET}
    assert aux.text == {"sasl"}
    assert plugin.config["header"] == f"Bearer {SECRET}"
    assert plugin.config["list"] == [SECRET, "y"]
    assert plugin.text
    rows = shown(settings)
    assert rows["stores.main.url"][0] == '"redis://bob:***@cache:6379/0?plain=x"'
    assert rows["stores.main.prefix"][0] == '"a/***/"'
    assert rows["stores.main.tag"][0] == '"***"'
    assert rows["stores.aux.sasl"][0] == '"***"'
    assert rows["plugins.a.config.header"][0] == '"Bearer ***"'
    assert rows["plugins.a.config.list"][0] == '["***", "y"]'
    assert rows["plugins.a.config.password"][0] == "***"
    assert rows["plugins.a.config.nested"][0] == "{ token = ***, port = 1 }"
    for text in (repr(settings), str(settings.rows), str(main.url), repr(main), repr(aux), repr(plugin)):
        assert SECRET not in text
        assert "literal" not in text
        assert "s3cr" not in text


@pytest.mark.parametrize("url", ["${URL}", "redis://:${PW}@${HOST}:${PORT}/0"])
def test_a_url_can_come_from_the_environment_whole_or_in_any_part(url: str, load: Load, shown: Shown) -> None:
    parts = {"URL": "redis://:p%2Fw@h:1/0?tag=t", "PW": "p/w", "HOST": "h", "PORT": "1"}
    settings = load(f'[stores]\nmain = "{url}"\n', **parts)
    main = settings.stores["main"]
    assert (main.url.password, main.url.hosts) == ("p/w", (("h", 1),))
    assert shown(settings)["stores.main.url"][0] == '"***"'
    assert "p/w" not in str(settings.rows)
    assert "tag=t" not in str(main.url)


def test_a_reference_works_in_variables_and_options_too(load: Load) -> None:
    settings = load(DATASYNC_STORE="redis://:${PW}@e", DATASYNC_PLUGINS__A__CONFIG__K="${PW}", PW="w")
    assert settings.stores["main"].url.password == "w"
    assert settings.plugins["a"].config == {"k": "w"}
    assert load(stores=["redis://:${PW}@c"], PW="w").stores["main"].url.password == "w"


def test_an_unset_or_broken_reference_is_an_error_that_names_it(load: Load) -> None:
    text = '[stores]\nmain = "redis://:${REDIS_PW}@h"\n'
    with pytest.raises(ConfigError) as error:
        load(text)
    assert str(error.value) == (
        "datasync.toml:2: stores.main.url takes ${REDIS_PW} from the environment, where REDIS_PW is not set"
    )
    assert load(DATASYNC_STORE="memory:").main_store() is not None
    for broken in ("${", "${}", "${A-B}", "${A:-x}"):
        with pytest.raises(
            ConfigError, match=r"^datasync\.toml:2: plugins\.a\.config\.x holds \$\{ without a NAME"
        ):
            load(f'[plugins.a.config]\nx = "pre {broken}"\n', A="1")


def test_two_dollars_make_a_plain_one(load: Load, shown: Shown) -> None:
    settings = load('[plugins.a.config]\nx = "$${NAME} $5 $$"\n')
    assert settings.plugins["a"].config == {"x": "${NAME} $5 $$"}
    assert not settings.plugins["a"].text
    assert shown(settings)["plugins.a.config.x"][0] == '"${NAME} $5 $$"'


@pytest.mark.parametrize(
    "url", ["redis://:sec/ret@host:6379", "redis://:${PW}@host:x", "${PW}", "redis://sec:ret@h:99999"]
)
def test_a_url_that_cannot_be_read_is_refused_without_its_password(url: str, load: Load) -> None:
    with pytest.raises(ConfigError, match=r"datasync\.toml:2: stores\.main: .*percent-encoded") as error:
        load(f'[stores]\nmain = "{url}"\n', PW="secret")
    assert "sec" not in str(error.value)


def test_a_wrong_value_that_is_a_secret_is_not_quoted(load: Load) -> None:
    with pytest.raises(ConfigError, match=r"host\.hold must be a number of seconds above 0, got text$"):
        load('[host]\nhold = "${PW}"\n', PW="secret")


ENVIRON = st.dictionaries(st.sampled_from(["A", "B_1"]), st.text(max_size=5), min_size=2)
PARTS = st.lists(st.sampled_from(["${A}", "${B_1}", "$${", "$", "{", "}", "x", "A"]), max_size=8).map("".join)


@pytest.mark.slow
@given(PARTS, ENVIRON)
def test_only_a_text_with_references_is_masked(text: str, environ: dict[str, str]) -> None:
    """Shows a text without references unchanged, and masks the value of one that has any."""
    try:
        value = resolve(text, environ)
    except ValueError:
        assert refers(text)
        return
    if refers(text):
        assert "***" in masked(text)
    else:
        assert masked(text) == value


@pytest.mark.slow
def test_the_shown_settings_never_hold_a_secret_whatever_it_is() -> None:
    @given(st.text("s&=%/@:?#${} ", min_size=1, max_size=8).map(lambda text: f"Q{text}Q"))
    def check(secret: str) -> None:
        environ = {"PW": secret, "DATASYNC_STORE": "redis://:${PW}@h:1/x${PW}?q=${PW}&prefix=${PW}"}
        settings = load_settings(cwd=Path("/nonexistent"), environ=environ)
        main = settings.stores["main"]
        assert main.url.password == secret
        assert main.options == {"q": secret}
        assert main.prefix == secret
        assert secret not in str(settings.rows)

    check()
