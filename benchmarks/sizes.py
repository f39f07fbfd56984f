"""How large a host is, by key and by plugin; each in a process of its own, as ``python -m tests.memory sizes`` does."""

from __future__ import annotations

from benchmarks.apart import apart
from benchmarks.sides import Measuring, Result
from tests.memory import sizes


def memory(measuring: Measuring) -> list[Result]:
    """Bytes a key and a plugin; the short form is no shorter."""
    measuring.say("memory: a plain dictionary")
    plain = apart(sizes.as_dictionary)
    measuring.say("memory: a host")
    keys = f"of {sizes.KEYS:,}, with a value of 200 bytes"
    results = [
        Result(
            "memory",
            f"a key {keys}, in a host with one plugin",
            "in a plain dictionary",
            apart(sizes.as_host),
            plain,
            "bytes",
        )
    ]
    measuring.say("memory: a plugin that is behind")
    results.append(
        Result(
            "memory",
            f"a key more {keys}, for a plugin that is behind on it",
            "",
            apart(sizes.behind),
            None,
            "bytes",
        )
    )
    measuring.say("memory: plugins")
    results.append(
        Result("memory", f"a plugin of {sizes.PLUGINS:,}", "", apart(sizes.by_plugin), None, "bytes")
    )
    return results
