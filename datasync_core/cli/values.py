"""Values as commands print them: bytes for pipes, one line for people, JSON for programs."""

from __future__ import annotations

import base64
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
