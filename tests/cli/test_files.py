"""One-off plugins, ``FILE.py`` on the command line, that cannot be meant so."""

from __future__ import annotations

import pytest

from tests.cli.command import GREET, Place

pytestmark = pytest.mark.slow

DB = "--store=sqlite:data.db"


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize("code", ["", "def on_resync_(event): ...\n"])
def test_a_file_without_a_hook_is_refused(place: Place, command: str, code: str) -> None:
    place.do("put", "a/b", "1", DB)
    place.write("other.py", code)
    answer = place.do(command, "other.py", DB)
    assert answer.code == 4
    assert "other.py has no hook: write one, as in @hookimpl def on_resync(event)" in answer.out + answer.err


def test_a_file_that_only_requires_others_is_none_without_a_purpose(place: Place) -> None:
    place.do("put", "a/b", "1", DB)
    place.write("greet.py", GREET)
    place.write("all.py", "requires = ['greet']\n")
    assert place.do("check", "all.py", "greet.py", DB).code == 0


def test_a_keyboard_interrupt_of_a_plugin_is_told(place: Place) -> None:
    """Ends with 130 and a message; `-v` adds the file of the plugin."""
    place.do("put", "a/b", "1", DB)
    place.write("other.py", "raise KeyboardInterrupt\n")
    answer = place.do("check", "other.py", DB)
    assert answer.code == 130
    assert "datasync-host: interrupted" in answer.err
    assert "other.py" in place.do("check", "-v", "other.py", DB).err
