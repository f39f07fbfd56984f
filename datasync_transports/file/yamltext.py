"""YAML, as far as it is JSON: one document, with text for keys, each once, and aliases that end somewhere.

PyYAML's safe loader, in C where it was built with libyaml, does the parsing; it would take the last of two equal
keys, follow an alias until the memory is full, and crash on a text that is nested too deeply. What a plain scalar is
(`scalars`) follows the core schema of YAML 1.2. An alias shares the value of its anchor: it costs memory only when it
is written out, and how much that will be is counted before.
"""

from __future__ import annotations

from typing import Any

import yaml

from datasync_transports.file.broken import Broken, brief, place_of
from datasync_transports.file.scalars import MAP, MERGE, PLAIN, SEQ, TEXT, json_size, scalar

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Loader: Any = type("_Loader", (_Base,), {"yaml_implicit_resolvers": {}})
for _tag, _pattern, _first in PLAIN:
    _Loader.add_implicit_resolver(_tag, _pattern, _first)
_DEEP = 200
_LARGE = 1_000_000  # values, after aliases


def parse(text: str, limit: int) -> Any:
    """Return the value of a YAML document, which as JSON has at most ``limit`` bytes. Raises `Broken`."""
    try:
        _check_events(text)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                raise Broken("holds no value", 1, 1)
            _Sizes(limit).of(node)
            return _Values(loader).of(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        problem = " ".join(filter(None, (error.context, error.problem)))
        raise _broken(f"expected YAML: {problem}", error.problem_mark or error.context_mark) from None
    except yaml.reader.ReaderError as error:
        raise Broken(
            f"expected YAML: {error.reason} (0x{error.character:02x})", *place_of(text, error.position)
        ) from None


def _check_events(text: str) -> None:
    """Raise `Broken` where nodes are too deep, or too many: each takes some hundred bytes."""
    depth = values = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEP:
                raise _broken(f"is nested more than {_DEEP} deep", event.start_mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
            continue
        values += 1
        if values > 2 * _LARGE:  # keys are nodes, too
            raise _broken(f"stands for more than {_LARGE} values", event.start_mark)


class _Sizes:
    """How much nodes stand for, aliases followed: values, and bytes of JSON. Each node is looked at once."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._found: dict[int, tuple[int, int]] = {}

    def of(self, node: Any) -> tuple[int, int]:
        """Return values and bytes of a node. Raises `Broken` where they are too many, or without end."""
        found = self._found.get(id(node))
        if found is None:
            if isinstance(node, yaml.ScalarNode):
                found = 1, json_size(node.tag, node.value)
            else:
                self._found[id(node)] = 0, 0  # while its own content is looked at
                found = self._of_collection(node)
            self._check(found, node)
            self._found[id(node)] = found
        elif not found[0]:
            raise _broken("an alias refers to what it is a part of", node.start_mark)
        return found

    def _of_collection(self, node: Any) -> tuple[int, int]:
        mapping = isinstance(node, yaml.MappingNode)
        if mapping:
            _check_keys(node)
        values, size = 1, 2
        for item in node.value:
            more, longer = self.of(item[1] if mapping else item)
            values += more
            size += longer + 1
            if mapping:
                size += self.of(item[0])[1] + 1
        return values, size

    def _check(self, found: tuple[int, int], node: Any) -> None:
        values, size = found
        if values > _LARGE:
            raise _broken(f"stands for more than {_LARGE} values", node.start_mark)
        if size > self._limit + 1:  # there is one separator less than there are values
            problem = (
                f"stands for more than {self._limit} bytes; use fewer aliases, or set the option max_document"
            )
            raise _broken(problem, node.start_mark)


class _Values:
    """The values of nodes; an alias has its anchor's own."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._made: dict[int, Any] = {}

    def of(self, node: Any) -> Any:
        """Return a node's value. Raises `Broken` where its tag has no form in JSON, or does not fit it."""
        if id(node) in self._made:
            return self._made[id(node)]
        made: Any
        if isinstance(node, yaml.ScalarNode):
            try:
                made = scalar(node.tag, node.value)
            except ValueError as error:
                raise _broken(str(error), node.start_mark) from None
        elif node.tag == MAP and isinstance(node, yaml.MappingNode):
            self._loader.flatten_mapping(node)  # merge keys
            made = {key.value: self.of(value) for key, value in node.value}
        elif node.tag == SEQ and isinstance(node, yaml.SequenceNode):
            made = [self.of(item) for item in node.value]
        else:
            raise _broken(f"the tag {brief(node.tag)} has no form in JSON; remove it", node.start_mark)
        self._made[id(node)] = made
        return made


def _check_keys(node: Any) -> None:
    names: set[str] = set()
    for key, _ in node.value:
        if key.tag == MERGE:
            continue
        if key.tag != TEXT or not isinstance(key, yaml.ScalarNode):
            shown = (
                f"{brief(key.value)} is {key.tag.rpartition(':')[2]}; quote it"
                if key.id == "scalar"
                else key.id
            )
            raise _broken(f"expected text as a key, got {shown}", key.start_mark)
        if key.value in names:
            raise _broken(f"the key {brief(key.value)} is there twice", key.start_mark)
        names.add(key.value)


def _broken(problem: str, mark: Any) -> Broken:
    return Broken(problem, mark.line + 1, mark.column + 1) if mark is not None else Broken(problem)
