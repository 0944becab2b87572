"""As much of a SQL Server as it takes to log in, to refuse and to give one row: TDS 7.2.

The test answers; it knows no SQL. What the real driver makes of an answer can be seen with it.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import NamedTuple

PRELOGIN, LOGIN, BATCH, RPC, CANCEL = 0x12, 0x10, 0x01, 0x03, 0x06
REPLY, LAST = 0x04, 0x01
ERROR, LOGIN_ACKNOWLEDGED, DONE = 0xAA, 0xAD, 0xFD
DONE_WITH_ERROR, DONE_WITH_COUNT, CANCELLED = 0x02, 0x10, 0x20
COLUMNS, ROW = 0x81, 0xD1
INTEGER, MONEY, TEXT = 0x26, 0x6E, 0xE7
TDS_7_2 = 0x72090002


class Refusal(NamedTuple):
    """An error of SQL Server."""

    number: int
    text: str
    severity: int = 14


class Money(NamedTuple):
    """A value of type `money`."""

    ten_thousandths: int


class HangUp:
    """No answer: the connection is closed."""


Answer = Refusal | int | str | Money | HangUp | None
"""A refusal, a row of one value (an int is a BIGINT), or None: done without a row."""


def as_sql_server_2008(text: str) -> Answer:
    """What SQLAlchemy asks at first of every server."""
    if "ProductVersion" in text:
        return "10.50.6000.34"
    if "schema_name()" in text:
        return "dbo"
    return "READ COMMITTED" if text.strip().startswith("SELECT") else None


@dataclass
class TdsServer:
    """Lets everybody in, unless `login` refuses, and answers each statement by `answer(text)`."""

    login: Refusal | None = None
    answer: Callable[[str], Answer] = as_sql_server_2008
    said: list[str] = field(default_factory=list)
    """The texts of the statements that came."""

    def __enter__(self) -> TdsServer:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:  # closed: the test is over
                return
            threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        with closing(caller):
            while (message := _receive(caller)) is not None:
                kind, body = message
                if kind == PRELOGIN:
                    _send(caller, _prelogin())
                elif kind == LOGIN:
                    _send(caller, _refused(self.login) if self.login else _let_in())
                    if self.login:
                        return
                elif kind in (BATCH, RPC):
                    text = _text(body)
                    self.said.append(text)
                    answer = self.answer(text)
                    if isinstance(answer, HangUp):
                        return
                    _send(caller, _answered(answer))
                else:
                    _send(caller, _done(CANCELLED if kind == CANCEL else 0))


def _receive(caller: socket.socket) -> tuple[int, bytes] | None:
    """Kind and body of a message of one or more packets; None at the end."""
    body = b""
    while True:
        header = _exactly(caller, 8)
        if header is None:
            return None
        kind, status, length = struct.unpack(">BBH", header[:4])
        part = _exactly(caller, length - 8)
        if part is None:
            return None
        body += part
        if status & LAST:
            return kind, body


def _exactly(caller: socket.socket, length: int) -> bytes | None:
    found = b""
    while len(found) < length:
        try:
            part = caller.recv(length - len(found))
        except OSError:
            return None
        if not part:
            return None
        found += part
    return found


def _text(body: bytes) -> str:
    """The statement behind the headers, whose length stands first; with parameters at an odd place."""
    rest = body[struct.unpack_from("<I", body)[0] :]
    read = [rest[start:].decode("utf-16-le", errors="replace") for start in (0, 1)]
    return max(read, key=lambda text: sum(character.isascii() for character in text))


def _send(caller: socket.socket, body: bytes) -> None:
    with suppress(OSError):  # it has hung up
        caller.sendall(struct.pack(">BBHHBB", REPLY, LAST, len(body) + 8, 0, 1, 0) + body)


def _prelogin() -> bytes:
    """Version 10.50, and no encryption at all."""
    options = struct.pack(">BHHBHHB", 0, 11, 6, 1, 17, 1, 0xFF)
    return options + bytes((10, 50, 0, 0, 0, 0)) + b"\x02"


def _answered(answer: Refusal | int | str | Money | None) -> bytes:
    if answer is None:
        return _done()
    if isinstance(answer, Refusal):
        return _refused(answer)
    if isinstance(answer, Money):
        high, low = divmod(answer.ten_thousandths, 2**32)
        kind, value = struct.pack("<BB", MONEY, 8), struct.pack("<BiI", 8, high, low)
    elif isinstance(answer, int):
        kind, value = struct.pack("<BB", INTEGER, 8), struct.pack("<Bq", 8, answer)
    else:
        text = answer.encode("utf-16-le")
        kind, value = struct.pack("<BH5x", TEXT, 200), struct.pack("<H", len(text)) + text
    columns = struct.pack("<BHIH", COLUMNS, 1, 0, 1) + kind + struct.pack("<B", 0)
    return columns + struct.pack("<B", ROW) + value + _done(DONE_WITH_COUNT, 1)


def _let_in() -> bytes:
    name = "Microsoft SQL Server".encode("utf-16-le")
    body = struct.pack(">BIB", 1, TDS_7_2, len(name) // 2) + name + bytes((10, 50, 0, 0))
    return struct.pack("<BH", LOGIN_ACKNOWLEDGED, len(body)) + body + _done()


def _refused(refusal: Refusal) -> bytes:
    text, server = refusal.text.encode("utf-16-le"), "till".encode("utf-16-le")
    body = struct.pack("<IBBH", refusal.number, 1, refusal.severity, len(text) // 2) + text
    body += struct.pack("<B", len(server) // 2) + server + struct.pack("<BI", 0, 1)
    return struct.pack("<BH", ERROR, len(body)) + body + _done(DONE_WITH_ERROR)


def _done(status: int = 0, rows: int = 0) -> bytes:
    return struct.pack("<BHHQ", DONE, status, 0xC1, rows)
