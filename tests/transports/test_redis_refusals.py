"""What an operator is told of a Redis that cannot be used: one sentence, on real servers where there can be one."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from attrs import evolve

from datasync_core.plugins.transports import make_transport
from datasync_core.transport import (
    AuthenticationFailed,
    Conflict,
    ConnectionLost,
    Delete,
    Misconfigured,
    Put,
    StoreError,
    Subtree,
    Url,
)
from datasync_transports.redis.link import Line
from tests.documents import ROOT
from tests.servers.certificates import Certificates, Issued
from tests.servers.redis import Redis, Sentinel
from tests.servers.server import free_port

pytestmark = pytest.mark.server

PAGE = (ROOT / "docs" / "transports" / "redis.md").read_text()
RIGHTS = " ".join(re.findall(r"^ACL SETUSER agent (?:on >PASSWORD )?(.*)$", PAGE, re.MULTILINE)).split()
READS = ["client|tracking", "ping", "scan", "mget", "exists", "type", "hgetall", "multi", "exec"]


class Guarded(NamedTuple):
    """A server that asks for everything, and what opens it."""

    server: Redis
    certificates: Certificates
    mine: Issued
    theirs: Issued


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    ours, others = Certificates(folder / "ours"), Certificates(folder / "others")
    users = {f"no-{right.partition('|')[0]}": f"on >sesame ~* +@all -{right}" for right in READS}
    users |= {
        "no-select": "on >sesame ~* +@all -select",
        "other-keys": "on >sesame ~other/* +@all",
        "nothing": "on >sesame ~* -@all",
        "off": "off >sesame ~* +@all",
        "reader": "on >sesame %R~* +@all",
    }
    with Redis(folder / "redis", password="sesame", users=users, certificates=ours) as server:
        server.call("HSET", "routes/a", "via", "b")
        yield Guarded(server, ours, ours.issue("client"), others.issue("client"))


def read(url: str, path: str) -> None:
    """Read everything under a path."""
    transport = make_transport(Url.parse(url), {})
    transport.liveness = 10.0
    subscription = transport.subscribe([path])
    try:
        list(subscription.snapshot())
    finally:
        subscription.close()


def refusal(url: str, path: str = "routes/") -> StoreError:
    """What reading this store raises."""
    with pytest.raises(StoreError) as raised:
        read(url, path)
    assert "sesame" not in str(raised.value)
    return raised.value


def holds(error: StoreError, kind: type[StoreError], text: str) -> None:
    assert type(error) is kind, repr(error)
    assert text in str(error), str(error)


@pytest.mark.parametrize(
    ("credentials", "kind", "text"),
    [
        ("", AuthenticationFailed, "asks for a password; write it as redis://:PASSWORD@HOST"),
        (":wrong@", AuthenticationFailed, "refused the user default: the password is wrong"),
        (
            "joe:sesame@",
            AuthenticationFailed,
            "refused the user joe: the password is wrong, or there is no such user",
        ),
        ("off:sesame@", AuthenticationFailed, "or it is off"),
        *(
            (
                f"no-{right.partition('|')[0]}:sesame@",
                Misconfigured,
                f"give it the right: ACL SETUSER no-{right.partition('|')[0]} +{right}",
            )
            for right in READS
        ),
        (
            "other-keys:sesame@",
            Misconfigured,
            "may not use these keys; give it the right: ACL SETUSER other-keys ~routes/*",
        ),
        ("nothing:sesame@", Misconfigured, "the user nothing may not use CLIENT TRACKING"),
    ],
)
def test_who_may_not_read_is_told_what_is_lacking(
    guarded: Guarded, credentials: str, kind: type[StoreError], text: str
) -> None:
    holds(refusal(f"redis://{credentials}127.0.0.1:{guarded.server.port}/0"), kind, text)


def test_rights_that_are_lacking_are_named_together(guarded: Guarded) -> None:
    guarded.server.call("ACL", "SETUSER", "some", "on", ">sesame", "~*", "-@all", "+client|tracking", "+scan")
    error = refusal(f"redis://some:sesame@127.0.0.1:{guarded.server.port}/0")
    rights = " ".join(f"+{right}" for right in READS if right not in ("client|tracking", "scan"))
    holds(error, Misconfigured, f"ACL SETUSER some {rights}")


def test_the_rights_that_the_page_gives_are_enough_and_none_can_be_spared(guarded: Guarded) -> None:
    assert "~agent1*" in RIGHTS
    server = guarded.server
    for spared in [None, *(rule for rule in RIGHTS if rule.startswith("+"))]:
        server.call("ACL", "SETUSER", "agent", "reset", "on", ">sesame", *(r for r in RIGHTS if r != spared))
        if spared is None:
            use(server)
            continue
        with pytest.raises(StoreError, match=f"ACL SETUSER agent .*{re.escape(spared)}"):
            use(server)


def use(server: Redis) -> None:
    """All that a host does, as the user of the page."""
    transport = make_transport(Url.parse(f"redis://agent:sesame@127.0.0.1:{server.port}/1"), {})
    subscription, writer = transport.subscribe(["agent1/"]), transport.writer()
    try:
        assert sum(map(len, subscription.snapshot())) == 0
        writer.commit([Put("agent1/a", b"1", ttl=60.0), Put("agent1/b", b"1")], expect={"agent1/a": 0})
        with pytest.raises(Conflict):
            writer.commit([Put("agent1/a", b"2")], expect={"agent1/a": transport.revision_of(b"2")})
        assert subscription.poll(10.0)
        writer.commit([Delete("agent1/a")])
        writer.commit([Delete("agent1/b")])
        assert subscription.poll(10.0)
    finally:
        with server.client(db=1) as client:
            client.flushdb()
        subscription.close()
        writer.close()


def test_a_database_that_may_not_be_chosen_or_is_not_there_is_named(guarded: Guarded) -> None:
    place = f"127.0.0.1:{guarded.server.port}"
    holds(refusal(f"redis://:sesame@{place}/99"), Misconfigured, "/99 has no database of that number")
    holds(refusal(f"redis://no-select:sesame@{place}/1"), Misconfigured, "ACL SETUSER no-select +select")


def test_the_right_to_keys_that_is_lacking_is_what_is_watched(guarded: Guarded) -> None:
    transport = make_transport(Url.parse(f"redis://other-keys:sesame@127.0.0.1:{guarded.server.port}/0"), {})
    for paths, rules in (
        ([""], "~*"),
        (["agent1:routes:", "agent1:motd"], "~agent1:motd ~agent1:routes:"),
        ([Subtree("agent1:routes:")], "~agent1:routes:*"),
        (["a*b/", "other/"], r"~a\*b/* ~other/*"),
        ([f"agent{number}/" for number in range(11)], "~agent*"),
    ):
        subscription = transport.subscribe(paths)
        with pytest.raises(Misconfigured) as raised:
            list(subscription.snapshot())
        subscription.close()
        assert str(raised.value).endswith(f"give it the right: ACL SETUSER other-keys {rules}")


def test_a_reader_s_writes_are_refused_with_the_right_that_is_lacking(guarded: Guarded) -> None:
    writer = make_transport(
        Url.parse(f"redis://reader:sesame@127.0.0.1:{guarded.server.port}/0"), {}
    ).writer()
    try:
        said = "the user reader may not use these keys; give it the right: ACL SETUSER reader ~routes/a$"
        with pytest.raises(Misconfigured, match=said):
            writer.commit([Put("routes/a", b"1")])
        with pytest.raises(Misconfigured, match=said):
            writer.commit([Put("routes/a", b"1"), Put("routes/b", b"1")])
    finally:
        writer.close()


def test_TLS_and_what_is_no_TLS_are_told_apart(guarded: Guarded) -> None:
    server, certificates, _, theirs = guarded
    tls, plain = f"127.0.0.1:{server.tls_port}", f"127.0.0.1:{server.port}"
    ca = f"ca={certificates.ca}"
    holds(refusal(f"redis://:sesame@{tls}/0"), ConnectionLost, "it speaks TLS: write rediss://")
    holds(refusal(f"rediss://:sesame@{plain}/0"), ConnectionLost, "it speaks no TLS: write redis://")
    error = refusal(f"rediss://:sesame@{tls}/0")
    holds(error, Misconfigured, "certificate was not accepted (self-signed certificate in certificate chain)")
    error = refusal(f"rediss://:sesame@localhost:{server.tls_port}/0?ca={theirs.certificate}")
    holds(error, Misconfigured, "certificate was not accepted")
    for options in (ca, f"{ca}&cert={theirs.certificate}&key={theirs.key}"):
        error = refusal(f"rediss://:sesame@{tls}/0?{options}")
        assert "certificate of the client's" in str(error) or "client's certificate" in str(error), str(error)
    place = make_transport(Url.parse(f"rediss://:sesame@{tls}/0?{ca}"), {})._place  # type: ignore[attr-defined]
    for hung_up in (False, True):  # TLS 1.3 ends a handshake before the server minds who we are
        assert "redis://" not in place._hint(("127.0.0.1", server.tls_port), Line(), hung_up)


def test_files_for_TLS_that_cannot_be_used_are_named(guarded: Guarded, tmp_path: Path) -> None:
    server, _, mine, theirs = guarded
    tls = f"rediss://:sesame@127.0.0.1:{server.tls_port}/0?"
    for options, text in {
        "ca=/nowhere/ca.pem": "ca cannot be read (/nowhere/ca.pem: no such file or directory)",
        f"ca={mine.key}": "ca is no certificate in PEM",
        f"cert={tmp_path}": "cert cannot be read",
        f"cert={mine.certificate}&key={theirs.key}": "cert and key are no certificate with its key",
        f"key={mine.key}": "key is the key of a certificate; name that as well",
    }.items():
        holds(refusal(tls + options), Misconfigured, text)


def test_a_certificate_for_another_host_is_refused_unless_none_is_verified(
    guarded: Guarded, tmp_path: Path
) -> None:
    certificates = Certificates(tmp_path / "ca")
    certificates.issue("server", hosts="DNS:elsewhere.example")
    with Redis(tmp_path / "redis", certificates=certificates, ask_certificate=False) as server:
        url = f"rediss://127.0.0.1:{server.tls_port}/0?ca={certificates.ca}"
        holds(refusal(url), Misconfigured, "IP address mismatch, certificate is not valid for '127.0.0.1'")
        subscription = make_transport(Url.parse(f"{url}&verify=false"), {}).subscribe([""])
        assert list(subscription.snapshot()) == [[]]
        subscription.close()


def test_a_certificate_that_has_expired_is_to_be_renewed(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path / "ca")
    certificates.issue("server", days=-1)
    with Redis(tmp_path / "redis", certificates=certificates, ask_certificate=False) as server:
        error = refusal(f"rediss://127.0.0.1:{server.tls_port}/0?ca={certificates.ca}")
        holds(error, Misconfigured, "certificate was not accepted (certificate has expired); renew it")
        assert "ca=FILE" not in str(error)


def test_a_server_that_is_not_there_says_so() -> None:
    for place, text in {
        f"redis://127.0.0.1:{free_port()}": "cannot be reached: connection refused",
        "redis://nowhere.invalid/0": "cannot be reached: there is no host of that name",
        "redis+unix:///nowhere/redis.sock": "cannot be reached: no such file or directory",
    }.items():
        holds(refusal(place), ConnectionLost, text)


def test_a_cluster_is_refused(tmp_path: Path) -> None:
    with Redis(tmp_path, settings={"cluster-enabled": "yes"}) as server:
        holds(refusal(server.url), Misconfigured, "belongs to a Redis Cluster, which is not supported yet")


def test_sentinels_are_told_from_servers(tmp_path: Path, redis_server: Redis) -> None:
    with Redis(tmp_path / "m") as master, Sentinel(tmp_path / "s", master, password="sesame") as sentinel:
        place, away = f"127.0.0.1:{sentinel.port}", f"127.0.0.1:{free_port()}"
        known = "sentinel_password=sesame"
        for url, kind, text in (
            (
                f"redis://:sesame@{place}",
                Misconfigured,
                "is a Sentinel; name the master that it watches with service=",
            ),
            (
                f"redis://{place}?service=mymaster",
                AuthenticationFailed,
                "its own are sentinel_user= and sentinel_p",
            ),
            (
                f"redis://{place}?service=other&{known}",
                Misconfigured,
                f"{place} watches no master of the name other",
            ),
            (
                f"redis://{away}?service=mymaster&{known}",
                ConnectionLost,
                f"Sentinel {away} cannot be reached",
            ),
            (f"{redis_server.url}?service=mymaster", Misconfigured, "is no Sentinel"),
            (
                f"redis://{place}?service=mymaster&sentinel_user=joe&{known}",
                AuthenticationFailed,
                "refused the user <sentinel_user>",  # what an option holds may be a secret
            ),
        ):
            holds(refusal(url), kind, text)
        subscription = make_transport(
            Url.parse(f"redis://{away},{place}?service=mymaster&{known}"), {}
        ).subscribe([""])
        assert list(subscription.snapshot()) == [[]]
        subscription.close()


@contextmanager
def speaker(answer: bytes) -> Iterator[str]:
    """The URL of a server that gives this answer to whatever it is asked."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(60)
            while connection.recv(65536):
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        thread.join()


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n", "Redis 6 or later is needed"),
        (
            b"%2\r\n$5\r\nproto\r\n:3\r\n$4\r\nrole\r\n$6\r\nmaster\r\n-ERR unknown subcommand 'TRACKING'.\r\n",
            "does not know a command that Redis 6 and later know (unknown subcommand 'TRACKING')",
        ),
        (b"-NOPROTO unsupported protocol version\r\n", "does not speak RESP3 (HELLO 3)"),
        (b"*2\r\n$6\r\nserver\r\n$5\r\nredis\r\n", "does not answer HELLO as Redis does"),
        (b"+OK\r\n", "does not answer HELLO as Redis does"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not answer as Redis does"),
        (b"-DENIED Redis is running in protected mode because ...\r\n", "is in protected mode"),
    ],
)
def test_what_speaks_no_RESP3_is_refused(answer: bytes, text: str) -> None:
    with speaker(answer) as url:
        holds(refusal(url), Misconfigured, text)


