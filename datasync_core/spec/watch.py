"""What a plugin watches: a path of a store, and the type of what is there."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from datasync_core.model.errors import PluginError, UsageError
from datasync_core.model.keys import check_path, is_subtree, name_offset
from datasync_core.spec.codec import Codec, make_codec

if TYPE_CHECKING:
    from typing_extensions import TypeForm

T_co = TypeVar("T_co", covariant=True)


class Watch(Generic[T_co]):
    """A path of a store and the type of its values; ``event[WATCH]`` is typed by it.

    ``path`` ending in ``/`` is a subtree, ``""`` everything, else one key. ``type`` is what values are decoded
    into (`spec/codec.py`), ``codec`` any callable from bytes instead. ``store`` is the plugin's own name for a
    store; configuration says which one that is. Watches compare by identity; they hold no state. They only give
    values, so a ``Watch[str]`` is a ``Watch[object]``, too: a list of watches of several types needs no annotation.

    Raises `PluginError` for a path or a codec that can never work; a type is checked when the plugin is loaded.
    """

    __slots__ = ("__weakref__", "_codec", "_made", "offset", "path", "store", "type", "where")

    @overload
    def __init__(self: Watch[Any], path: str, *, store: str = "main") -> None: ...
    @overload
    def __init__(self, path: str, type: type[T_co], *, store: str = "main") -> None: ...
    @overload
    def __init__(self, path: str, type: TypeForm[T_co], *, store: str = "main") -> None: ...
    @overload
    def __init__(self, path: str, *, codec: Callable[[bytes], T_co], store: str = "main") -> None: ...
    @overload
    def __init__(
        self, path: str, type: TypeForm[T_co], *, codec: Callable[[bytes], T_co], store: str = "main"
    ) -> None: ...
    def __init__(
        self, path: str, type: Any = Any, *, codec: Callable[[bytes], Any] | None = None, store: str = "main"
    ) -> None:
        try:
            self.path: str = check_path(path)  # declared: of a typed package pyright infers no attributes
        except UsageError as error:
            raise PluginError(f"Watch: {error}") from error
        if path != path.strip():
            raise PluginError(f"Watch: path {path!r} has blanks around it: write {path.strip()!r}")
        if pattern := re.search(r"[*?]", path):
            right = path[: path.rfind("/", 0, pattern.start()) + 1]
            raise PluginError(
                f"Watch: path {path!r} holds a {pattern[0]}, but is no pattern: write {right!r} for all keys below it"
            )
        if not isinstance(store, str) or not store:  # type: ignore[redundant-expr]  # authors need not use mypy
            raise PluginError(f"Watch({path!r}): store= takes the name of a store, got {store!r}")
        if codec is not None and not callable(codec):
            raise PluginError(
                f"Watch({path!r}): codec= takes a callable from bytes to a value, got {codec!r}"
            )
        self.type: Any = type
        self.store: str = store
        self.offset: int = name_offset(path)
        """Where a name starts in each key of this watch."""
        caller = sys._getframe(1)
        while caller.f_globals.get("__name__") == "typing" and caller.f_back is not None:
            caller = caller.f_back  # Watch[Route](…) is called through typing
        self.where: tuple[str, int] = (caller.f_code.co_filename, caller.f_lineno)
        """File and line that made this watch, for messages about it."""
        self._codec = codec
        self._made: Codec[T_co] | None = None

    @property
    def codec(self) -> Codec[T_co]:
        """How values are decoded, made when first asked for: a type may name classes that come later in its module.

        Raises `PluginError` for a type that cannot be decoded into.
        """
        if self._made is None:
            self._made = make_codec(self.type, self._codec)
        return self._made

    @property
    def is_typed(self) -> bool:
        """Whether values are JSON for a type, rather than text, bytes, or what a codec reads."""
        return self._codec is None and self.type not in (Any, str, bytes)

    @property
    def is_subtree(self) -> bool:
        """Whether this covers a subtree rather than one key."""
        return is_subtree(self.path)

    def __repr__(self) -> str:
        store = "" if self.store == "main" else f", store={self.store!r}"
        return f"Watch({self.path!r}{store})"
