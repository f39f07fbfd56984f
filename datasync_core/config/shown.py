"""Values as an operator may see them: in TOML's notation, without secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import evolve

from datasync_core.config.references import masked, refers
from datasync_core.model.errors import ConfigError
from datasync_core.model.url import REDACTED, Url, is_secret, without_passwords


def show(value: Any, name: str = "") -> str:
    """A value in TOML's notation; hidden where its name, or a name inside it, is a secret's, and in URLs."""
    if is_secret(name):
        return REDACTED
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, str | Path):
        return json.dumps(without_passwords(str(value)), ensure_ascii=False)
    if isinstance(value, Mapping):
        inside = ", ".join(f"{key} = {show(item, key)}" for key, item in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(show, value))}]"
    return str(value)


def show_url(url: Url, written: str) -> str:
    """A store's URL; ``written`` is what the source says, with references."""
    if refers(written):
        try:
            template = Url.parse(masked(written))
        except ConfigError:
            return show(REDACTED)
        query = {name: value for name, value in template.query.items() if name in url.query}
        return show(str(evolve(template, query=query)).replace("%2A%2A%2A", REDACTED))
    return show(str(url))


def got(value: Any, *, hidden: bool) -> str:
    """What was there instead, for a message."""
    if hidden or isinstance(value, Mapping):
        words: list[tuple[type | tuple[type, ...], str]] = [
            (bool, "true or false"),
            ((int, float), "a number"),
            (str, "text"),
            (list, "a list"),
            (Mapping, "a table"),
        ]
        return next((word for kind, word in words if isinstance(value, kind)), "something else")
    text = show(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
