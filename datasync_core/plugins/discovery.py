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

from datasync_core.model.errors import error_text, said
from datasync_core.plugins.names import bad_name
from datasync_core.plugins.problem import Problem

if TYPE_CHECKING:
    from importlib_metadata import IDistribution  # only newer versions have it

GROUP_PLUGINS = "datasync.plugins"
GROUP_TRANSPORTS = "datasync.transports"

_NAME = re.compile(r"^Name: *(\S.*?) *$", re.MULTILINE)
_VERSION = re.compile(r"^Version: *(\S.*?) *$", re.MULTILINE)
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
    return discover_all(group)[0]


def discover_all(*groups: str) -> tuple[Discovery, ...]:
    """The same of several groups, in one walk."""
    looks = [_Look(group) for group in groups]
    try:
        for dist in importlib_metadata.distributions():
            points = _points(dist)
            for look in looks:
                look.at(dist, points)
    except Exception as error:  # a finder on sys.meta_path that is not ours
        text = f"not every distribution could be listed: {said(error)}"
        for look in looks:
            look.problems.append(Problem(None, text, "sys.meta_path", error))
    return tuple(look.over() for look in looks)


class _Look:
    """What a walk has found of one group."""

    def __init__(self, group: str) -> None:
        self.group = group
        self.problems: list[Problem] = []
        self._offers: dict[str, list[Found]] = {}
        self._damaged: list[Problem] = []
        self._seen: set[str] = set()

    def at(self, dist: IDistribution, points: str | Exception) -> None:
        """Look at a distribution, whose entry points these are."""
        try:
            if not _mentions(points, self.group):
                return
            name, version = _identity(dist)
            if not name:
                self._damaged.extend(_damaged(dist, self.group))
                return
            normal = re.sub(r"[-_.]+", "-", name).lower()
            if normal in self._seen:
                return
            self._seen.add(normal)
            for offer in _entry_points(_first(dist, name, version), self.group):
                self._offers.setdefault(offer.name, []).append(offer)
        except Exception as error:
            text = f"its entry_points.txt is malformed: {_malformed(dist, error)}"
            self.problems.append(Problem(None, text, _place(dist), error))

    def over(self) -> Discovery:
        """What was found in all."""
        problems = self.problems
        problems.extend(problem for problem in self._damaged if problem.plugin not in self._offers)
        found = tuple(_judge(self.group, self._offers, problems))
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


def _points(dist: IDistribution) -> str | Exception:
    """The text of the entry points, or why it cannot be read."""
    try:
        return dist.read_text("entry_points.txt") or ""
    except Exception as error:
        return error


def _mentions(points: str | Exception, group: str) -> bool:
    """Whether a distribution may have entry points of this group: only then is it worth parsing, or a complaint."""
    if isinstance(points, str):
        return f"[{group}]" in points
    if isinstance(points, UnicodeDecodeError) and group.encode() not in points.object:
        return False
    raise points


def _identity(dist: IDistribution) -> tuple[str | None, str]:
    """Name and version, with None for the name of a distribution that has no readable metadata."""
    try:
        header = (dist.read_text("METADATA") or "").partition("\n\n")[0]
        name, version = _NAME.search(header), _VERSION.search(header)
        if name and version:  # to parse all of it takes as long as the walk
            return name[1], version[1]
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
    if _path(first) == _path(dist) is not None:
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
    return f"{name} {version}" if name else str(_path(dist) or dist)


def _path(dist: IDistribution) -> object:
    """Where a distribution's metadata is, where it is in files."""
    return getattr(dist, "_path", None)


def _malformed(dist: IDistribution, error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"byte 0x{error.object[error.start]:02x} at position {error.start} is no UTF-8"
    if type(error) is ValueError:
        return error_text(error)
    for number, line in enumerate((dist.read_text("entry_points.txt") or "").splitlines(), 1):
        text = line.strip()
        if text and text[0] not in "#[" and "=" not in text:
            return f"line {number} is not NAME = MODULE[:ATTRIBUTE]: {text!r}"
    return error_text(error)
