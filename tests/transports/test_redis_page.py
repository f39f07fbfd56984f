"""The page about Redis says what the code does."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

from datasync_transports.redis import RedisTransport

PAGE = (Path(__file__).parents[2] / "docs" / "transports" / "redis.md").read_text()


def test_the_page_has_every_option_with_its_default() -> None:
    shown = {
        name: json.loads(default)
        for name, default in re.findall(r"^\| `(\w+)` \| `(\S+)` \|", PAGE, re.MULTILINE)
    }
    parameters = inspect.signature(RedisTransport).parameters
    assert shown == {name: parameter.default for name, parameter in parameters.items() if name != "url"}
