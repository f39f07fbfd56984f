"""Every setting there is: its name, its kind, its default. What is not in this table is refused.

``*`` stands for any name. Below ``stores.*`` and ``plugins.*.config`` names are free: the transport and the
plugin check them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from attrs import frozen

from datasync_core.config.settings import HostSettings

_NAME = re.compile(r"(?!.*__)[a-z][a-z0-9_-]*\Z")
_HOST_NAME = re.compile(r"[^/\x00-\x1f\x7f]+\Z")


@frozen
class Kind:
    """What a setting takes. ``read`` returns the value, or raises ValueError.

    ``text``: the environment gives it as it is; else it gives TOML.
    """

    expected: str
    read: Callable[[Any], Any]
    text: bool = False


@frozen
class Setting:
    """One setting. ``default`` None: nothing, shown as ``unset``. ``inherited``: the host's value is the default."""

    name: str
    kind: Kind
    default: Any = None
    unset: str | None = None
    inherited: bool = False


def is_name(text: str) -> bool:
    """Whether a store or a plugin may be called so."""
    return bool(_NAME.match(text))


def _reader(
    test: Callable[[Any], bool], convert: Callable[[Any], Any] = lambda value: value
) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if not test(value):
            raise ValueError
        return convert(value)

    return read


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_names(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) and item for item in value)


def _choice(*words: str) -> Kind:
    return Kind(
        " or ".join(map(repr, words)).replace("'", '"'), _reader(lambda value: value in words), text=True
    )


ANYTHING = Kind("a value", lambda value: value, text=True)
TEXT = Kind("text", _reader(_is_text), text=True)
SOME_TEXT = Kind("text that is not empty", _reader(lambda value: _is_text(value) and value != ""), text=True)
NAME = Kind('a name like "main"', _reader(lambda value: _is_text(value) and is_name(value)), text=True)
HOST_NAME = Kind(
    "a name without slashes and control characters",
    _reader(lambda value: isinstance(value, str) and bool(_HOST_NAME.match(value.strip())), str.strip),
    text=True,
)
FOLDER = Kind(
    'a folder like "/var/lib/agent"', _reader(lambda value: _is_text(value) and value != "", Path), text=True
)
FLAG = Kind("true or false", _reader(lambda value: isinstance(value, bool)))
SECONDS = Kind("a number of seconds above 0", _reader(lambda value: _is_number(value) and value > 0, float))
SHARE = Kind("a number from 0 to 1", _reader(lambda value: _is_number(value) and 0 <= value <= 1, float))
COUNT = Kind("a whole number from 1", _reader(_is_count))
NAMES = Kind('a list of names like ["routes"]', _reader(_is_names, tuple))

_DEFAULTS = HostSettings("")

SETTINGS = (
    Setting("host.name", HOST_NAME, unset="the machine's name"),
    Setting("host.only", NAMES, unset="all"),
    Setting("host.disable", NAMES, _DEFAULTS.disable),
    Setting("host.state_dir", FOLDER),
    Setting("host.stop_timeout", SECONDS, _DEFAULTS.stop_timeout),
    Setting("host.hook_timeout", SECONDS, _DEFAULTS.hook_timeout),
    Setting("host.on_hang", _choice("report", "restart"), _DEFAULTS.on_hang),
    Setting("host.brake.share", SHARE, _DEFAULTS.brake.share),
    Setting("host.brake.keys", COUNT, _DEFAULTS.brake.keys),
    Setting("host.retry.first", SECONDS, _DEFAULTS.retry.first),
    Setting("host.retry.most", SECONDS, _DEFAULTS.retry.most),
    Setting("host.retry.resync_after", COUNT, _DEFAULTS.retry.resync_after),
    Setting("host.hold", SECONDS, _DEFAULTS.hold),
    Setting("host.fault_policy", _choice("resync", "restart", "ignore"), _DEFAULTS.fault_policy),
    Setting("host.reconnect", _choice("resync", "delta"), _DEFAULTS.reconnect),
    Setting("host.audit", SECONDS, unset="off"),
    Setting("stores.*.url", SOME_TEXT),
    Setting("stores.*.prefix", TEXT, ""),
    Setting("stores.*.separator", SOME_TEXT, "/"),
    Setting("stores.*.liveness", SECONDS, 10.0),
    Setting("stores.*.*", ANYTHING),
    Setting("plugins.*.enabled", FLAG, True),
    Setting("plugins.*.use", NAME),
    Setting("plugins.*.config.*", ANYTHING),
    Setting("plugins.*.store", NAME),
    Setting("plugins.*.stores.*", NAME),
    Setting("plugins.*.requires", NAMES),
    Setting("plugins.*.brake.share", SHARE, inherited=True),
    Setting("plugins.*.brake.keys", COUNT, inherited=True),
    Setting("plugins.*.retry.first", SECONDS, inherited=True),
    Setting("plugins.*.retry.most", SECONDS, inherited=True),
    Setting("plugins.*.retry.resync_after", COUNT, inherited=True),
    Setting("plugins.*.fault_policy", _choice("resync", "restart", "ignore"), inherited=True),
    Setting("plugins.*.reconnect", _choice("resync", "delta"), inherited=True),
)

Node: TypeAlias = "Setting | Mapping[str, Node]"


def _tree() -> dict[str, Node]:
    root: dict[str, Any] = {}
    for setting in SETTINGS:
        *folders, leaf = setting.name.split(".")
        at = root
        for folder in folders:
            at = at.setdefault(folder, {})
        at[leaf] = setting
    return root


TREE: Mapping[str, Node] = _tree()