def test_a_proxy_that_hangs_up_on_HELLO_is_asked_about() -> None:
    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(60)
                if ended.is_set():
                    return
                connection.recv(65536)

    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            error = refusal(f"redis://127.0.0.1:{address[1]}/0")
        finally:
            ended.set()
            socket.create_connection(address).close()
            thread.join()
    holds(error, ConnectionLost, "; it hung up on HELLO 3: is it a proxy without RESP3?")


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("redis:127.0.0.1", "redis:127.0.0.1 lacks its slashes; write redis://127.0.0.1"),
        ("redis:h:6380/1", "redis:h:6380/1 lacks its slashes; write redis://h:6380/1"),
        ("redis://h/prefix", "after the host comes the number of a database"),
        ("redis://h/1?db=2", "db says 2 and the path 1"),
        ("redis://h?db=-1", "db is the number of a database, from 0"),
        ("redis://a,b/0", "names several hosts; that is for Sentinels"),
        ("redis://h?sentinel_password=sesame", "are for Sentinels; name their service="),
        ("redis://h?ca=ca.pem", "are TLS's; write rediss://"),
        ("redis+unix://h/x", "names no socket; write redis+unix:///PATH/redis.sock?db=0"),
        ("redis+unix:///x?service=m", "service is for Sentinels"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(url: str, text: str) -> None:
    with pytest.raises(Misconfigured, match=re.escape(text)) as raised:
        make_transport(Url.parse(url), {})
    assert "sesame" not in str(raised.value)


def test_check_says_it_in_one_line_and_exits_with_5(guarded: Guarded, tmp_path: Path) -> None:
    plugin = tmp_path / "routes.py"
    plugin.write_text(
        "from datasync_core import Watch, hookimpl\n\nwatches = [Watch('routes/')]\n\n\n"
        "@hookimpl\ndef on_resync(event):\n    pass\n"
    )
    place = f"127.0.0.1:{guarded.server.port}/0"

    def check(url: str) -> tuple[int, str]:
        command = [
            sys.executable,
            "-m",
            "datasync_core",
            "check",
            plugin.name,
            "--only",
            "routes",
            "--store",
            url,
        ]
        answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert "sesame" not in answer.stdout + answer.stderr
        assert answer.stderr == ""
        return answer.returncode, answer.stdout.splitlines()[-1]

    assert check(f"redis://:sesame@{place}") == (0, f"store main: reached, redis://:***@{place}")
    code, line = check(f"redis://no-client:sesame@{place}")
    assert code == 5
    assert line.startswith(
        f"store main: redis://no-client:***@{place}: the user no-client may not use CLIENT TRACKING"
    )
    code, line = check(f"redis://:sesame-not@{place}")
    assert code == 5
    assert "refused the user default" in line


@pytest.mark.parametrize("user", ["no-client", "other-keys", "nobody"])
def test_a_user_that_came_by_a_reference_is_named_by_no_refusal(guarded: Guarded, user: str) -> None:
    url = Url.parse(f"redis://{user}:sesame@127.0.0.1:{guarded.server.port}/0")
    transport = make_transport(evolve(url, hides_user=True), {})
    subscription = transport.subscribe(["routes/"])
    with pytest.raises(StoreError) as read:
        list(subscription.snapshot())
    subscription.close()
    assert user not in str(read.value)
    assert "user ***" in str(read.value)
    if user != "no-client":
        writer = transport.writer()
        with pytest.raises(StoreError) as wrote:
            writer.commit([Put("routes/a", b"x")])
        writer.close()
        assert user not in str(wrote.value)
        assert "user ***" in str(wrote.value)
    transport.close()
