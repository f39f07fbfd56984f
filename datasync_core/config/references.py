"""``${NAME}`` in a setting: a secret that is taken from the environment, and is never shown.

``$${`` stands for a plain ``${``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from datasync_core.model.url import REDACTED

_REFERENCE = re.compile(r"\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)\})?")


def refers(value: Any) -> bool:
    """Whether a value, or a text inside it, takes something from the environment."""
    if isinstance(value, str):
        return any(match[0] != "$${" for match in _REFERENCE.finditer(value))
    return any(
        map(
            refers, value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
        )
    )


def resolve(value: Any, environ: Mapping[str, str], *, url: bool = False) -> Any:
    """The value with its references replaced; inside a URL they are percent-encoded.

    Raises ValueError for a name that is not set, and for ``${`` that is no reference.
    """
    whole = isinstance(value, str) and _REFERENCE.fullmatch(value)  # then it is the URL, not a part of one

    def replace(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        name = match[1]
        if name is None:
            raise ValueError("holds ${ without a NAME}: write ${NAME} for a variable, $${ for a plain ${")
        if name not in environ:
            raise ValueError(f"takes ${{{name}}} from the environment, where {name} is not set")
        return quote(environ[name], safe="") if url and not whole else environ[name]

    return _rewrite(value, replace)


def masked(value: Any) -> Any:
    """The value as it may be shown: what would come from the environment is hidden."""
    return _rewrite(value, lambda match: "${" if match[0] == "$${" else REDACTED)


def _rewrite(value: Any, replace: Callable[[re.Match[str]], str]) -> Any:
    if isinstance(value, str):
        return _REFERENCE.sub(replace, value)
    if isinstance(value, Mapping):
        return {name: _rewrite(item, replace) for name, item in value.items()}
    return [_rewrite(item, replace) for item in value] if isinstance(value, list) else value
