"""YAML, as far as it is JSON: one document, with text for keys, each once, and aliases that end somewhere.

PyYAML's safe loader, in C where it was built with libyaml, does the reading; it would take the last of two equal
keys, follow an alias until the memory is full, and crash on a text that is nested too deeply.
"""

from __future__ import annotations

from typing import Any

import yaml

from datasync_transports.file.documents import Broken

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEEP = 200
_LARGE = 1_000_000  # values, after aliases
_TEXT, _MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"


def parse(text: str) -> Any:
    """The value of a YAML document. Raises `Broken`, or another error where a tag does not fit its value."""
    try:
        _check_depth(text)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                raise Broken("holds no value", 1, 1)
            _size(node, {})
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        problem = " ".join(filter(None, (error.context, error.problem)))
        raise _broken(f"expected YAML: {problem}", error.problem_mark or error.context_mark) from None
    except yaml.reader.ReaderError as error:
        raise Broken(
            f"expected YAML: {error.reason} (0x{error.character:02x})", *_place(text, error)
        ) from None


def _check_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEP:
                raise _broken(f"is nested more than {_DEEP} deep", event.start_mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _size(node: Any, sizes: dict[int, int]) -> int:
    """How many values a node stands for, aliases followed; each node is looked at once."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    found = sizes.get(id(node))
    if found is None:
        sizes[id(node)] = 0  # while its own content is looked at
        if isinstance(node, yaml.MappingNode):
            _check_keys(node)
            found = 1 + sum(_size(value, sizes) for _, value in node.value)
        else:
            found = 1 + sum(_size(item, sizes) for item in node.value)
        if found > _LARGE:
            raise _broken(f"stands for more than {_LARGE} values", node.start_mark)
        sizes[id(node)] = found
    elif not found:
        raise _broken("an alias refers to what it is a part of", node.start_mark)
    return found


def _check_keys(node: Any) -> None:
    names: set[str] = set()
    for key, _ in node.value:
        if key.tag == _MERGE:
            continue
        if key.tag != _TEXT:
            shown = (
                f"{key.value!r} is {key.tag.rpartition(':')[2]}; quote it" if key.id == "scalar" else key.id
            )
            raise _broken(f"expected text as a key, got {shown}", key.start_mark)
        if key.value in names:
            raise _broken(f"the key {key.value!r} is there twice", key.start_mark)
        names.add(key.value)


def _broken(problem: str, mark: Any) -> Broken:
    return Broken(problem, mark.line + 1, mark.column + 1) if mark is not None else Broken(problem)


def _place(text: str, error: Any) -> tuple[int, int]:
    before = text[: error.position]
    return before.count("\n") + 1, len(before) - before.rfind("\n")
