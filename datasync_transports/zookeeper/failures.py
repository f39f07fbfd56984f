"""What failures mean to a host, in a sentence each."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Collection, Mapping

from kazoo import exceptions

from datasync_core.transport import (
    AuthenticationFailed,
    ConnectionLost,
    Misconfigured,
    StoreError,
    Unsupported,
)
from datasync_transports.zookeeper.place import Place

OLDEST = "3.6"
"""The first ZooKeeper with persistent watches and with reads of many nodes at once."""
_OUT_OF_DATE = (9, 10)  # OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED


def meaning(place: Place, error: BaseException) -> StoreError:
    """What kazoo's error for a request means."""
    if isinstance(error, StoreError):
        return error
    if isinstance(error, exceptions.AuthFailedError | exceptions.SASLException):
        return refused_credentials(place)
    if isinstance(error, exceptions.NoAuthError):
        return forbidden(place, place.root or "/", "READ")  # commits say what they lack by themselves
    if isinstance(error, exceptions.UnimplementedError):
        return Misconfigured(f"{place}: the server is older than ZooKeeper {OLDEST}; use a newer one")
    if isinstance(error, exceptions.BadArgumentsError):
        return Unsupported(f"{place}: the server takes no node of such a name")
    if isinstance(error, exceptions.SessionExpiredError):
        return ConnectionLost(f"{place}: the session has expired")
    if isinstance(error, exceptions.ConnectionLoss | exceptions.ConnectionClosedError):
        return lost(place)
    return StoreError(f"{place}: {type(error).__name__} {error}".rstrip())


def refused_credentials(place: Place) -> StoreError:
    """The server did not take who we say we are."""
    user = f"user {place.url.shown_user}" if place.url.shown_user else "this user"
    return AuthenticationFailed(f"{place} refuses {user}; check the name, the password and sasl=")


def forbidden(place: Place, path: str, right: str) -> StoreError:
    """A node's ACL does not give us that right."""
    who = (
        f"{place.url.shown_user} has no right to it"
        if place.url.shown_user
        else "write zookeeper://USER:PASSWORD@HOST"
    )
    return AuthenticationFailed(f"{place}: the ACL of {path} forbids {right}; {who}")


def no_root(place: Place) -> StoreError:
    """The chroot is missing; whoever owns it may still make it, so it is waited for."""
    return ConnectionLost(f"{place}: there is no node {place.root}; create it, or name another chroot")


def lost(place: Place) -> ConnectionLost:
    """The server, or something on the way to it, has ended the connection."""
    return ConnectionLost(f"{place}: the connection was lost")


def strange(place: Place, where: str, found: str | None) -> str:
    """What is wrong where this answers, in words; empty where that may be a ZooKeeper that is spoken to rightly."""
    if found == "TLS":
        return "" if place.tls else f"{where} speaks TLS: add tls=true"
    if found == "ZooKeeper":
        return f"{where} speaks no TLS: leave out tls=" if place.tls else ""
    return f"{where} is no ZooKeeper: what is there speaks {found}" if found is not None else ""


def senseless(place: Place) -> ConnectionLost:
    """An answer that no ZooKeeper gives to what was asked."""
    return ConnectionLost(
        f"{place} gave an answer that is not one of ZooKeeper's: is there a proxy in between, or another server?"
    )


def silent(place: Place, seconds: float, strangers: str = "") -> ConnectionLost:
    """No answer in time; ``strangers``: who is there instead, in words."""
    hint = "; where sasl= is given it must be set up there, too" if place.sasl else ""
    if strangers:
        hint = f": {strangers}"
    return ConnectionLost(f"{place} does not answer within {rounded(seconds)} s{hint}")


def rounded(seconds: float) -> str:
    """Seconds as people say them: 0.5, 6.7, 10."""
    return f"{seconds:.2g}" if seconds < 10 else f"{seconds:.0f}"


def unreachable(
    place: Place,
    refusals: Mapping[str, OSError],
    reached: Collection[str],
    error: BaseException | None,
    strangers: str = "",
) -> StoreError:
    """Why no server would have us: what each said, and which were ``reached`` and hung up."""
    if isinstance(error, exceptions.AuthFailedError | exceptions.SASLException):
        return refused_credentials(place)
    for where, why in refusals.items():
        if isinstance(why, ssl.SSLError):
            return _without_tls(place, where, why, strangers)
    if strangers:
        return ConnectionLost(f"{place} cannot be used: {strangers}")
    said = [f"{where}: {why.strerror or str(why) or 'no answer'}" for where, why in refusals.items()]
    if said:
        said += [f"{where}: it closed the connection, for it has no quorum" for where in sorted(reached)]
        return ConnectionLost(f"{place} cannot be reached ({', '.join(said)})")
    unknown = sorted({host for host, _ in place.hosts if not _is_known(host)})
    if unknown and not reached:
        return ConnectionLost(f"{place}: no host is called {' or '.join(unknown)}")
    if place.tls:
        advice = "it has no quorum, wants a certificate (cert=), or takes no more connections"
    else:
        advice = "it has no quorum, speaks TLS (tls=true), or takes no more connections"
    return ConnectionLost(f"{place} closed the connection without a word: {advice}")


def _without_tls(place: Place, where: str, why: ssl.SSLError, strangers: str) -> StoreError:
    reason = str(why.reason or why)
    if isinstance(why, ssl.SSLCertVerificationError):
        advice = "see ca="
        if why.verify_code in _OUT_OF_DATE:
            advice = "renew it, or that of its authority, and see that the clocks of both machines are right"
        return Misconfigured(
            f"{place}: the certificate of {where} is not trusted ({why.verify_message}); {advice}"
        )
    if strangers:
        kind = ConnectionLost if isinstance(why, ssl.SSLEOFError) else Misconfigured
        return kind(f"{place} cannot be used: {strangers}")
    if isinstance(why, ssl.SSLEOFError):
        return ConnectionLost(f"{place}: {where} closed the connection when TLS was asked for; see tls=")
    if "ALERT" in reason:
        return Misconfigured(f"{place}: {where} does not take our certificate ({reason}); see cert= and key=")
    if "VERSION" in reason:
        return Misconfigured(f"{place}: {where} speaks no TLS ({reason}); leave out tls=")
    return Misconfigured(f"{place}: a file for TLS cannot be used ({reason}); see ca=, cert= and key=")


def _is_known(host: str) -> bool:
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        return False
    return True
