"""Keys, names and paths: text in parts separated by ``/``, relative to the prefix of their store.

A *path* is what a watch covers: a subtree when it ends in ``/``, everything when it is ``""``, else one key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from datasync_core.model.errors import UsageError

_ODD = {0: "\0\\x00", **{0xDC00 + byte: f"\0\\x{byte:02x}" for byte in range(0x80, 0x100)}}
_LIKE_ODD = re.compile(r"\0\\x[0-9a-f]{2}")


class Subtree(str):
    """A path that covers everything that begins with it, though it ends in no slash: a store's own prefix."""

    __slots__ = ()


def is_subtree(path: str) -> bool:
    """Whether a path covers a subtree (or everything) rather than one key."""
    return not path or path.endswith("/") or isinstance(path, Subtree)


def covers(path: str, key: str) -> bool:
    """Whether ``key`` lies under ``path``: ``interfaces/`` never covers ``interfaces2/eth0``."""
    return key.startswith(path) if is_subtree(path) else key == path


def name_offset(path: str) -> int:
    """Where the name starts in every key under ``path``: names are relative to the path's directory."""
    return path.rfind("/") + 1


def outermost(paths: Iterable[str]) -> list[str]:
    """The paths that together cover the same keys and none of which lies under another; sorted.

    >>> outermost(["cfg/a", "cfg/", "routes/", "cfg/b/"])
    ['cfg/', 'routes/']
    """
    kept: list[str] = []
    for path in sorted(set(paths)):
        if not (kept and is_subtree(kept[-1]) and path.startswith(kept[-1])):
            kept.append(path)
    return kept


def key_name(key: bytes) -> str:
    r"""Return the name of a store's key, another one for each key: of UTF-8 text the text itself.

    In a key that is not UTF-8, each odd byte becomes NUL, ``\x`` and two hex digits, and so does each NUL. The host
    writes and watches no key with a NUL, so that such a name needs no way back, and stays apart from the text
    ``\xff``. Text that has this form all the same (another program wrote it) has its NULs written so, too.

    >>> key_name(b"a/\xff"), key_name(rb"a/\xff")
    ('a/\x00\\xff', 'a/\\xff')
    """
    text = key.decode(errors="surrogateescape")
    if text.isascii() and "\0" not in text:
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.translate(_ODD)
    return text.translate(_ODD) if _LIKE_ODD.search(text) else text


def shown(text: str) -> str:
    """A key, or a sentence with one, as it may be printed or logged: one line, its control characters as escapes.

    >>> print(shown("a/x\\n12:00 forged"))
    a/x\\n12:00 forged
    """
    return text if text.isprintable() else "".join(map(_escaped, text))


def shown_lines(text: str) -> str:
    """Text of several lines, such as a traceback, as it may be printed: its other control characters as escapes.

    >>> print(shown_lines("first\\nsecond \\x1b[2J"))
    first
    second \\x1b[2J
    """
    return "".join(one if one in "\n\t" else _escaped(one) for one in text)


def check_key(key: str) -> str:
    """Return ``key`` if it may be written; else raise `UsageError` with the right form."""
    _check_text("key", key)
    if not key:
        raise UsageError("a key is empty; give one like routes/10.0.0.0")
    if key.startswith("/") or key.endswith("/"):
        raise UsageError(
            f"key {key!r} starts or ends with a slash; write {key.strip('/') or 'routes/10.0.0.0'!r}"
        )
    return key


def check_path(path: str) -> str:
    """Return ``path`` if a watch may cover it; else raise `UsageError` with the right form."""
    _check_text("path", path)
    if path.startswith("/"):
        raise UsageError(f"path {path!r} starts with a slash; write {path.lstrip('/')!r}")
    return path


def _escaped(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def _check_text(what: str, text: str) -> None:
    if not isinstance(text, str):
        raise UsageError(f"a {what} is text, got {type(text).__name__}")
    if "\0" in text:
        raise UsageError(f"{what} {text!r} holds a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{what} {text!r} is no UTF-8 text") from None
