"""TLS: which files it is done with, and whether they can be used."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasync_core.transport import Misconfigured


@dataclass(frozen=True)
class Tls:
    """What TLS is done with; files as absolute paths."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    key_password: str | None = field(default=None, repr=False)
    verify: bool = True


def arguments(where: str, tls: Tls) -> dict[str, Any]:
    """The arguments of redis-py for TLS; raises `Misconfigured` for a file that cannot be used."""
    for name, file in (("ca", tls.ca), ("cert", tls.cert), ("key", tls.key)):
        if file is not None:
            try:
                file.open("rb").close()
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                raise Misconfigured(f"{where}: {name} cannot be read ({file}: {reason})") from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # to try the files; redis-py makes its own of them
    try:
        if tls.ca is not None:
            context.load_verify_locations(tls.ca)
    except (ssl.SSLError, ValueError) as error:
        raise Misconfigured(f"{where}: ca is no certificate in PEM ({tls.ca})") from error
    try:
        if tls.cert is not None:
            context.load_cert_chain(tls.cert, tls.key, tls.key_password or "")
    except (ssl.SSLError, ValueError) as error:
        raise Misconfigured(
            f"{where}: cert and key are no certificate with its key in PEM ({tls.cert}, {tls.key or tls.cert}),"
            " or key_password is wrong"
        ) from error
    return {
        "ssl_ca_certs": None if tls.ca is None else str(tls.ca),
        "ssl_certfile": None if tls.cert is None else str(tls.cert),
        "ssl_keyfile": None if tls.key is None else str(tls.key),
        "ssl_password": tls.key_password,
        "ssl_cert_reqs": "required" if tls.verify else "none",
        "ssl_check_hostname": tls.verify,
    }
