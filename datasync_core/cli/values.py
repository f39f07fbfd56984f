"""Values as commands print them: bytes for pipes, one line for people, JSON for programs."""

from __future__ import annotations

import base64
import codecs
import json
from collections.abc import Callable
from typing import Any

from datasync_core.model.keys import shown


def as_fields(value: bytes) -> dict[str, Any]:
    """``{"text": …}`` where the value is text, else ``{"base64": …}``: what `dump` writes and `load` takes."""
    try:
        return {"text": value.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def as_line(value: bytes) -> str:
    """The value on one line: text as it is, with control characters written as escapes; else base64."""
    fields = as_fields(value)
    if "base64" in fields:
        return f"base64:{fields['base64']}"
    return shown(fields["text"])


def json_text(value: Any, encoding: str = "utf-8", default: Callable[[Any], Any] | None = None) -> str:
    """A JSON document on one line; what may not be printed as it is there is written as JSON's own escapes.

    These are control characters, and all that is not ASCII where the encoding is not UTF-8, as JSON's is.
    """
    if codecs.lookup(encoding).name != "utf-8":
        return json.dumps(value, default=default)
    text = json.dumps(value, ensure_ascii=False, default=default)
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    return character if character.isprintable() else json.dumps(character)[1:-1]
