"""Where something of a plugin is written, for messages: ``acme/routes.py:12``. Read only when something is wrong."""

from __future__ import annotations

import ast
import inspect
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any


def of_function(function: Any) -> str:
    """File and line of a function, or "" where it has none."""
    code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else ""


def file_of(plugin: object) -> str:
    """The file of a module, or of a class or an object's class; its name where it has none."""
    owner = plugin if isinstance(plugin, ModuleType | type) else type(plugin)
    return _file(owner) or owner.__name__


def of_plugin(plugin: object) -> str:
    """The file of a module; the file and line of a class, or of an object's class."""
    file = file_of(plugin)
    if isinstance(plugin, ModuleType):
        return file
    found = _body(plugin if isinstance(plugin, type) else type(plugin), file)
    return f"{file}:{found.lineno}" if found is not None else file


def of_attribute(plugin: object, name: str) -> str:
    """File and line where a module, a class (or its bases) assigns ``name``; else where the plugin is."""
    cls = plugin if isinstance(plugin, type) else type(plugin)
    for owner in (plugin,) if isinstance(plugin, ModuleType) else cls.__mro__[:-1]:
        file = _file(owner)
        body = _tree(file) if isinstance(owner, ModuleType) else _body(owner, file)
        for node in body.body if body else ():
            if name in _names(node):
                return f"{file}:{node.lineno}"
    return of_plugin(plugin)


def of_error(error: BaseException) -> str:
    """File and line where an import or a call failed, or "" where that is not in a file."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno or 1}"
    ours = str(Path(__file__).parents[1])
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith(("<", ours)) and "importlib" not in frame.filename:
            return f"{frame.filename}:{frame.lineno}"
    return ""


def _file(owner: ModuleType | type) -> str | None:
    module = owner if isinstance(owner, ModuleType) else sys.modules.get(owner.__module__)
    return getattr(module, "__file__", None)


def _tree(file: str | None) -> ast.Module | None:
    try:
        return ast.parse(Path(file).read_bytes()) if file else None
    except (OSError, SyntaxError, ValueError):
        return None


def _body(owner: type, file: str | None) -> ast.ClassDef | None:
    nodes = ast.walk(_tree(file) or ast.Module([], []))
    return next(
        (node for node in nodes if isinstance(node, ast.ClassDef) and node.name == owner.__name__), None
    )


def _names(node: ast.stmt) -> Iterator[str]:
    targets = (
        node.targets
        if isinstance(node, ast.Assign)
        else [node.target]
        if isinstance(node, ast.AnnAssign)
        else []
    )
    for target in targets:
        for part in ast.walk(target):
            if isinstance(part, ast.Name):
                yield part.id
