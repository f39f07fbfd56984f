"""One-off plugins: a ``FILE.py`` beside the installed ones.

Its module stands in ``sys.modules`` before it runs (dataclasses look themselves up there) under a name of its own,
so that ``redis.py`` shadows nothing; its folder comes last on ``sys.path``, for what lies beside it.
"""

from __future__ import annotations

import itertools
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType


def load_file(path: Path) -> ModuleType:
    """Run a file as a module. Raises whatever the file raises, and OSError where it cannot be read."""
    file = path.resolve(strict=True)
    if not file.is_file():
        raise IsADirectoryError(f"{path} is no file")
    numbers = itertools.count()
    name = next(
        name for number in numbers if (name := f"datasync_file_{number}_{file.stem}") not in sys.modules
    )
    loader = SourceFileLoader(name, str(file))
    spec = spec_from_loader(name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
