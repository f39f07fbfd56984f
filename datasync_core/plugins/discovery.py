"""Which plugins and transports are installed: entry points, read from metadata alone.

One walk over the distributions; each is read within its own ``try``, because one malformed ``entry_points.txt``
would otherwise hide them all. Name and version are read only where there are entry points of ours: reading them
costs ten times the walk. Nothing is imported until `Found.load`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import importlib_metadata
from attrs import field, frozen

from datasync_core.plugins.names import bad_name
from datasync_core.plugins.problem import Problem

if TYPE_CHECKING:
    from importlib_metadata import IDistribution  # only newer versions have it

GROUP_PLUGINS = "datasync.plugins"
GROUP_TRANSPORTS = "datasync.transports"

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*\Z")


@frozen
class Found:
    """An entry point of ours: ``value`` is ``module`` or ``module:attribute``."""

    name: str
    value: str
    distribution: str
    version: str
    _point: importlib_metadata.EntryPoint = field(eq=False, repr=False)

    @property
    def origin(self) -> str:
        """The distribution and its version, for messages."""
        return f"{self.distribution} {self.version}"

    @property
    def extras(self) -> tuple[str, ...]:
        """The extras that the distribution offers; for a message about a missing package."""
        metadata = self._point.dist.metadata if self._point.dist else None
        return tuple((metadata.get_all("Provides-Extra") if metadata else None) or ())

    def load(self) -> object:
        """Import what the entry point names. Raises whatever the import raises, SystemExit too."""
        loaded: object = self._point.load()
        return loaded


@frozen
class Discovery:
    """What was found, sorted by name, and what is wrong with the rest."""

    found: tuple[Found, ...] = ()
    problems: tuple[Problem, ...] = ()


def discover(group: str) -> Discovery:
    """The entry points of a group. A distribution counts once, where it comes first on ``sys.path``.

    A name that two distributions offer fails for both; so does a name that is none.
    """
    offers: dict[str, list[Found]] = {}
    damaged: list[Problem] = []
    problems: list[Problem] = []
    seen: set[str] = set()
    try:
        for dist in importlib_metadata.distributions():
            try:
                if not _mentions(dist, group):
                    continue
                name, version = _identity(dist)
                if not name:
                    damaged.extend(_damaged(dist, group))
                    continue
                normal = re.sub(r"[-_.]+", "-", name).lower()
                if normal in seen:
                    continue
                seen.add(normal)
                for offer in _entry_points(_first(dist, name, version), group):
                    offers.setdefault(offer.name, []).append(offer)
            except Exception as error:
                text = f"its entry_points.txt is malformed: {_malformed(dist, error)}"
                problems.append(Problem(None, text, _place(dist), error))
    except Exception as error:  # a finder on sys.meta_path that is not ours
        text = f"not every distribution could be listed: {type(error).__name__}: {error}"
        problems.append(Problem(None, text, "sys.meta_path", error))
    problems.extend(problem for problem in damaged if problem.plugin not in offers)
    found = tuple(_judge(group, offers, problems))
    return Discovery(
        found, tuple(sorted(problems, key=lambda problem: (problem.plugin or "", problem.where)))
    )


def _judge(group: str, offers: dict[str, list[Found]], problems: list[Problem]) -> Iterator[Found]:
    for name, several in sorted(offers.items()):
        if wrong := _bad(group, name):
            problems.extend(Problem(name, wrong, found.origin) for found in several)
        elif len(several) > 1:
            origins = " and ".join(sorted(found.origin for found in several))
            problems.append(Problem(name, f"{origins} both offer {name!r}: uninstall one of them", origins))
        else:
            yield several[0]


def _bad(group: str, name: str) -> str | None:
    if group == GROUP_PLUGINS:
        return bad_name(name)
    if _SCHEME.match(name):
        return None
    return (
        f"{name!r} is no scheme of a URL: use lower case letters, digits, + . and -, and begin with a letter"
    )


def _mentions(dist: IDistribution, group: str) -> bool:
    """Whether a distribution may have entry points of this group: only then is it worth parsing, or a complaint."""
    try:
        return f"[{group}]" in (dist.read_text("entry_points.txt") or "")
    except UnicodeDecodeError as error:
        if group.encode() in error.object:
            raise
        return False


def _identity(dist: IDistribution) -> tuple[str | None, str]:
    """Name and version, with None for the name of a distribution that has no readable metadata."""
    try:
        metadata = dist.metadata
        return metadata.get("Name"), metadata.get("Version") or "of unknown version"
    except Exception:
        return None, ""


def _first(dist: IDistribution, name: str, version: str) -> tuple[IDistribution, str, str]:
    """The distribution of this name that imports find: one without our entry points may come before it."""
    try:
        first = importlib_metadata.distribution(name)
    except Exception:  # its folder has another name than its metadata
        return dist, name, version
    first_name, first_version = _identity(first)
    return (first, first_name, first_version) if first_name else (dist, name, version)


def _entry_points(identified: tuple[IDistribution, str, str], group: str) -> Iterator[Found]:
    dist, name, version = identified
    if (dist.read_text("entry_points.txt") or "").lstrip().startswith(f"\ufeff[{group}]"):
        raise ValueError("it begins with a byte order mark; save it as plain UTF-8")
    for point in dist.entry_points:
        if point.group == group:
            yield Found(point.name, point.value, name, version, point)


def _damaged(dist: IDistribution, group: str) -> Iterator[Problem]:
    """What a distribution without metadata would offer. A remnant beside a sound one is nobody's problem."""
    for point in dist.entry_points:
        if point.group == group:
            yield Problem(
                point.name, "its distribution has no readable METADATA: install it again", _place(dist)
            )


def _place(dist: IDistribution) -> str:
    name, version = _identity(dist)
    return f"{name} {version}" if name else str(getattr(dist, "_path", None) or dist)


def _malformed(dist: IDistribution, error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"byte 0x{error.object[error.start]:02x} at position {error.start} is no UTF-8"
    if type(error) is ValueError:
        return str(error)
    for number, line in enumerate((dist.read_text("entry_points.txt") or "").splitlines(), 1):
        text = line.strip()
        if text and text[0] not in "#[" and "=" not in text:
            return f"line {number} is not NAME = MODULE[:ATTRIBUTE]: {text!r}"
    return str(error)
