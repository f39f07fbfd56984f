"""The kinds of stores that chaos knows, each imported when it is asked for."""

from __future__ import annotations

import random
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from tests.chaos.world import World

KINDS = {"redis": "RedisWorld", "sqlite": "SqliteWorld", "zookeeper": "ZookeeperWorld"}


def world(kind: str) -> Callable[[Path, random.Random], World]:
    """What makes a world of this kind."""
    made: Callable[[Path, random.Random], World] = getattr(import_module(f"tests.chaos.{kind}"), KINDS[kind])
    return made
