"""SFTP connections that outlive one use case: the next one of this process takes them up again.

Stores run side by side in threads; a connection belongs to one thread from `take` until it is given back.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.exchange.ssh import Address, log_in, open_sftp

if TYPE_CHECKING:
    import paramiko

IDLE_SECONDS = 60.0
"""A connection that nobody used for so long is closed rather than trusted."""

IDLE_CONNECTIONS = 4
"""Connections to one server that wait for their next use."""


@dataclass(frozen=True)
class Connection:
    """A connection with SFTP started on it."""

    transport: paramiko.Transport
    client: paramiko.SFTPClient

    @property
    def alive(self) -> bool:
        """Whether nothing is known to the contrary."""
        channel = self.client.get_channel()
        # In a process that was forked its thread is not alive, and both would write into one stream.
        running = self.transport.is_active() and self.transport.is_alive()
        return running and channel is not None and not channel.closed

    def close(self) -> None:
        """End it; never raises."""
        self.transport.close()


class Pool:
    """Idle connections by address."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[Address, list[tuple[float, Connection]]] = defaultdict(list)

    def take(self, address: Address) -> Connection:
        """A connection that nobody else uses; raises what `log_in` and `open_sftp` raise."""
        while True:
            with self._lock:
                since, idle = self._idle[address].pop() if self._idle[address] else (0.0, None)
            if idle is None:
                return _connect(address)
            if idle.alive and time.monotonic() - since < IDLE_SECONDS:
                return idle
            idle.close()

    def give_back(self, address: Address, connection: Connection) -> None:
        """Keep a connection on which no answer is outstanding."""
        with self._lock:
            waiting = self._idle[address]
            if connection.alive and len(waiting) < IDLE_CONNECTIONS:
                waiting.append((time.monotonic(), connection))
                return
        connection.close()

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            waiting = [connection for found in self._idle.values() for _, connection in found]
            self._idle.clear()
        for connection in waiting:
            connection.close()


def _connect(address: Address) -> Connection:
    transport = log_in(address)
    try:
        return Connection(transport, open_sftp(transport, address))
    except BaseException:
        transport.close()
        raise


POOL = Pool()
"""Of this process."""

atexit.register(POOL.close)
