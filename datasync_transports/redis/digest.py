"""What stands for a value where revisions are expected: Redis numbers no writes."""

from __future__ import annotations

import hashlib


def digest(value: bytes) -> int:
    """A number above 0, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(value, digest_size=8).digest()) >> 1 or 1
