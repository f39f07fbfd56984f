"""What each source says: the file, the environment, the command line, as single settings with their origin.

A source is taken apart along the table of settings; what the table does not know is refused here. Values are
checked later (`loading`), when it is known which of them need secrets.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from attrs import field, frozen

from datasync_core.config.lines import key_lines
from datasync_core.config.nearest import CUTOFF, did_you_mean
from datasync_core.config.settings import Origin
from datasync_core.config.table import TREE, Node, Setting, is_name
from datasync_core.model.errors import ConfigError
from datasync_core.model.nearest import nearest

Names: TypeAlias = tuple[str, ...]
_VARIABLE = "DATASYNC_"
MAIN = ("stores", "main", "url")
_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")


@frozen
class Given:
    """One setting as a source gives it, or (``setting`` None) a table of a store or plugin that is there."""

    path: Names
    setting: Setting | None
    value: Any = field(repr=False)
    origin: Origin
    base: Path
    """What relative paths in it are relative to."""
    text: bool = False
    """Whether a value whose type is the reader's affair came as text."""


@frozen
class Overrides:
    """What the command line says. ``stores``: ``URL`` (main's) or ``NAME=URL``. ``disable`` adds to the others'."""

    name: str | None = None
    stores: Sequence[str] = ()
    only: Sequence[str] = ()
    disable: Sequence[str] = ()


