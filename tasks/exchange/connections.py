"""Connections that outlive one use case: the next one of this process takes them up again.

Stores run side by side in threads; a connection belongs to one thread from `take` until it is given back.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections import defaultdict

from tasks.exchange.sessions import Server, Session

IDLE_SECONDS = 60.0
"""A connection that nobody used for so long is closed rather than trusted."""

IDLE_CONNECTIONS = 4
"""Connections to one server that wait for their next use."""


class Pool:
    """Idle connections by server and login."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[Server, list[tuple[float, Session]]] = defaultdict(list)

    def take(self, server: Server) -> Session:
        """A connection that nobody else uses; raises what `Server.connect` raises."""
        while True:
            with self._lock:
                since, idle = self._idle[server].pop() if self._idle[server] else (0.0, None)
            if idle is None:
                return _connect(server)
            if idle.alive and time.monotonic() - since < IDLE_SECONDS:
                return idle
            idle.close()

    def give_back(self, server: Server, session: Session) -> None:
        """Keep a connection on which no answer is outstanding."""
        with self._lock:
            waiting = self._idle[server]
            if session.alive and len(waiting) < IDLE_CONNECTIONS:
                waiting.append((time.monotonic(), session))
                return
        session.close()

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            waiting = [session for found in self._idle.values() for _, session in found]
            self._idle.clear()
        for session in waiting:
            session.close()


def _connect(server: Server) -> Session:
    return server.connect()


POOL = Pool()
"""Of this process."""

atexit.register(POOL.close)
