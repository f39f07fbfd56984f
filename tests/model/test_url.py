from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from datasync_core.model.errors import ConfigError
from datasync_core.model.url import Url, is_secret

SECRET = st.text("abcXYZ0123456789/?#@:%&=+ü~", min_size=4, max_size=12).map(lambda text: f"S{text}E")


def test_every_part_of_a_url_is_read() -> None:
    url = Url.parse("redis://me:p%2Fw@a.example:6379,b.example,[::1]:1/0/x%20y?prefix=agent%2F&db=")
    assert (url.scheme, url.user, url.password) == ("redis", "me", "p/w")
    assert url.hosts == (("a.example", 6379), ("b.example", None), ("[::1]", 1))
    assert url.path == "/0/x y"
    assert url.query == {"prefix": "agent/", "db": ""}


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("sqlite:data.db", "data.db"),
        ("sqlite:///var/lib/a@b.db", "/var/lib/a@b.db"),
        ("memory:", ""),
        ("memory:shared", "shared"),
        ("file:conf.d/x:y", "conf.d/x:y"),
    ],
)
def test_a_url_without_a_server_is_a_path(text: str, path: str) -> None:
    url = Url.parse(text)
    assert (url.path, url.hosts, url.user, url.password) == (path, (), None, None)


def test_a_relative_file_lies_beside_who_names_it(tmp_path: Path) -> None:
    assert Url.parse("sqlite:a.db", tmp_path).file() == tmp_path / "a.db"
    assert Url.parse("sqlite:a.db").file() == Path("a.db")
    assert Url.parse("sqlite:///a.db", tmp_path).file() == Path("/a.db")


def test_an_empty_user_and_an_empty_password_are_told_apart() -> None:
    assert (Url.parse("redis://:pw@h").user, Url.parse("redis://:pw@h").password) == (None, "pw")
    assert (Url.parse("redis://u@h").user, Url.parse("redis://u@h").password) == ("u", None)
    assert Url.parse("redis://u:@h").password == ""


@given(SECRET, st.sampled_from(["h", "h:1", "h1,h2:2", ""]), st.sampled_from(["", "/0", "/0?prefix=a"]))
def test_an_encoded_password_is_read_and_never_shown(password: str, hosts: str, rest: str) -> None:
    url = Url.parse(f"redis://me:{quote(password, safe='')}@{hosts}{rest}")
    assert url.password == password
    for text in (str(url), repr(url)):
        assert password not in text
        assert quote(password) not in text
        assert quote(password, safe="") not in text
    assert ":***@" in str(url)


@given(st.text("abc01/?@:", min_size=1, max_size=10), st.sampled_from(["//", "/", ""]))
@example("12/3", "//")
@example("12?3", "//")
@example("a/b", "//")
@example("a?b@c", "//")
@example("pw", "")
@example("pw", "/")
def test_a_password_that_was_not_encoded_is_not_shown_either(text: str, slashes: str) -> None:
    """Each part of it is looked for, as it may have been taken for a port, a path, or an option."""
    password = f"S{text}E"
    try:
        url = Url.parse(f"redis:{slashes}me:{password}@host:6379/0?prefix=x")
    except ConfigError as error:
        shown = str(error)
    else:
        shown = str(url) + repr(url)
    assert "S" + text[:1] not in shown.replace("USER:PASSWORD@HOST", "")
    assert text[-1:] + "E" not in shown.replace("USER:PASSWORD@HOST", "")


@pytest.mark.parametrize("text", ["redis://u:12/34@h:1/0", "redis://u:12?34@h:1/0", "redis://u:p@12/34@h/0"])
def test_digits_of_a_password_are_not_taken_for_a_port(text: str) -> None:
    with pytest.raises(ConfigError) as error:
        Url.parse(text)
    assert "34" not in str(error.value)
    assert "%2F" in str(error.value)


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "sentinel_password",
        "PASSWD",
        "passphrase",
        "pwd",
        "token",
        "client_secret",
        "api_key",
        "pass",
        "pasword",
        "pw",
        "auth",
        "http_auth",
        "basicAuth",
        "snmp.community",
        "psk",
        "wifi-psk",
        "encryption_key",
        "signingKey",
        "jwt",
        "session_cookie",
        "sentry_dsn",
        "pin",
        "sim_pin2",
        "authorization",
    ],
)
def test_an_option_that_is_a_secret_is_not_shown(name: str) -> None:
    assert is_secret(name)
    url = Url.parse(f"redis://h?{name}=hidden&db=1")
    assert url.query[name] == "hidden"
    assert str(url) == f"redis://h?{name}=***&db=1"
    assert "hidden" not in repr(url)


def test_an_option_that_is_none_is_shown() -> None:
    names = [
        "prefix",
        "separator",
        "liveness",
        "db",
        "keyspace",
        "compass",
        "key",
        "keys",
        "author",
        "pinned",
        "spin",
    ]
    names += ["monkey", "keystore", "key_file", "pipeline", "bypass", "cert", "user", "url"]
    assert not any(map(is_secret, names))


@pytest.mark.parametrize(
    "text",
    [
        "memory:",
        "sqlite:data.db",
        "sqlite:///var/lib/a%20b.db",
        "redis://me@h:6379,i/0?prefix=agent/&x%20y=1%26",
        "redis://a%2Fb@h",
        "redis://u@/0",
        "redis://u@",
        "zookeeper://[::1]:2181,h2/chroot",
    ],
)
def test_a_url_without_a_secret_is_shown_as_it_can_be_read(text: str) -> None:
    assert str(Url.parse(text)) == text
    assert Url.parse(str(Url.parse(text))) == Url.parse(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("data.db", "a store's URL begins with its scheme, as in sqlite:datasync.db or redis://host:6379/0"),
        (
            "Redis://h",
            "a store's URL begins with its scheme, as in sqlite:datasync.db or redis://host:6379/0",
        ),
        (
            "redis\n://h",
            "a store's URL begins with its scheme, as in sqlite:datasync.db or redis://host:6379/0",
        ),
        ("redis://h:x", "the redis: URL has a host that is not HOST or HOST:PORT"),
        ("redis://h:65536", "the redis: URL has a port that is none: ports are 1 to 65535"),
        ("redis://h:0", "the redis: URL has a port that is none: ports are 1 to 65535"),
        ("redis://h:99999999999", "the redis: URL has a port that is none: ports are 1 to 65535"),
        ("redis://h?a=1&a=2", "the redis: URL has the option 'a' twice"),
    ],
)
def test_a_wrong_url_is_refused_with_what_would_be_right(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        Url.parse(text)
    assert str(error.value) == sentence
