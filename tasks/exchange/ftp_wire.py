"""FTP's connections: the one for requests and, for each transfer, one for data, with TLS on both or on none.

ftplib speaks the protocol; what it lacks stands here: data connections that resume the session of the
control connection, as many servers demand; the end of a transfer that can be told from a cut; replies in
any encoding.
"""

from __future__ import annotations

import errno
import ftplib
import re
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from tasks.exchange import sessions
from tasks.exchange.addresses import said

CHUNK_BYTES = 65_536

DENIED = re.compile(r"(?i)denied|not permitted|permission|privilege|not allowed|read-?only|forbidden")
"""Words by which a server says that it may not be: 550 is also what is not there, or there already."""

_PASSES = {421, 425, 426}
"""The server hangs up, or a data connection failed: on a new connection it may go well."""

_ERRNO = {452: errno.ENOSPC, 552: errno.ENOSPC, 530: errno.EACCES, 532: errno.EACCES, 534: errno.EACCES}
_ERRNO |= dict.fromkeys((500, 502, 504), errno.ENOSYS)


class Answer(OSError):
    """The server's answer to a request that it did not fulfil; `strerror` is its text."""

    def __init__(self, code: int, text: str) -> None:
        denied = code in (450, 501, 550, 551, 553) and DENIED.search(text) is not None
        super().__init__(errno.EACCES if denied else _ERRNO.get(code, 0), text)
        self.code = code

    @property
    def passes(self) -> bool:
        """Whether a new connection may help."""
        return self.code in _PASSES

    @property
    def denied(self) -> bool:
        """Whether it is a matter of rights."""
        return self.errno == errno.EACCES

    @property
    def unknown(self) -> bool:
        """Whether the server does not know the request."""
        return self.errno == errno.ENOSYS


class FtpWire(ftplib.FTP):
    """A connection to an FTP server. What it refuses is an `Answer`; a connection that broke an EOFError."""

    def __init__(self, host: str, port: int) -> None:
        """Reach the server and read its greeting; OSError, ftplib's errors."""
        super().__init__()
        self.host = host
        self._context: ssl.SSLContext | None = None
        self._check: Callable[[ssl.SSLSocket], None] = lambda secured: None
        self.sock = socket.create_connection((host, port), timeout=sessions.CONNECT_SECONDS)
        try:
            _at_once(self.sock)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self.sock.settimeout(sessions.LOGIN_SECONDS)
            self.af = self.sock.family
            self._listen()
            self.welcome = self.getresp()
        except BaseException:
            self.close()
            raise

    def secure(self, context: ssl.SSLContext, check: Callable[[ssl.SSLSocket], None]) -> None:
        """TLS on this connection and on those for data; `check` raises if the certificate is not the one.

        Raises what `ask` does (the server has no TLS), ssl.SSLError and OSError.
        """
        self.ask("AUTH TLS")
        self.sock = secured = context.wrap_socket(self._open, server_hostname=self.host)
        # What was read ahead before TLS began is not the server's, perhaps.
        self._listen()
        check(secured)
        self._context, self._check = context, check

    def getline(self) -> str:
        """A whole line of an answer; EOFError for one that is too long, or cut off: ftplib lets that pass."""
        line = self.file.readline(self.maxline + 1) if self.file is not None else ""
        if not line.endswith("\n"):
            raise EOFError
        return line.removesuffix("\n")

    def patience(self, seconds: float) -> None:
        """How long each answer may take."""
        self._open.settimeout(seconds)

    def ask(self, request: str) -> str:
        """The server's answer; `Answer` if it refuses, EOFError if the connection broke, TimeoutError."""
        try:
            return self.sendcmd(request)
        except TimeoutError:
            raise
        except (ftplib.Error, OSError, EOFError) as error:
            raise answer_of(error) from error

    def download(self, request: str) -> bytes:
        """All that the server sends to a request; errors as in `ask`, EOFError also if it was cut off."""
        parts: list[bytes] = []

        def receive(data: socket.socket) -> None:
            while part := data.recv(CHUNK_BYTES):
                parts.append(part)

        self._transfer(request, receive)
        return b"".join(parts)

    def upload(self, request: str, content: bytes) -> None:
        """Send all of a content with a request; errors as in `ask`."""

        def send(data: socket.socket) -> None:
            for place in range(0, len(content), CHUNK_BYTES):
                data.sendall(content[place : place + CHUNK_BYTES])

        self._transfer(request, send)

    def _transfer(self, request: str, effect: Callable[[socket.socket], None]) -> None:
        try:
            data = self._open_data(request)
            try:
                data = self._secured(data)
                effect(data)
                if isinstance(data, ssl.SSLSocket):
                    # Reads what the server may still have sent: a connection that is closed over unread
                    # bytes is reset, and the server loses what it got.
                    with suppress(OSError, ValueError):
                        data.unwrap()
            except OSError as error:
                data.close()
                self.voidresp()  # what the server says of it is worth more
                raise EOFError(f"the data connection broke: {said(error)}") from error
            finally:
                data.close()
            self.voidresp()
        except TimeoutError:
            raise
        except (ftplib.Error, OSError, EOFError) as error:
            raise answer_of(error) from error

    def _open_data(self, request: str) -> socket.socket:
        """A passive data connection for a request, which the server has agreed to."""
        # Of the address that the server names only the port counts, against servers that name another one.
        host, port = self.makepasv()
        try:
            data = socket.create_connection((host, port), timeout=sessions.CONNECT_SECONDS)
        except OSError as error:
            raise EOFError(f"its port {port} for data cannot be reached: {said(error)}") from error
        try:
            _at_once(data)
            data.settimeout(sessions.ANSWER_SECONDS)
            answer = self.sendcmd(request)
            if answer[0] != "1":
                raise EOFError(f"it answers `{answer}` before anything was sent")
        except BaseException:
            data.close()
            raise
        return data

    def _secured(self, data: socket.socket) -> socket.socket:
        """With TLS where this connection has it, in the same session; its end can be told from a cut."""
        if self._context is None or not isinstance(self.sock, ssl.SSLSocket):
            return data
        secured = self._context.wrap_socket(
            data, server_hostname=self.host, session=self.sock.session, suppress_ragged_eofs=False
        )
        try:
            self._check(secured)
        except BaseException:
            secured.close()
            raise
        return secured

    @property
    def _open(self) -> socket.socket:
        if self.sock is None:
            raise EOFError("the connection was closed")
        return self.sock

    def _listen(self) -> None:
        self.file = self._open.makefile("r", encoding="utf-8", errors="replace")


def _at_once(connected: socket.socket) -> None:
    """Small messages that wait for each other must not wait for the network as well."""
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def answer_of(error: Exception) -> Exception:
    """Ours for an error of ftplib or of the network."""
    if isinstance(error, Answer):
        return error
    text = " ".join(str(error).split())
    if isinstance(error, ftplib.Error) and re.match(r"[1-5]\d\d", text):
        return Answer(int(text[:3]), text.rstrip("."))
    return error if isinstance(error, EOFError) and text else EOFError(said(error))
