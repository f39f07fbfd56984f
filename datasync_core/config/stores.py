"""One store's settings out of its URL and its table.

A URL's query and a table can say the same things. The source that ranks higher wins; within one source, the
table. What the host owns (prefix, separator, liveness) is taken out of both; the rest is the transport's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import evolve

from datasync_core.config.checks import RANK, Value, accept
from datasync_core.config.references import masked
from datasync_core.config.settings import DEFAULT, Origin, Row, StoreSettings
from datasync_core.config.shown import show, show_url
from datasync_core.config.sources import Given, read_toml, setting_at
from datasync_core.config.table import SETTINGS
from datasync_core.model.errors import ConfigError
from datasync_core.model.url import REDACTED, Url

EMBEDDED = "sqlite:datasync.db"
_COMMON = {
    option: setting
    for setting in SETTINGS
    if (option := setting.name.removeprefix("stores.*.")) in ("prefix", "separator", "liveness")
}


def embedded_store(cwd: Path) -> StoreSettings:
    """The store of a host that was told of none: a database in the working directory."""
    return StoreSettings("main", Url.parse(EMBEDDED, base=cwd))


def embedded(cwd: Path) -> Iterator[Given]:
    """The embedded store as a setting, where its database is there."""
    if (cwd / "datasync.db").exists():
        path = ("stores", "main", "url")
        yield Given(path, setting_at(path, DEFAULT), EMBEDDED, DEFAULT, cwd)


def read_store(name: str, values: Mapping[str, Value], origin: Origin) -> tuple[StoreSettings, list[Row]]:
    """The settings of the store ``name`` and how to show them; ``origin`` is its table's or its first setting's."""
    if "url" not in values:
        raise origin.refusal(f'store {name} has no url: add url = "{EMBEDDED}" or such')
    written = values["url"].given
    url = _parse(name, values["url"])
    template = _template(written.value)
    shown_query = template.query if template is not None else {}
    query = dict(url.query)
    options: dict[str, object] = {}
    shown: dict[str, tuple[str, Origin]] = {}
    for option, value in values.items():
        if option == "url" or (option in query and RANK[written.origin.kind] > RANK[value.given.origin.kind]):
            continue
        query.pop(option, None)
        options[option] = value.value
        shown[option] = (show(masked(value.given.value), option), value.given.origin)
    text = {option for option in options if values[option].text}
    secret = {option for option in options if values[option].hidden}
    for option, item in url.query.items():
        setting = _COMMON.get(option)
        hidden = shown_query.get(option) != item
        if option not in query or (setting is None and not hidden):
            continue
        # A URL shows its query in messages: what came through a reference must not stay there.
        options[option] = query.pop(option)
        if hidden:
            secret.add(option)
        if setting is None:
            text.add(option)
        else:
            given = item if setting.kind.text else read_toml(item)
            options[option] = accept(("stores", name, option), setting, given, written.origin, hidden=hidden)
        shown[option] = (show(shown_query.get(option, REDACTED), option), written.origin)
    common = {option: options.pop(option, setting.default) for option, setting in _COMMON.items()}
    text.difference_update(common)
    hides_user = template is None or template.user != url.user
    url = evolve(url, query=query, hides_user=hides_user)
    store = StoreSettings(
        name,
        url,
        options,
        frozenset(text),
        frozenset(secret.intersection({*options, *_COMMON})),
        written.origin,
        {option: shown[option][1] for option in options},
        **common,  # type: ignore[arg-type]
    )
    for option, setting in _COMMON.items():
        shown.setdefault(option, (show(setting.default), DEFAULT))
    shown = {"url": (show_url(url, written.value), written.origin), **shown}
    return store, [Row(f"stores.{name}.{option}", *row) for option, row in shown.items()]


def _parse(name: str, value: Value) -> Url:
    given = value.given
    try:
        return Url.parse(value.value, base=given.base)
    except ConfigError as error:
        # The sentence may quote what stands beside a password, or a part of it.
        if value.hidden or "@" in value.value:
            scheme = value.value.partition(":")[0] if not value.hidden else "store's"
            right = "write scheme://user:password@host:port/path, with / ? # @ in a password percent-encoded"
            raise given.origin.refusal(f"stores.{name}: the {scheme} URL cannot be read: {right}") from None
        sentence = str(error).partition(": '")[0]
        raise given.origin.refusal(f"stores.{name}: {sentence}") from None


def _template(written: str) -> Url | None:
    """The URL as it is written, references masked; None where it is one as a whole."""
    try:
        return Url.parse(masked(written))
    except ConfigError:
        return None
