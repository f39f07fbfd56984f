"""hello says what became of each name, and no more."""

import hello
import pytest

from datasync_core import Delete, Host, Put


def test_it_greets_who_comes_and_says_goodbye_to_who_leaves(capsys: pytest.CaptureFixture[str]) -> None:
    with Host(stores="memory:", plugins={"hello": hello}) as host:
        for op in (
            Put("hello/world", b"good morning"),
            Put("hello/ada", b"good evening"),
            Delete("hello/world"),
        ):
            host.publisher().commit([op])
            assert host.wait(60)
    assert capsys.readouterr().out.splitlines() == [
        "hello, world: good morning",
        "hello, ada: good evening",
        "goodbye, world",
    ]
