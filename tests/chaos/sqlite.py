"""An embedded store, whose writers are killed, whose file is locked, taken away and put back from a backup."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from datasync_core.transport import Delete, Put, StoreError, Url
from datasync_transports.sqlite import SqliteTransport
from tests.chaos.hand import Failed, Hand
from tests.chaos.plugin import decode
from tests.chaos.world import Blow, End, Unreadable, World


class SqliteHand(Hand):
    """The transport's own writer: there is no other client of this store."""

    def __init__(self, file: str) -> None:
        self._url = Url.parse(f"sqlite:{file}")
        self._open()

    def write(self, transaction: Mapping[str, str | None], rng: random.Random) -> None:
        self._commit(
            [Delete(key) if text is None else Put(key, text.encode()) for key, text in transaction.items()]
        )

    def loose(self, key: str, other: str, text: str, rng: random.Random) -> None:
        put = Put(key, text.encode())
        self._commit(
            rng.choice(
                [
                    [put],
                    [Put(key, text.encode(), ttl=rng.choice([0.001, 0.5, 2.0]))],
                    [Delete(key)],
                    [put, Delete(other)],
                    [put, Put(other, text.encode(), ttl=1.0)],
                ]
            )
        )

    def close(self) -> None:
        self._writer.close()
        self._transport.close()

    def _open(self) -> None:
        self._transport = SqliteTransport(self._url)
        self._writer = self._transport.writer()

    def _commit(self, ops: Sequence[Put | Delete]) -> None:
        try:
            self._writer.commit(ops)
        except StoreError as error:
            self.close()
            self._open()
            raise Failed from error


hand = SqliteHand


class SqliteWorld(World):
    """One file."""

    kind = "sqlite"

    def begin(self) -> None:
        self.file = self.folder / "data.db"
        self.where = str(self.file)
        self.url = f"sqlite:{self.file}?liveness={self.rng.choice([1, 2])}"
        self._locked: sqlite3.Connection | None = None
        self.stack.callback(self._unlock)
        hand(self.where).close()

    def blows(self) -> Sequence[Blow]:
        return [
            Blow("nothing", lambda _: None),
            Blow("lock", self._lock, 4),
            Blow("everything deleted", self._clear, 1),
            Blow("checkpoint", self._checkpoint),
            Blow("backup put back", self._restore, rewinds=True, alone=True),
            Blow("file taken away", self._take_away, alone=True),
        ]

    def heal(self) -> None:
        self._unlock()

    def truth(self) -> Mapping[str, str | None]:
        transport = SqliteTransport(Url.parse(f"sqlite:{self.file}"))
        subscription = transport.subscribe([""])
        try:
            return {entry.key: decode(entry.value) for chunk in subscription.snapshot() for entry in chunk}
        except StoreError as error:
            raise Unreadable(str(error)) from error
        finally:
            subscription.close()
            transport.close()

    def _lock(self, rng: random.Random) -> End:
        self._unlock()
        self._locked = sqlite3.connect(self.file, isolation_level=None)
        self._locked.execute("BEGIN IMMEDIATE")
        return self._unlock

    def _unlock(self) -> None:
        if self._locked is not None:
            self._locked.close()
            self._locked = None

    def _clear(self, rng: random.Random) -> None:
        client = SqliteHand(self.where)
        with closing(client):
            try:
                client.write(dict.fromkeys(self.truth()), rng)
            except (Failed, Unreadable):
                return  # it is locked

    def _checkpoint(self, rng: random.Random) -> None:
        with closing(sqlite3.connect(self.file, timeout=0.1)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _backup(self, to: Path) -> None:
        with closing(sqlite3.connect(self.file)) as database, closing(sqlite3.connect(to)) as copy:
            database.backup(copy)

    def _restore(self, rng: random.Random) -> None:
        """What was when this was done last is put back, and what was written since is not."""
        backup, fresh = self.folder / "backup.db", self.folder / "fresh.db"
        self._backup(fresh)
        if backup.exists():
            for suffix in ("-wal", "-shm"):
                Path(f"{self.file}{suffix}").unlink(missing_ok=True)
            backup.replace(self.file)
        fresh.replace(backup)

    def _take_away(self, rng: random.Random) -> None:
        """Somebody removes the file, and who writes next makes a new one."""
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.file}{suffix}").unlink(missing_ok=True)
