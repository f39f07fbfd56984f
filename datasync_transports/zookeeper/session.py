"""One session with one server, over kazoo: what comes is a line of events and replies, in the server's order."""

from __future__ import annotations

import importlib.util
import logging
import ssl
import threading
import time
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionLoss
from kazoo.protocol.serialization import CloseInstance
from kazoo.protocol.states import KazooState, KeeperState
from kazoo.retry import KazooRetry

from datasync_core.transport import ConnectionLost, Misconfigured, Owner, stranger
from datasync_transports.zookeeper import failures
from datasync_transports.zookeeper.handler import Handler
from datasync_transports.zookeeper.place import Place
from datasync_transports.zookeeper.requests import Reply, check_kazoo, hear, submit

_PATIENCE = 2 / 3  # of liveness, for one answer: a subscription is silent for the first third before it asks
_POLITE = 1.0  # seconds for the server's answer to a goodbye


class _Signal:
    """What is in the line beside events and replies."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


_RING, _OPENED = _Signal(), _Signal()


class Lasting(Protocol):
    """Who wants a session that outlasts its connections; called on kazoo's thread, which must not wait."""

    def back(self, session: Session) -> None:
        """There is a connection; ``session.number`` may be another one."""

    def refused(self, session: Session) -> None:
        """The server did not take who we are; it is asked again and again, ``back`` before each answer."""

    def touched(self, session: Session, path: str) -> None:
        """There was an event."""

    def due(self, session: Session) -> None:
        """The time of `Session.wake_in` is over."""


