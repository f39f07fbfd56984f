"""URLs of stores: ``scheme://user:password@host:port,host/path?option=value``, or ``scheme:path``.

Not `urllib.parse`: several hosts, and paths relative to the file that names the URL.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote

from attrs import field, frozen

from datasync_core.model.errors import ConfigError

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*\Z")
_SECRET = re.compile(
    r"passw|pasw|passphrase|pwd|secret|token|credential|private|api.?key|access.?key|cookie|authori[sz]ation"
    r"|(?:^|[_.-])(?:pass|pw|auth|community|communities|psk|jwt|dsn|pins?|otp|hmac|bearer)(?:$|[_.-]|\d)|[_.-]keys?\d*$"
    r"|(?-i:[a-z](?:Pass|Auth|Community|Psk|Jwt|Dsn|Pin|Otp|Hmac|Key)s?(?:$|[A-Z_.-]|\d))",
    re.IGNORECASE,
)
"""What names of secrets have in them; the short words only as a word of their own (``auth_mode``, ``enablePin``)."""
_UNREADABLE = "has an @ after its server: write / ? and @ of a user name or password as %2F %3F and %40"
_PASSWORD = re.compile(r"(?<=://)([^\s:/]*):(\S+)(?=@)")
REDACTED = "***"


def is_secret(name: str) -> bool:
    """Whether a setting of this name is a secret, never to be shown."""
    return bool(_SECRET.search(name))


def passwords(text: str) -> list[str]:
    """The passwords in what looks like URLs with credentials."""
    return [match[2] for match in _PASSWORD.finditer(text)]


def without_passwords(text: str) -> str:
    """The text as it may be shown where it looks like URLs with credentials."""
    return _PASSWORD.sub(rf"\1:{REDACTED}", text)


@frozen
class Url:
    """A store's URL in parts; ``str()`` and ``repr()`` never show the password or a secret option.

    ``hides_user``: nor the user, who came from ``${NAME}``; messages name `shown_user`.
    """

    scheme: str
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    hosts: tuple[tuple[str, int | None], ...] = ()
    path: str = ""
    query: Mapping[str, str] = field(factory=dict, repr=False)
    base: Path | None = field(default=None, repr=False, eq=False)
    hides_user: bool = field(default=False, repr=False, eq=False)

    @property
    def shown_user(self) -> str | None:
        """The user as messages may name it."""
        return REDACTED if self.user and self.hides_user else self.user

    @classmethod
    def parse(cls, text: str, base: Path | None = None) -> Url:
        """Read a URL; relative paths in it are relative to ``base`` (``None``: the working directory).

        Raises `ConfigError` with what would be right; the text itself, which may hold a password, is not shown.
        """
        scheme, colon, rest = text.partition(":")
        if not colon or not _SCHEME.match(scheme):
            raise ConfigError(
                "a store's URL begins with its scheme, as in sqlite:datasync.db or redis://host:6379/0"
            )
        rest, _, query_text = rest.partition("?")
        query = _query(scheme, query_text)
        if not rest.startswith("//"):
            if re.match("/?[^/]*:.*@", rest) or any("@" in name for name in query):
                raise ConfigError(f"the {scheme}: URL lacks its slashes: write {scheme}://USER:PASSWORD@HOST")
            return cls(scheme, path=unquote(rest), query=query, base=base)
        authority, slash, path = rest[2:].partition("/")
        if authority and ("@" in path or any("@" in name for name in query)):
            raise ConfigError(f"the {scheme}: URL {_UNREADABLE}")
        credentials, at, hosts = authority.rpartition("@")
        user, password = None, None
        if at:
            user_text, has_password, password_text = credentials.partition(":")
            user = unquote(user_text) or None
            password = unquote(password_text) if has_password else None
        return cls(scheme, user, password, _hosts(scheme, hosts), unquote(slash + path), query, base)

    def file(self) -> Path:
        """The path as a file of this machine: absolute, or relative to ``base``, else to the working directory."""
        path = Path(self.path)
        return path if path.is_absolute() or self.base is None else self.base / path

    def __str__(self) -> str:
        text = f"{self.scheme}:"
        known = self.user or self.password is not None
        if known or self.hosts or self.path.startswith("/"):
            text += "//"
        if known:
            who = self.shown_user or ""
            text += who if self.hides_user else quote(who, safe="")
            text += (f":{REDACTED}" if self.password is not None else "") + "@"
        text += ",".join(host if port is None else f"{host}:{port}" for host, port in self.hosts) + quote(
            self.path
        )
        shown = "&".join(
            f"{quote(name)}={REDACTED if is_secret(name) else quote(value)}"
            for name, value in self.query.items()
        )
        return f"{text}?{shown}" if shown else text


def _query(scheme: str, text: str) -> dict[str, str]:
    query: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name in query:
            raise ConfigError(f"the {scheme}: URL has the option {name!r} twice")
        query[name] = value
    return query


def _hosts(scheme: str, text: str) -> tuple[tuple[str, int | None], ...]:
    hosts = []
    for item in filter(None, text.split(",")):
        match = re.match(r"(\[[^\]]+\]|[^:]*)(?::([0-9]+))?\Z", item)
        # What is there may be half of a password with a slash in it, so it is not shown.
        if match is None:
            raise ConfigError(f"the {scheme}: URL has a host that is not HOST or HOST:PORT")
        if match[2] and (len(match[2]) > 5 or not 1 <= int(match[2]) <= 65535):
            raise ConfigError(f"the {scheme}: URL has a port that is none: ports are 1 to 65535")
        hosts.append((match[1], int(match[2]) if match[2] else None))
    return tuple(hosts)
