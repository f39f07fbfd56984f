"""What redis-py's errors mean to a host, in a sentence each."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from redis import exceptions

from datasync_core.transport import AuthenticationFailed, ConnectionLost, Misconfigured, StoreError

Hint = Callable[[bool], str]
CLUSTER = "belongs to a Redis Cluster, which is not supported yet; name a single server, or Sentinels"
PASSWORD = "write it as redis://:PASSWORD@HOST, or redis://USER:PASSWORD@HOST"
_OUT_OF_DATE = (9, 10)  # OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED
REPLICA = "is a replica, which takes no writes; name its master, or Sentinels with service="
_OLD = "does not speak RESP3 (HELLO 3): Redis 6 or later is needed, or Valkey, and no proxy in between that knows less"


@contextmanager
def explained(where: str, user: str | None = None, hint: Hint = lambda _: "") -> Iterator[None]:
    """Turn errors of the library into those of the SPI, chained and naming the store.

    ``user``: who we say we are. ``hint``: asked what may be wrong where the server says nothing that makes sense;
    True: it hung up.
    """
    try:
        yield
    except (exceptions.RedisError, OSError) as error:
        raise meaning(where, error, user, hint=hint) from error


def meaning(
    where: str,
    error: Exception,
    user: str | None = None,
    command: str = "",
    hint: Hint = lambda _: "",
    keys: Sequence[str] = (),
) -> StoreError:
    """The error as the host understands it; ``command``: what was asked, where that is known, of which ``keys``."""
    who = user or "default"
    said = str(error).rstrip(".")
    if is_forbidden(error):
        return Misconfigured(f"{where}: {_right(error, user, command, keys)}")
    if isinstance(error, exceptions.AuthenticationError):
        if "invalid" in said.lower():
            return AuthenticationFailed(
                f"{where} refused the user {who}: the password is wrong, or there is no such user, or it is off"
            )
        return AuthenticationFailed(f"{where} asks for a password; {PASSWORD}")
    if isinstance(error, exceptions.BusyLoadingError):
        return ConnectionLost(f"{where} is still loading its data")
    if isinstance(error, exceptions.ReadOnlyError):
        return ConnectionLost(f"{where} {REPLICA}")
    if isinstance(error, exceptions.MasterDownError):
        return ConnectionLost(f"{where} is a replica that has lost its master")
    if isinstance(error, exceptions.OutOfMemoryError):
        return StoreError(f"{where} has no memory left for writes (maxmemory); nothing was written")
    if isinstance(error, exceptions.ClusterError | exceptions.MovedError | exceptions.AskError):
        return Misconfigured(f"{where} {CLUSTER}")
    if isinstance(error, exceptions.InvalidResponse):
        return Misconfigured(f"{where} does not answer as Redis does{hint(False)}")
    if isinstance(error, exceptions.ResponseError):
        return _refusal(where, said)
    return _loss(where, error, said, hint)


def senseless(where: str, command: str) -> ConnectionLost:
    """The answer is not one to this command: something in between mixes answers up, or it is not Redis."""
    return ConnectionLost(
        f"{where} gave an answer to {command.upper()} that is not one of Redis's: is there a proxy in between,"
        " or another server?"
    )


def is_forbidden(answer: object) -> bool:
    """Whether this is an error that says that a user may not do something; EXEC hides it in one of its own."""
    return isinstance(answer, exceptions.NoPermissionError) or (
        isinstance(answer, exceptions.ExecAbortError) and "NOPERM" in str(answer)
    )


def concerns_keys(error: Exception) -> bool:
    """Whether it is not the command that is forbidden, but its use with these keys."""
    return " key" in str(error) and "command" not in str(error)


def lacking(user: str | None, rights: Sequence[str]) -> str:
    """What a user may not do, and how it is allowed."""
    who = user or "default"
    asked = " and ".join(right.upper().replace("|", " ") for right in rights)
    given = " ".join(f"+{right}" for right in rights)
    return f"the user {who} may not use {asked}; give it the right: ACL SETUSER {who} {given}"


def _right(error: Exception, user: str | None, command: str, keys: Sequence[str]) -> str:
    """Which right is missing, and how it is given."""
    if concerns_keys(error):
        who = user or "default"
        right = " ".join(f"~{key}" for key in keys)
        return f"the user {who} may not use these keys; give it the right: ACL SETUSER {who} {right}"
    named = re.search(r"run the '([^']+)' command", str(error))
    right = named[1] if named else "COMMAND"
    return lacking(user, [command if command.startswith(f"{right}|") else right])  # 6 names no subcommand


def _refusal(where: str, said: str) -> StoreError:
    """The server answered with an error of no class of its own."""
    lower = said.lower()
    if (
        "noproto" in lower
        or "unsupported protocol" in lower
        or ("unknown command" in lower and "hello" in lower)
    ):
        return Misconfigured(f"{where} {_OLD}")
    if lower.startswith("denied"):
        return Misconfigured(
            f"{where} is in protected mode, and serves its own machine alone; give it a password"
        )
    if "db index" in lower:
        return Misconfigured(f"{where} has no database of that number; see its setting databases")
    if "unknown command" in lower or "unknown subcommand" in lower or "syntax error" in lower:
        return Misconfigured(f"{where} does not know a command that Redis 6 and later know ({said})")
    if "cluster" in lower or "moved" in lower.split(" ")[0]:
        return Misconfigured(f"{where} {CLUSTER}")
    return StoreError(f"{where} refused: {said}")


def _loss(where: str, error: Exception, said: str, hint: Hint) -> StoreError:
    """The connection failed, or was never made."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = cause.verify_message or "it is not trusted"
            advice = "name the file of its authority (ca=FILE) and the host as the certificate has it"
            if cause.verify_code in _OUT_OF_DATE:
                advice = (
                    "renew it, or that of its authority, and see that the clocks of both machines are right"
                )
            return Misconfigured(
                f"{where}: the server's certificate was not accepted ({reason.rstrip('.')}); {advice}"
            )
        if isinstance(cause, ssl.SSLError):
            return _tls(where, cause, hint)
    for cause in causes:
        if isinstance(cause, socket.gaierror):
            return ConnectionLost(f"{where} cannot be reached: there is no host of that name")
        if isinstance(cause, socket.timeout | exceptions.TimeoutError):
            return ConnectionLost(f"{where} does not answer{hint(False)}")
        if isinstance(cause, ConnectionResetError | BrokenPipeError):
            return ConnectionLost(f"{where} broke the connection off{hint(True)}")
        if isinstance(cause, OSError) and cause.strerror:
            return ConnectionLost(f"{where} cannot be reached: {cause.strerror.lower()}")
    if "closed by server" in said.lower():
        return ConnectionLost(f"{where} closed the connection{hint(True)}")
    if "max number of clients" in said.lower():
        return ConnectionLost(f"{where} takes no more clients (its setting maxclients)")
    return ConnectionLost(f"{where} was lost: {said}")


def _tls(where: str, error: ssl.SSLError, hint: Hint) -> StoreError:
    if isinstance(error, ssl.SSLEOFError):
        return ConnectionLost(f"{where} broke the connection off{hint(True)}")
    reason = (error.reason or str(error)).replace("_", " ").lower()
    if "certificate required" in reason or "handshake failure" in reason:
        return Misconfigured(
            f"{where} asks for a certificate of the client's; name its files (cert=FILE, key=FILE)"
        )
    if "unknown ca" in reason or "bad certificate" in reason or "certificate unknown" in reason:
        return Misconfigured(
            f"{where} did not accept the client's certificate; name another (cert=FILE, key=FILE)"
        )
    if "wrong version number" in reason or "record layer failure" in reason or "packet length" in reason:
        return Misconfigured(f"{where} answers, but not in TLS{hint(False)}")
    return ConnectionLost(f"{where}: TLS failed: {reason}")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
