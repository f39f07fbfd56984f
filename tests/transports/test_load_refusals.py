"""One mistake, one sentence: what `load` and `check` say of a store that cannot be used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.redis import Redis
from tests.servers.server import free_port
from tests.servers.zookeeper import ZooKeeper

pytestmark = pytest.mark.server

DATASYNC = [sys.executable, "-m", "datasync_core"]


def refused(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The answer to a command; what it reads is a mapping of two keys."""
    mapping = '{"a": "1", "b": "2"}'
    return subprocess.run(
        [*DATASYNC, *words], cwd=tmp_path, input=mapping, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("zookeeper://{zookeeper}/not/there", "there is no node /not/there; create it"),
        ("zookeeper://127.0.0.1:{nobody}/a", "Connection refused"),
        ("redis://127.0.0.1:{nobody}/0", "connection refused"),
        ("redis://joe:sesame@127.0.0.1:{redis}/0", "refused the user joe"),
        ("redis://127.0.0.1:{redis}/99", "has no database of that number"),
    ],
)
def test_a_store_that_was_never_reached_is_told_in_one_sentence(
    zookeeper_server: ZooKeeper, redis_server: Redis, tmp_path: Path, url: str, said: str
) -> None:
    url = url.format(zookeeper=zookeeper_server.hosts, redis=redis_server.port, nobody=free_port())
    shown = url.replace("sesame", "***")
    load = refused(tmp_path, "load", "-", "--store", url)
    assert load.returncode == 1
    assert len(load.stderr.splitlines()) == 1, load.stderr
    assert said in load.stderr
    assert load.stderr.count(shown) == 1
    check = refused(tmp_path, "check", "--store", url)
    assert check.returncode in (4, 5)
    [line] = [line for line in check.stdout.splitlines() if line.startswith("store main:")]
    assert said in line
    assert line.count(shown) == 1


@pytest.mark.parametrize(
    ("url", "code", "said"),
    [
        ("redis://${{KEY}}@127.0.0.1:{redis}/0", 5, "redis://***@"),
        ("redis://${{KEY}}:x@127.0.0.1:{redis}/0", 5, "refused the user ***"),
        ("${{WHOLE}}", 5, "refused the user ***"),
        ("zookeeper://${{KEY}}:x@{zookeeper}/not/there", 5, "zookeeper://***:***@"),
    ],
)
def test_a_user_that_came_by_a_reference_is_named_by_no_message(
    zookeeper_server: ZooKeeper, redis_server: Redis, tmp_path: Path, url: str, code: int, said: str
) -> None:
    url = url.format(zookeeper=zookeeper_server.hosts, redis=redis_server.port)
    (tmp_path / "datasync.toml").write_text(f'[stores]\nmain = "{url}"\n')
    environment = {
        **os.environ,
        "KEY": "sesame",
        "WHOLE": f"redis://sesame:x@127.0.0.1:{redis_server.port}/0",
    }
    for words in (["check", "-v"], ["get", "a", "-v"]):
        answer = subprocess.run(
            [*DATASYNC, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert "sesame" not in answer.stdout + answer.stderr
        if words[0] == "check":
            assert answer.returncode == code, answer
            assert said in answer.stdout
