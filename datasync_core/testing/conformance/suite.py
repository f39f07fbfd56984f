"""The suite: the fixtures, and all checks together."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from datasync_core.model.url import Url
from datasync_core.plugins.transports import make_transport
from datasync_core.spec.transport import Transport
from datasync_core.testing.conformance.checks_of_calls import CallChecks
from datasync_core.testing.conformance.checks_of_entries import EntryChecks
from datasync_core.testing.conformance.checks_of_losses import LossChecks
from datasync_core.testing.conformance.checks_of_paths import PathChecks
from datasync_core.testing.conformance.checks_of_snapshots import SnapshotChecks
from datasync_core.testing.conformance.checks_of_streams import StreamChecks
from datasync_core.testing.conformance.checks_of_writers import WriterChecks
from datasync_core.testing.conformance.outside import OutsideStore
from datasync_core.testing.conformance.site import Site


class TransportConformance(
    SnapshotChecks, PathChecks, EntryChecks, StreamChecks, LossChecks, CallChecks, WriterChecks
):
    """What every transport does. Subclass it, and give the store as somebody else sees it:

        class TestMine(TransportConformance):
            @pytest.fixture
            def outside(self, tmp_path):
                return OutsideStore(f"mine:{tmp_path}", put=..., delete=...)

    Each failure begins with the rule that was broken. The transport is the installed one for the URL's scheme
    unless you override `connect`. Checks of what a transport does not declare check that it refuses it; those that
    need a member of `OutsideStore` which is not given pass without doing anything (each member says which they are).
    Every check writes below a new directory ``conformance-…/`` and removes nothing, so one store may serve for all,
    and one in use for other things too; only ``clear`` and ``vanish`` touch more.
    """

    patience: float = 20.0
    """Seconds until a change must be seen; a sound transport uses none of them."""
    liveness: float = 2.0
    """What the transport's ``liveness`` is set to, in seconds, where the store stops answering."""
    many: int = 100_000
    """How many keys a large store has. Fewer, where writing them takes minutes."""
    largest: int = 1024 * 1024
    """The size of the largest value, in bytes. Smaller, where the store itself takes no more."""
    unwritable: str = ""
    """Characters that the store itself takes in no key; `commit` raises `Unsupported` for them."""

    def connect(self, outside: OutsideStore) -> Transport:
        """A transport for the store: by its scheme, as the host makes it."""
        return make_transport(Url.parse(outside.url), {})

    @pytest.fixture
    def outside(self) -> OutsideStore:
        """The store as somebody else sees it. To be given by each subclass."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture outside that gives an OutsideStore")

    @pytest.fixture
    def transport(self, outside: OutsideStore) -> Iterator[Transport]:
        """The transport under test, closed after each check."""
        transport = self.connect(outside)
        yield transport
        transport.close()

    @pytest.fixture
    def site(self, transport: Transport, outside: OutsideStore) -> Iterator[Site]:
        """A place of its own for each check."""
        site = Site(transport, outside, self.patience)
        yield site
        site.close()