def from_file(content: bytes, shown: str, base: Path) -> Iterator[Given]:
    """The settings of a TOML file, named ``shown`` in messages."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{shown}:{line}: this is no UTF-8 text: write the file as UTF-8") from None
    try:
        document = tomllib.loads(text)
    except RecursionError:
        raise ConfigError(f"{shown}: this is nested too deeply") from None
    except ValueError as error:
        place = re.search(r" \(at line (\d+), column \d+\)\Z", str(error))
        line = int(place[1]) if place else text.count("\n") + 1
        message = str(error)[: place.start()] if place else str(error)
        raise ConfigError(f"{shown}:{line}: this is no TOML: {message}") from None
    lines = key_lines(text)

    def origin(path: Names) -> Origin:
        line = lines.get(path)
        return Origin("file", f"{shown}:{line}" if line else shown)

    return _taken_apart((), document, TREE, origin, base)


def from_environment(environ: Mapping[str, str], known: Iterable[Names], base: Path) -> Iterator[Given]:
    """The settings in variables. ``known`` are the paths that others gave, for names that hold a ``-``."""
    spelt = {(path[0], path[1].replace("-", "_")): path[1] for path in sorted(known) if len(path) > 1}
    for variable, text in sorted(environ.items()):
        origin = Origin("environment", variable)
        if variable == "DATASYNC_STORE" and text:
            yield Given(MAIN, setting_at(MAIN, origin), text, origin, base)
        if not variable.startswith(_VARIABLE) or "__" not in variable:
            continue
        path = tuple(variable.removeprefix(_VARIABLE).lower().split("__"))
        if path[0] in ("stores", "plugins") and len(path) > 1:
            path = (path[0], spelt.get((path[0], path[1]), path[1]), *path[2:])
        node = _at(path, origin)
        if isinstance(node, Setting):
            raw = text if node.kind.text else read_toml(text)
            yield Given(path, node, raw, origin, base, text=True)
        else:
            is_store = path[0] == "stores" and len(path) == 2
            yield from _taken_apart(path, text if is_store else read_toml(text), node, _always(origin), base)


def from_command_line(overrides: Overrides, base: Path) -> Iterator[Given]:
    """The settings in options of a command."""

    def given(path: Names, value: Any, option: str) -> Given:
        origin = Origin("command line", option)
        return Given(path, setting_at(path, origin), value, origin, base)

    if overrides.name is not None:
        yield given(("host", "name"), overrides.name, "--name")
    if overrides.only:
        yield given(("host", "only"), list(overrides.only), "--only")
    if overrides.disable:
        yield given(("host", "disable"), list(overrides.disable), "-p no:NAME")
    for text in overrides.stores:
        name, equals, url = text.partition("=")
        named = bool(equals) and ":" not in name
        yield given(("stores", name if named else "main", "url"), url if named else text, "--store")


def setting_at(path: Names, origin: Origin) -> Setting:
    """The setting of this path, which is no table; raises `ConfigError` where there is none."""
    node = _at(path, origin)
    assert isinstance(node, Setting)
    return node


def dotted(path: Names) -> str:
    """The path as TOML writes it."""
    return ".".join(part if _BARE.match(part) else json.dumps(part, ensure_ascii=False) for part in path)


def _taken_apart(
    path: Names, value: Any, node: Node, origin: Callable[[Names], Origin], base: Path
) -> Iterator[Given]:
    if isinstance(node, Setting):
        yield Given(path, node, value, origin(path), base)
        return
    if len(path) == 2 and path[0] == "stores" and not isinstance(value, Mapping):
        yield Given((*path, "url"), setting_at((*path, "url"), origin(path)), value, origin(path), base)
        return
    if not isinstance(value, Mapping):
        raise origin(path).refusal(_no_table(path))
    if len(path) == 2 and path[0] in ("stores", "plugins"):
        yield Given(path, None, None, origin(path), base)
    for name, item in value.items():
        below = (*path, name)
        yield from _taken_apart(below, item, _below(path, node, name, origin(below)), origin, base)


def _always(origin: Origin) -> Callable[[Names], Origin]:
    return lambda _: origin


def _no_table(path: Names) -> str:
    if len(path) == 2 and path[0] == "plugins":
        in_host = f"; did you mean host.{path[1]}?" if path[1] in TREE["host"] else ""  # type: ignore[operator]
        return f"{dotted(path)} must be a plugin's table like {{ enabled = false }}{in_host}"
    return f"{dotted(path)} must be a table like {{ name = value }}"


def _at(path: Names, origin: Origin) -> Node:
    node: Node = TREE
    for depth, name in enumerate(path):
        if isinstance(node, Setting):
            raise origin.refusal(f"{dotted(path[:depth])} has no parts; unknown setting {dotted(path)}")
        node = _below(path[:depth], node, name, origin)
    return node


def _below(path: Names, node: Mapping[str, Node], name: str, origin: Origin) -> Node:
    if len(path) == 1 and "*" in node and not is_name(name):
        kind = path[0].removesuffix("s")
        raise origin.refusal(
            f"{dotted((*path, name))} is no name for a {kind}: it takes a-z, 0-9, - and _ (not two), from a letter on"
        )
    below = node.get(name, node.get("*"))
    if below is None or name == "*":
        raise origin.refusal(
            f"unknown setting {dotted((*path, name))}: {_right_name(path, node, name, origin)}"
        )
    return below


def _right_name(path: Names, node: Mapping[str, Node], name: str, origin: Origin) -> str:
    names = [known for known in node if known != "*"]
    host = TREE["host"]
    if (
        nearest(name, names, CUTOFF) is None
        and path == ()
        and isinstance(host, dict)
        and nearest(name, host, CUTOFF)
    ):
        path, names = ("host",), list(host)
    if nearest(name, names, CUTOFF) is None and len(path) == 2 and path[0] == "plugins":
        return f"what a plugin takes itself goes below {dotted((*path, 'config'))}"
    spelling = _variable if origin.kind == "environment" else dotted
    return did_you_mean(name, names, lambda known: spelling((*path, known)))


def _variable(path: Names) -> str:
    return _VARIABLE + "__".join(path).upper().replace("-", "_")


def read_toml(text: str) -> Any:
    """The TOML value that a variable holds; the text itself where it is none, for the check to refuse."""
    try:
        document = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return document["value"] if len(document) == 1 else text
