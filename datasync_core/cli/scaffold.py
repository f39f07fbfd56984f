"""A new package for a plugin or a transport, from the templates that are shipped beside this module.

A distribution is called ``datasync-NAME`` and its package ``datasync_NAME``, as those of other authors are by
custom. So what ``requires`` names is looked for under its plugin's name, unless it is installed: then its own is known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

from datasync_core.model.errors import UsageError

TEMPLATES = Path(__file__).with_name("templates")
_OURS = ("core", "host", "transports")


class Scaffold:
    """The files of one new package, made whole before any is written. The main thread's."""

    def __init__(self, kind: str, name: str, words: Mapping[str, str], dependencies: Sequence[str]) -> None:
        """``kind`` is ``plugin`` or ``transport``; ``words`` are the template's own beside those that all have.

        Raises `UsageError` for a name that a package of this kind cannot have.
        """
        check_name(name)
        self.distribution = distribution_of(name)
        self.module = self.distribution.replace("-", "_")
        class_ = "".join(map(str.capitalize, re.split("[-_]", name))) + kind.capitalize()
        self._words = {
            "kind": kind,
            "name": name,
            "distribution": self.distribution,
            "module": self.module,
            "class_": class_,
            "imports": ", ".join(sorted(("Item", class_))),
            "dependencies": "".join(f"    {line}\n" for line in dependencies),
            **words,
        }
        self.files = {
            "pyproject.toml": self._filled("pyproject.toml"),
            "README.md": self._filled(f"{kind}/README.md"),
            ".gitignore": self._filled("gitignore"),
            ".github/workflows/tests.yml": self._filled("tests.yml"),
            f"{self.module}/__init__.py": self._filled(f"{kind}/package.py"),
            f"{self.module}/py.typed": "",
            f"tests/test_{self.module}.py": self._filled(f"{kind}/test.py"),
        }

    def write(self, folder: Path) -> None:
        """Write them. Raises `UsageError` where there is something already, or nothing can be written."""
        try:
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise UsageError(f"{folder} is there already, and is no empty folder: name another by --dir")
            for path, text in self.files.items():
                file = folder / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"{error.filename} cannot be written ({error.strerror}): name another folder by --dir"
            ) from None

    def _filled(self, template: str) -> str:
        text = (TEMPLATES / f"{template}.tmpl").read_text(encoding="utf-8")
        return Template(text).substitute(self._words)


def check_name(name: str) -> None:
    """Raise `UsageError` for what is no name of a plugin, or makes one of our own packages of it."""
    from datasync_core.plugins.names import bad_name

    if wrong := bad_name(name):
        raise UsageError(wrong)
    if name in _OURS:
        raise UsageError(f"datasync-{name} is a part of datasync itself: choose another name than {name!r}")


def distribution_of(name: str) -> str:
    """The distribution of a plugin or transport, by custom."""
    return "datasync-" + re.sub("[-_]+", "-", name).strip("-")
