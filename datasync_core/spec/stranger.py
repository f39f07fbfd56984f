"""Who answers at an address, where the store that was expected there does not: for a sentence that says what is wrong.

One question is asked that servers of several protocols answer, each in its own way: ZooKeeper takes its first four
letters, Redis and HTTP the line. Who says nothing to it is offered TLS.
"""

from __future__ import annotations

import re
import socket
from contextlib import suppress

_QUESTION = b"srvr / HTTP/1.0\r\n\r\n"
_PATIENCE = 0.5
"""Seconds for an answer: this comes on top of the time that the store has had already."""
_TLS = re.compile(rb"[\x14-\x17]\x03")
_SIGNS = (
    ("TLS", _TLS),
    ("HTTP", re.compile(rb"HTTP/|\s*<(!doctype|html)", re.IGNORECASE)),
    ("Redis", re.compile(rb"-[A-Z]+ ")),
    ("ZooKeeper", re.compile(rb"Zookeeper version|This ZooKeeper|srvr is not")),
)
_SHOWN = 40


def stranger(host: str, port: int) -> str | None:
    """``"TLS"``, ``"HTTP"``, ``"Redis"``, ``"ZooKeeper"``, or another's answer in quotes; None: nobody can say.

    Takes a second at most, and raises nothing. A server may write into its log that it did not understand.
    """
    try:
        said = _answer(host, port, _QUESTION)
        if not said:
            return "TLS" if _TLS.match(_answer(host, port, _hello())) else None
    except OSError:
        return None
    for name, sign in _SIGNS:
        if sign.match(said):
            return name
    line = said.decode("ascii", "replace").partition("\n")[0]
    return repr("".join(char if char.isprintable() else "?" for char in line.strip())[:_SHOWN])


def _answer(host: str, port: int, question: bytes) -> bytes:
    with socket.create_connection((host, port), _PATIENCE) as connection:
        try:
            connection.sendall(question)
            return connection.recv(200)
        except OSError:  # it hung up, or waits for more
            return b""


def _hello() -> bytes:
    """Return what a TLS client sends first; whoever speaks TLS answers it with a record, if only an alert.

    Not by `SSLContext.wrap_socket`, which leaves the socket open where the peer has reset it before the handshake.
    """
    import ssl  # takes long, and nobody else may need it

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    sent = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), sent).do_handshake()
    return sent.read()
