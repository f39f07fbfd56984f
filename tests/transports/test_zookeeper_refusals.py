"""What `check` says of a ZooKeeper that cannot be used: one sentence, on real servers."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from attrs import evolve
from kazoo.security import make_digest_acl

from datasync_core.transport import AuthenticationFailed, ConnectionLost, Misconfigured, Put, Url
from datasync_transports.zookeeper import ZookeeperTransport, requests
from tests.servers.certificates import Certificates
from tests.servers.server import free_port
from tests.servers.zookeeper import Ensemble, ZooKeeper
from tests.transports.zookeepers import Zoo

pytestmark = pytest.mark.server

CHECK = [sys.executable, "-m", "datasync_core", "check"]
EVERYTHING = """from datasync_core import Watch, hookimpl
watches = [Watch("")]
@hookimpl
def on_resync(event):
    pass
"""


class Tls(NamedTuple):
    url: str
    ca: Path
    cert: Path
    foreign: Path


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def tls(certificates: Certificates, tmp_path: Path) -> Iterator[Tls]:
    with ZooKeeper(tmp_path / "zookeeper", certificates=certificates) as server:
        foreign = Certificates(tmp_path / "foreign").issue("client").both
        url = f"zookeeper://127.0.0.1:{server.tls_port}"
        yield Tls(url, certificates.ca, certificates.issue("client").both, foreign)


def check(url: str, tmp_path: Path, *, exit_code: int = 5, after: int = 0) -> str:
    """What `check` says of this store, in one sentence, without a password, and so many lines more."""
    (tmp_path / "everything.py").write_text(EVERYTHING)
    answer = subprocess.run(
        [*CHECK, "everything.py", "--only", "everything", "--store", url],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == exit_code, answer.stdout + answer.stderr
    assert not answer.stderr
    assert "secret" not in answer.stdout
    lines = answer.stdout.splitlines()
    (start,) = [number for number, line in enumerate(lines) if line.startswith("store main:")]
    assert len(lines) == start + 1 + after
    return "\n".join(lines[start:]).removeprefix("store main: ")


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    assert "Connection refused" in check(f"zookeeper://127.0.0.1:{free_port()}/a", tmp_path)


def test_a_host_that_nobody_is_called(tmp_path: Path) -> None:
    assert "no host is called nobody.invalid" in check("zookeeper://nobody.invalid", tmp_path)


def test_a_chroot_that_is_not_there(zookeeper_server: ZooKeeper, tmp_path: Path) -> None:
    said = check(f"{zookeeper_server.url}/not/there?prefix=a/", tmp_path)
    assert "there is no node /not/there; create it, or name another chroot" in said


def test_a_server_that_does_not_answer(zookeeper_server: ZooKeeper, tmp_path: Path) -> None:
    zookeeper_server.freeze()
    try:
        said = check(f"{zookeeper_server.url}?liveness=0.5", tmp_path)
    finally:
        zookeeper_server.thaw()
    assert "does not answer within 0.5 s" in said


def test_a_server_that_stops_to_answer_a_writer(zookeeper_server: ZooKeeper) -> None:
    transport = ZookeeperTransport(Url.parse(zookeeper_server.url))
    transport.liveness = 4.0
    writer = transport.writer()
    writer.commit([Put("frozen", b"1")])
    zookeeper_server.freeze()
    try:
        with pytest.raises(ConnectionLost, match=r" does not answer within ([0-3]\.\d+|[1-4]) s$"):
            writer.commit([Put("frozen", b"2")])
    finally:
        zookeeper_server.thaw()
    writer.close()
    transport.close()


def test_an_acl_that_hides_the_chroot(zookeeper_server: ZooKeeper, tmp_path: Path) -> None:
    with zookeeper_server.using() as client:
        client.create("/theirs", acl=[make_digest_acl("bob", "secret", all=True)])
    hosts = zookeeper_server.hosts
    said = check(f"{zookeeper_server.url}/theirs", tmp_path)
    assert "the ACL of /theirs forbids READ; write zookeeper://USER:PASSWORD@HOST" in said
    said = check(f"zookeeper://bob:secret-not@{hosts}/theirs", tmp_path)
    assert "the ACL of /theirs forbids READ; bob has no right to it" in said
    assert check(f"zookeeper://bob:secret@{hosts}/theirs", tmp_path, exit_code=0).startswith("reached")


def test_an_acl_that_hides_a_key_is_named_and_no_error(zookeeper_server: ZooKeeper, tmp_path: Path) -> None:
    with zookeeper_server.using() as client:
        client.create("/half/routes/open", b"1", makepath=True)
        client.create("/half/routes/theirs", b"1", acl=[make_digest_acl("bob", "secret", all=True)])
    said = check(f"{zookeeper_server.url}/half", tmp_path, exit_code=0, after=1)
    assert said == (
        f"reached, {zookeeper_server.url}/half\n"
        "  routes/theirs: the ACL of /half/routes/theirs hides it from this user"
    )


def test_a_server_that_is_too_old(tmp_path: Path) -> None:
    with ZooKeeper(tmp_path / "old", version="3.5.10") as server:
        assert "the server is older than ZooKeeper 3.6; use a newer one" in check(server.url, tmp_path)


def test_an_ensemble_without_a_quorum(tmp_path: Path) -> None:
    with Ensemble(tmp_path) as ensemble:
        leader = ensemble.leader()
        for server in ensemble.servers:
            if server is not leader:
                server.kill()
        leader_is_alone(leader)
        said = check(f"{ensemble.url}?liveness=6", tmp_path)
    assert f"{leader.hosts}: it closed the connection, for it has no quorum" in said


def leader_is_alone(leader: ZooKeeper) -> None:
    """Wait until it has noticed that nobody follows it."""
    while leader.mode:
        pass


def test_a_user_that_came_by_a_reference_is_named_by_no_refusal(zoo: Zoo, tmp_path: Path) -> None:
    zoo.outside.put("a", b"1")
    zoo.outside.client.set_acls(f"{zoo.outside.root}/a", [make_digest_acl("bob", "bob", all=True)])
    eve = ZookeeperTransport(evolve(Url.parse(zoo.url.replace("://", "://eve:sesame@")), hides_user=True))
    writer = eve.writer()
    with pytest.raises(AuthenticationFailed, match=r"forbids WRITE; \*\*\* has no right to it") as raised:
        writer.commit([Put("a", b"2")])
    assert "eve" not in str(raised.value)
    writer.close()
    eve.close()
    with ZooKeeper(tmp_path / "sasl", users={"bob": "secret"}) as server:
        url = Url.parse(f"zookeeper://eve:sesame@{server.hosts}")
        eve = ZookeeperTransport(evolve(url, hides_user=True), sasl="DIGEST-MD5")
        subscription = eve.subscribe([""])
        with pytest.raises(AuthenticationFailed, match=r"refuses user \*\*\*; check") as raised:
            list(subscription.snapshot())
        assert "eve" not in str(raised.value)
        subscription.close()
        eve.close()


def test_sasl_credentials_that_are_refused(tmp_path: Path) -> None:
    with ZooKeeper(tmp_path / "sasl", users={"bob": "secret"}) as server:
        for user, password, code in (("bob", "secret", 0), ("bob", "secret-not", 5), ("eve", "other", 5)):
            said = check(
                f"zookeeper://{user}:{password}@{server.hosts}?sasl=DIGEST-MD5", tmp_path, exit_code=code
            )
            assert (f"refuses user {user}; check the name" in said) == (code == 5)


def test_sasl_where_there_is_none(zookeeper_server: ZooKeeper, tmp_path: Path) -> None:
    url = f"zookeeper://bob:secret@{zookeeper_server.hosts}?sasl=DIGEST-MD5&liveness=1"
    assert "where sasl= is given it must be set up there, too" in check(url, tmp_path)


def test_sasl_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    transport = ZookeeperTransport(Url.parse("zookeeper://bob:secret@127.0.0.1"), sasl="DIGEST-MD5")
    with pytest.raises(Misconfigured, match=r"install datasync-host\[zookeeper\]"):
        next(iter(transport.subscribe([""]).snapshot()))


def test_a_ticket_without_the_package_that_reads_it(
    zookeeper_server: ZooKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if "kerberos" in name else found(name))
    transport = ZookeeperTransport(Url.parse(zookeeper_server.url), sasl="GSSAPI")
    with pytest.raises(Misconfigured, match="sasl=GSSAPI needs the module kerberos; install pykerberos"):
        next(iter(transport.subscribe([""]).snapshot()))


def test_tls(tls: Tls, tmp_path: Path) -> None:
    whole = f"{tls.url}?tls=true&ca={tls.ca}&cert={tls.cert}"
    assert check(whole, tmp_path, exit_code=0).startswith("reached")
    assert check(f"{tls.url}?tls=1&verify=0&cert={tls.cert}", tmp_path, exit_code=0).startswith("reached")
    assert "speaks TLS: add tls=true" in check(tls.url, tmp_path)
    assert "is not trusted" in check(f"{tls.url}?tls=true&cert={tls.cert}", tmp_path)
    without = check(f"{tls.url}?tls=true&ca={tls.ca}", tmp_path)
    assert "see cert=" in without or "wants a certificate (cert=)" in without
    assert "does not take our certificate" in check(
        f"{tls.url}?tls=true&ca={tls.ca}&cert={tls.foreign}", tmp_path
    )
    assert f"there is no file {tmp_path}/none.pem" in check(f"{tls.url}?tls=true&ca=none.pem", tmp_path)


def test_tls_where_there_is_none(zookeeper_server: ZooKeeper, tmp_path: Path) -> None:
    assert "speaks no TLS: leave out tls=" in check(f"{zookeeper_server.url}?tls=true", tmp_path)


def test_a_certificate_for_another_host(certificates: Certificates, tmp_path: Path) -> None:
    elsewhere = Certificates(tmp_path / "elsewhere")
    elsewhere.issue("server", hosts="DNS:elsewhere.example")
    with ZooKeeper(tmp_path / "zookeeper", certificates=elsewhere) as server:
        url = f"zookeeper://127.0.0.1:{server.tls_port}?tls=true&ca={elsewhere.ca}&cert={elsewhere.issue('c').both}"
        assert "is not trusted" in check(url, tmp_path)


def test_a_certificate_that_has_expired_is_to_be_renewed(tmp_path: Path) -> None:
    expired = Certificates(tmp_path / "expired")
    expired.issue("server", days=-1)
    with ZooKeeper(tmp_path / "zookeeper", certificates=expired) as server:
        url = (
            f"zookeeper://127.0.0.1:{server.tls_port}?tls=true&ca={expired.ca}&cert={expired.issue('c').both}"
        )
        assert "is not trusted (certificate has expired); renew it" in check(url, tmp_path)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("zookeeper:///a", "names no server; write zookeeper://HOST:2181/CHROOT"),
        ("zookeeper://h/a//b", "it has an empty part between slashes"),
        ("zookeeper://h/a/../b", "a part is . or .."),
        ("zookeeper://h/zookeeper", "is ZooKeeper's own"),
        ("zookeeper://h?ca=x.pem", "ca, cert and key are for TLS; add tls=true"),
        ("zookeeper://h?acl=creator", "acl=creator needs somebody whom nodes belong to"),
        ("zookeeper://h?sasl=DIGEST-MD5", "sasl=DIGEST-MD5 needs a name"),
        (
            "zookeeper://h?acl=creater",
            "the setting 'acl' is wrong: it is one of 'open', 'creator', got 'creater'",
        ),
        (
            "zookeeper://h?sasl=digest",
            "the setting 'sasl' is wrong: it is one of 'DIGEST-MD5', 'GSSAPI', got 'digest'",
        ),
        ("zookeeper:h:2182/a", "zookeeper:h:2182/a lacks its slashes; write zookeeper://h:2182/a"),
        ("zookeeper://h:99999", "has a port that is none: ports are 1 to 65535"),
    ],
)
def test_settings_that_cannot_be(url: str, said: str, tmp_path: Path) -> None:
    answer = subprocess.run(
        [*CHECK, "--store", url],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode in {3, 5}
    assert said in answer.stdout + answer.stderr


def test_another_kazoo_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kazoo.client.KazooClient._call", lambda self, request, async_object, more: None)
    with pytest.raises(
        Misconfigured, match=r"has changed inside \(_call\); this transport was made for 2\.11"
    ):
        requests.check_kazoo()
    monkeypatch.delattr("kazoo.client.KazooClient._call")
    with pytest.raises(Misconfigured, match=r"has changed inside \(_call\)"):
        requests.check_kazoo()
