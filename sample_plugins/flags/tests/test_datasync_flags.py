"""The plugin on the kit, the application on a host; that processes do it too is tested with the project as a whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from datasync_flags.__main__ import main
from datasync_flags.flags import Flags
from datasync_flags.web import application

from datasync_core import Host, Put
from datasync_core.testing import Harness


def ask(flags: Flags, host: Host, path: str) -> tuple[str, dict[str, Any]]:
    """Status and body of a request, without a server."""
    environ: dict[str, Any] = {"PATH_INFO": path}
    setup_testing_defaults(environ)
    codes: list[str] = []

    def start(code: str, *_: object) -> Any:
        codes.append(code)

    body = b"".join(application(flags, host)(environ, start))
    return codes[0], json.loads(body)


def test_what_is_on_follows_the_keys() -> None:
    flags = Flags()
    harness = Harness(flags=flags)
    assert flags.on == set()
    harness.commit(
        {"flags/a": {"on": True}, "flags/b": {"on": True, "note": "why"}, "flags/c": {"on": False}}
    )
    assert flags.on == {"a", "b"}
    harness.commit({"flags/a": {"on": False}, "flags/b": None, "flags/c": {"on": True}})
    assert flags.on == {"c"}
    assert harness.in_sync()


def test_a_broken_value_turns_nothing_off() -> None:
    flags = Flags()
    harness = Harness(flags=flags)
    harness.put("flags/a", {"on": True})
    harness.commit({"flags/a": {"on": "perhaps"}, "flags/b": {"on": True}})
    assert flags.on == {"a", "b"}


def test_what_was_seen_last_stays_while_the_store_is_away() -> None:
    flags = Flags()
    harness = Harness(flags=flags)
    harness.put("flags/a", {"on": True})
    harness.lose()
    assert flags.on == {"a"}


def test_the_application_answers_with_what_is_on() -> None:
    flags = Flags()
    with Host(stores="memory:", plugins={"flags": flags}) as host:
        host.publisher().commit([Put(f"flags/{name}", b'{"on": true}') for name in ("b", "a")])
        assert host.wait(60)
        code, body = ask(flags, host, "/")
        assert (code, body["on"]) == ("200 OK", ["a", "b"])
        code, body = ask(flags, host, "/healthz")
        assert (code, body["plugins"][0]["state"], body["stores"][0]["keys"]) == ("200 OK", "in_sync", 2)
        assert ask(flags, host, "/else")[0] == "404 Not Found"


def test_who_never_saw_the_store_is_not_well(tmp_path: Path) -> None:
    flags = Flags()
    with Host(stores=f"file:{tmp_path}/nothing", plugins={"flags": flags}) as host:
        assert ask(flags, host, "/")[1]["on"] == []
        code, body = ask(flags, host, "/healthz")
    assert (code, body["plugins"][0]["state"]) == ("503 Service Unavailable", "waiting")


def test_without_a_store_it_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("FLAGS_STORE", raising=False)
    assert main() == 2
    assert "set FLAGS_STORE to the URL of a store" in capsys.readouterr().err
