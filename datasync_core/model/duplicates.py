"""A name that is twice in one object of a JSON document: readers disagree which of the two counts."""

from __future__ import annotations

import json
import re

_TOKEN = re.compile(r'[{}]|("[^"\\]*+(?:\\.[^"\\]*+)*+")([ \t\n\r]*+:)?')


def name_twice(text: str) -> tuple[str, int] | None:
    """Return a name that an object in ``text``, a sound JSON document, has twice, and where the second one begins.

    None where there is none.
    """
    open_objects: list[set[str]] = []
    for token in _TOKEN.finditer(text):
        string, colon = token.groups()
        if colon is not None:
            name = json.loads(string) if "\\" in string else string[1:-1]
            if name in open_objects[-1]:
                return name, token.start()
            open_objects[-1].add(name)
        elif string is None and token[0] == "{":
            open_objects.append(set())
        elif string is None:
            open_objects.pop()
    return None
