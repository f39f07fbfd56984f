"""The shipped suite, on the stores that come with the host."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from datasync_core.testing import OutsideStore, TransportConformance
from datasync_core.transport import Delete, Put, Transport, Url
from datasync_transports.memory import MemoryTransport
from datasync_transports.sqlite import SqliteTransport
from tests.transports.many import MANY


def another(url: str, transport: Transport) -> Iterator[OutsideStore]:
    """The store through a transport object of its own: what else reaches a store that is ours alone?"""
    writer = transport.writer()

    def commit(values: Mapping[str, bytes | None]) -> None:
        writer.commit([Delete(key) if value is None else Put(key, value) for key, value in values.items()])

    yield OutsideStore(
        url,
        put=lambda key, value: writer.commit([Put(key, value)]),
        delete=lambda key: writer.commit([Delete(key)]),
        commit=commit,
        **{name: getattr(transport, name) for name in ("clear", "lose", "back") if hasattr(transport, name)},
    )
    writer.close()
    transport.close()


class TestMemory(TransportConformance):
    patience = 60.0
    many = MANY

    @pytest.fixture
    def outside(self) -> Iterator[OutsideStore]:
        url = f"memory:{uuid.uuid4().hex}"
        yield from another(url, MemoryTransport(Url.parse(url)))


@pytest.mark.slow
class TestSqlite(TransportConformance):
    patience = 60.0
    many = MANY

    @pytest.fixture
    def outside(self, tmp_path: Path) -> Iterator[OutsideStore]:
        url = f"sqlite:{tmp_path}/test.db"
        yield from another(url, SqliteTransport(Url.parse(url)))
