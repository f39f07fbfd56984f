"""Transports by the scheme of a URL; only the one that is asked for is imported."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping

from datasync_core.model.errors import ConfigError, DatasyncError, PluginError, error_text, said
from datasync_core.model.url import Url
from datasync_core.plugins.arguments import WrongSetting, arguments, redacted
from datasync_core.plugins.discovery import GROUP_TRANSPORTS, Found, discover
from datasync_core.plugins.names import did_you_mean
from datasync_core.spec.transport import Transport

_CREDENTIALS = ["user", "username", "password", "passwd", "pasword", "pass", "pw", "pwd"]
"""Options by which other clients take them, and slips of these."""


def transport_class(scheme: str) -> type[Transport]:
    """The class for URLs of this scheme.

    Raises `ConfigError` where none is installed or a package that it needs is missing, `PluginError` for one that
    is broken.
    """
    discovery = discover(GROUP_TRANSPORTS)
    found = next((one for one in discovery.found if one.name == scheme), None)
    if found is None:
        for problem in discovery.problems:
            if problem.plugin == scheme:
                raise PluginError(f"no transport for the scheme {scheme}: {problem.text} ({problem.where})")
        names = [one.name for one in discovery.found]
        installed = f"installed: {', '.join(names) or 'none'}"
        raise ConfigError(f"no transport for the scheme {scheme}{did_you_mean(scheme, names)} ({installed})")
    loaded = _import(found)
    if not isinstance(loaded, type) or not issubclass(loaded, Transport):
        raise PluginError(
            f"the transport {scheme} ({found.origin}) is no subclass of Transport: {found.value}"
        )
    if inspect.isabstract(loaded):
        lacking = ", ".join(sorted(loaded.__abstractmethods__))
        raise PluginError(f"the transport {scheme} ({found.origin}) lacks {lacking}: {found.value}")
    return loaded


def make_transport(
    url: Url, options: Mapping[str, object], text: Collection[str] = (), secret: Collection[str] = ()
) -> Transport:
    """A transport for ``url``, with its query's options, over which ``options`` take precedence.

    Options are converted by the annotations of the class; those named in ``text`` came as text, as the query's do;
    those in ``secret`` are in no message. Raises `WrongSetting` for an unknown or wrong one.
    """
    cls = transport_class(url.scheme)
    merged = {**url.query, **options}
    loose = {*text, *(name for name in url.query if name not in options)}
    first = tuple(inspect.signature(cls).parameters)[:1]
    try:
        given = arguments(cls, merged, loose, first, secret)
    except WrongSetting as error:
        sentence = str(error)
        unknown = error.setting not in inspect.signature(cls).parameters
        if unknown and error.setting in _CREDENTIALS and url.hosts:
            sentence = f"{error.setting} stands before the host: write {url.scheme}://USER:PASSWORD@HOST"
        raise WrongSetting(f"{url}: {sentence}", error.setting) from None
    try:
        return cls(url, **given)
    except Exception as error:
        sentence = error_text(error) if isinstance(error, DatasyncError) else said(error)
        shown = redacted(sentence, {**merged, "password": url.password}, secret)
        if isinstance(error, DatasyncError) and not isinstance(error, ConfigError) and shown == sentence:
            raise
        raise ConfigError(f"{url}: {shown}") from None


def _import(found: Found) -> object:
    whose = f"the transport {found.name} ({found.origin})"
    try:
        return found.load()
    except KeyboardInterrupt:
        raise
    except ImportError as error:
        extra = _extra(found)
        hint = f": install {found.distribution}[{extra}]" if extra else ""
        raise ConfigError(f"{whose} needs a package that is not there ({error_text(error)}){hint}") from error
    except BaseException as error:
        raise PluginError(f"{whose} cannot be imported: {said(error)}") from error


def _extra(found: Found) -> str | None:
    """The extra that brings what a transport needs: by convention it is called like its scheme or its module."""
    names = (found.name, found.name.partition("+")[0], found.value.partition(":")[0].rpartition(".")[2])
    return next((name for name in names if name in found.extras), None)