class Session:
    """Owned by one thread; `post`, `ring` and `close` are for any. Ends with its first connection, unless ``lasting``.

    ``lasting``: kazoo connects again for as long as it takes, and in a new session where the server has ended the
    one that was.
    """

    def __init__(self, place: Place, *, lasting: Lasting | None = None) -> None:
        self.place = place
        self._owner = Owner(f"a session with {place}")
        self.number = 0
        """What the server calls the session that there was a connection for last."""
        self._lasting = lasting
        self._line: SimpleQueue[Any] = SimpleQueue()
        self._handler = Handler(
            place.liveness / len(place.hosts), lambda error: self._line.put(_Signal(error))
        )
        self._handler.lasting = lasting is not None
        self._lock = threading.Lock()
        self._client: Any = None  # under the lock; None again once it is closed
        self._closed = False
        self._over = False  # whether its end was told
        self._refused = False  # whether the server did not take who we are

    def open(self) -> None:
        """Connect to any of the servers. Raises the `StoreError` that says why none would."""
        check_kazoo()
        client = self._make()
        with self._lock:
            self.check()
            self._client = client
            client.add_listener(self._heard)
            lasting = self._lasting
            if lasting is None:
                hear(client, self._line.put)
            else:
                self._handler.before = self._forget
                self._handler.chore = lambda: lasting.due(self)
                hear(client, lambda path: lasting.touched(self, path))
            client.start_async()
        deadline = time.monotonic() + self.place.liveness
        while True:
            item = self._get(deadline - time.monotonic())
            if item is _OPENED:
                return
            if item is not _RING:
                self.check()
                handler = self._handler
                if item is None or handler.silent:
                    raise failures.silent(self.place, self.place.liveness, self._strangers())
                refusals, reached = handler.refusals, handler.reached
                raise failures.unreachable(
                    self.place, refusals, reached, item.error, self._strangers()
                ) from item.error

    @property
    def connected(self) -> bool:
        """Whether the server is there, as far as kazoo knows."""
        client = self._client
        return client is not None and bool(client.connected)

    def ask(self, *requests: Any, on_event: Callable[[str], None] | None = None) -> list[Reply]:
        """The replies to requests that are sent together; raises where one fails or none comes for too long."""
        replies = [self.send(request) for request in requests]
        for reply in replies:
            self.wait(reply, on_event)
        return replies

    def send(self, request: Any) -> Reply:
        """Send a request, to be waited for later, in the order of sending."""
        client = self._client
        self.check()
        return submit(client, request, self._line.put)

    def post(self, request: Any, answered: Callable[[Session, Reply], None]) -> None:
        """Send a request whose answer nobody waits for; ``answered`` gets it on kazoo's thread. Not after `close`."""
        client = self._client
        if client is not None:
            submit(client, request, lambda reply: answered(self, reply))

    def wake_in(self, seconds: float) -> None:
        """Let ``lasting`` be told that so much time is over; where that is under way, leave it as it is."""
        if self._handler.due is None:
            self._handler.due = time.monotonic() + seconds

    def wait(self, reply: Reply, on_event: Callable[[str], None] | None = None) -> Any:
        """Wait for a reply, and give each event that came before it to ``on_event``; the reply's value.

        In the order of sending: what waits for a later reply drops those of before, that nobody can have any more.
        """
        patience = self.place.liveness * _PATIENCE
        deadline = time.monotonic() + patience
        while True:
            item = self.take(deadline - time.monotonic())
            if isinstance(item, str):
                if on_event is not None:
                    on_event(item)
            elif item is reply:
                if reply.error is not None:
                    self.check()
                    if isinstance(reply.error, ConnectionLoss):
                        raise self._lost() from reply.error
                    raise failures.meaning(self.place, reply.error) from reply.error
                return reply.value
            elif item is None and time.monotonic() >= deadline:
                raise failures.silent(self.place, patience)

    def take(self, timeout: float) -> str | Reply | None:
        """The next event or reply; None where none came in time, or after `ring`. Raises where the session is over."""
        item = self._get(timeout)
        if item is None or isinstance(item, str | Reply):
            return item
        if item is _RING or item is _OPENED:
            return None
        self._over = True
        self.check()
        raise AssertionError("a session that is over says so")

    def flush(self) -> None:
        """Let nothing of before wait in the line; raises where the session is over."""
        self.check()
        while self.take(0.0) is not None:
            pass

    def is_quiet(self) -> bool:
        """Whether nothing waits in the line."""
        return self._line.empty()

    def ring(self) -> None:
        """Make a running `take` return, or the next one. Any thread."""
        self._line.put(_RING)

    def close(self) -> None:
        """End the session; the thread of kazoo ends, too. Any thread, any number of times."""
        if not self._owner.is_here:
            return  # it is the parent's, which goes on with it
        self._closed = True
        with self._lock:
            client, self._client = self._client, None
        if client is None:
            return
        self._handler.finish()
        if client.connected:
            submit(client, CloseInstance, lambda _: None)
            self._handler.over.wait(min(_POLITE, self.place.liveness))
        self._handler.cut()
        with suppress(Exception):  # it is over, whatever it says
            client.stop()
        with suppress(Exception):
            client.close()

    def check(self) -> None:
        """Raise a `StoreError` where the session is over, a `UsageError` in a forked child."""
        self._owner.check()
        if self._refused:
            raise failures.refused_credentials(self.place)
        if self._closed:
            raise ConnectionLost(f"{self.place}: the session was closed")
        if self._over:
            raise self._lost()

    def _strangers(self) -> str:
        """Which servers are none of ZooKeeper's, or speak TLS where we do not, in words; empty where nobody knows."""
        asked = [
            (where, address)
            for where, address in self._handler.tried.items()
            if not _has_refused(self._handler.refusals.get(where))
        ]
        found = [failures.strange(self.place, where, stranger(*address)) for where, address in asked]
        return ", ".join(filter(None, found))

    def _lost(self) -> ConnectionLost:
        starved = self._handler.starved
        return failures.lost(self.place) if starved is None else failures.silent(self.place, starved)

    def _get(self, timeout: float) -> Any:
        try:
            return self._line.get_nowait() if timeout <= 0 else self._line.get(timeout=timeout)
        except Empty:
            return None

    def _heard(self, state: str) -> None:
        """A change of state, on kazoo's thread."""
        client = self._client
        if state != KazooState.CONNECTED:
            self._refused = client is not None and client.client_state == KeeperState.AUTH_FAILED
            if self._refused and self._lasting is not None:
                self._lasting.refused(self)
            return
        self._refused = False
        if not self._handler.connected:
            self._handler.connected = True
            self._line.put(_OPENED)
        if self._lasting is not None and client is not None:
            self.number = client.client_id[0]
            self._lasting.back(self)

    def _forget(self) -> None:
        """Who has seen newer transactions than a server has is not let in: for ever, where it has lost its data."""
        client = self._client
        if client is not None:
            client.last_zxid = 0

    def _make(self) -> Any:
        place = self.place
        for file in (place.ca, place.cert, place.key):
            if file is not None and not file.is_file():
                raise Misconfigured(f"{place}: there is no file {file}; name the one that is to be used")
        url = place.url
        known = url.user is not None or url.password is not None
        sasl: dict[str, str] | None = None
        if place.sasl is not None:
            if importlib.util.find_spec("puresasl") is None:
                raise Misconfigured(f"{place}: sasl= needs pure-sasl; install datasync-host[zookeeper]")
            if place.sasl == "GSSAPI" and not any(map(importlib.util.find_spec, ("kerberos", "winkerberos"))):
                raise Misconfigured(f"{place}: sasl=GSSAPI needs the module kerberos; install pykerberos")
            sasl = {"mechanism": place.sasl}
            if known:
                sasl |= {"username": url.user or "", "password": url.password or ""}
        retry: dict[str, Any] = {"max_tries": 1}
        if self._handler.lasting:
            retry = {"max_tries": -1, "max_delay": 5.0}
        return KazooClient(
            hosts=",".join(
                f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in place.hosts
            ),
            timeout=place.liveness,
            handler=self._handler,
            auth_data=[("digest", f"{url.user or ''}:{url.password or ''}")]
            if known and sasl is None
            else None,
            sasl_options=sasl,
            connection_retry=KazooRetry(sleep_func=self._handler.sleep_func, **retry),
            logger=_Quiet(logging.getLogger("datasync.zookeeper"), {}),
            use_ssl=place.tls,
            ca=place.ca and str(place.ca),
            certfile=place.cert and str(place.cert),
            keyfile=place.key and str(place.key),
            keyfile_password=place.key_password,
            verify_certs=place.verify,
            check_hostname=place.verify,
        )


def _has_refused(error: OSError | None) -> bool:
    """Whether that error says all: nobody is there, rather than somebody who is not understood."""
    return error is not None and error.errno is not None and not isinstance(error, ssl.SSLError)


class _Quiet(logging.LoggerAdapter):  # type: ignore[type-arg]  # generic for type checkers alone
    """What kazoo says, for those who want details: its warnings are errors here already, its details tell passwords."""

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        if level > logging.DEBUG:
            super().log(logging.DEBUG, msg, *args, **kwargs)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return msg, kwargs
