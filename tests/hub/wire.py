"""A wire to the tests' PostgreSQL server that listens, and can be cut around a COMMIT."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import URL, make_url

COMMIT_ASKED = b"COMMIT"
COMMITTED = b"COMMIT\x00"
"""How the server says that it has committed: the tag of CommandComplete."""


class Wire:
    """Passes bytes on, both ways, for any number of connections.

    With `cut_before` or `cut_after` the connection is cut when the client asks to commit, before the server
    hears of it, or when the server has committed, before the client hears of it; once.
    """

    def __init__(self, server: URL) -> None:
        self._server = (server.host or "127.0.0.1", server.port or 5432)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = server.set(host="127.0.0.1", port=self._listener.getsockname()[1]).update_query_dict(
            {"sslmode": "disable", "gssencmode": "disable"}
        )
        self.cut_before = self.cut_after = False
        self.cuts = 0
        self._asked: list[bytes] = []
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def copied(self) -> set[str]:
        """Tables and temporary tables that rows came into by COPY."""
        return {name.decode() for name in re.findall(rb"COPY (\w+) \(", b"".join(self._asked))}

    @property
    def inserted(self) -> set[str]:
        """Tables that rows came into one by one."""
        found = re.findall(rb"INSERT INTO (\w+) \([^)]*\) VALUES", b"".join(self._asked))
        return {name.decode() for name in found}

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                for ends in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, asking: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if asking:
                    self._asked.append(data)
                if asking and self.cut_before and COMMIT_ASKED in data:
                    self.cut_before = False
                    break
                if not asking and self.cut_after and COMMITTED in data:
                    self.cut_after = False
                    break
                target.sendall(data)
            else:
                data = b""
            self.cuts += bool(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextmanager
def wire_to(url: str) -> Iterator[Wire]:
    """A wire to the server of this URL."""
    wire = Wire(make_url(url))
    try:
        yield wire
    finally:
        wire.close()
