"""A certificate authority for tests, and what it signs: good for 127.0.0.1 and localhost, made by openssl."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.servers.programs import find_program


@dataclass(frozen=True)
class Issued:
    """A certificate and its key, PEM both; ``both`` has one after the other, as ZooKeeper wants them."""

    certificate: Path
    key: Path
    both: Path


class Certificates:
    """One authority, in a folder. The same name gets the same certificate."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._openssl = find_program("openssl", "openssl")
        self.ca = folder / "ca.pem"
        self._key = folder / "ca.key"
        if not self.ca.exists():
            self._run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", self._key)
            self._run(
                "req", "-x509", "-key", self._key, "-subj", "/CN=tests", "-days", "2", "-out", self.ca,
                "-addext", "keyUsage=critical,keyCertSign", "-addext", "basicConstraints=critical,CA:TRUE",
            )  # fmt: skip

    def issue(self, name: str, *, hosts: str = "IP:127.0.0.1,DNS:localhost", days: int = 2) -> Issued:
        """A certificate for ``CN=name`` and ``hosts``, for servers and for clients; with ``days`` below 0 one that
        has expired.
        """
        issued = Issued(*(self._folder / f"{name}.{suffix}" for suffix in ("crt", "key", "pem")))
        if not issued.both.exists():
            request, extensions = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
            extensions.write_text(f"subjectAltName={hosts}\nextendedKeyUsage=serverAuth,clientAuth\n")
            self._run(
                "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", issued.key
            )
            self._run("req", "-new", "-key", issued.key, "-subj", f"/CN={name}", "-out", request)
            self._run(
                "x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self._key, "-CAcreateserial",
                "-days", str(days), "-extfile", extensions, "-out", issued.certificate,
            )  # fmt: skip
            issued.both.write_text(issued.key.read_text() + issued.certificate.read_text())
        return issued

    def _run(self, *arguments: str | Path) -> None:
        subprocess.run([self._openssl, *arguments], check=True, capture_output=True, stdin=subprocess.DEVNULL)
