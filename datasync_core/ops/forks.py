"""What a forked child must not keep of its parent's host: lock and socket would outlive a parent that is killed.

Python takes a callback for children (`os.register_at_fork`) and never gives it back. So there is one for the process,
and it walks the holders that still live, instead of one a host that would keep each of them for ever.
"""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Holder(Protocol):
    """Somebody with descriptors of the host's."""

    def forget(self) -> None:
        """Close this process's copies and own nothing any more; in a forked child, where no other thread lives."""


_holders: WeakSet[Holder] = WeakSet()
"""The one thing here that changes: a callback of the process can find hosts nowhere but in the process."""


def forget_in_children(holder: Holder) -> None:
    """Have ``holder`` forget in every child that is forked from now on, as long as it lives."""
    _holders.add(holder)


def _forget() -> None:
    for holder in list(_holders):
        holder.forget()


os.register_at_fork(after_in_child=_forget)
