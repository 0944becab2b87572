"""FTP servers for tests: pyftpdlib with or without TLS, and with the ways of other servers."""

from __future__ import annotations

import threading
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.filesystems import AbstractedFS
from pyftpdlib.handlers import FTPHandler, TLS_DTPHandler, TLS_FTPHandler
from pyftpdlib.ioloop import IOLoop
from pyftpdlib.servers import FTPServer as PyFtpServer

from tasks.exchange import ftp_login
from tests.exchange.servers import Wire

PASSWORD = "correct horse"
ALL_RIGHTS, READ_ONLY = "elradfmwMT", "elr"


class Certificate(NamedTuple):
    """A server's certificate that nobody vouches for."""

    file: Path
    """Its key is there as well, as the server wants it."""
    fingerprint: str


def certificate(file: Path, name: str = "127.0.0.1") -> Certificate:
    """Make one for a name or an address."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    known_as = x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
    today = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([known_as]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    text = made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(text)
    return Certificate(file, made.fingerprint(hashes.SHA256()).hex(":").upper())


class ResumedOnly(TLS_DTPHandler):
    """A data connection that resumes the session of the control connection, as many servers demand."""

    def handle_ssl_established(self) -> None:
        if not SSL._lib.SSL_session_reused(self.socket._ssl):  # type: ignore[attr-defined]
            self.cmd_channel.respond("522 SSL connection failed; session reuse required.")
            self.close()


class KeepsWhatIsThere(AbstractedFS):
    """Renames as on Windows: a name that is taken is refused."""

    def rename(self, src: str, dst: str) -> None:
        if Path(dst).exists():
            raise FileExistsError(17, "Cannot create a file when that file already exists")
        super().rename(src, dst)


OLD_SERVER = ("MLSD", "MLST")
"""Requests that servers of the last century do not know; vsftpd and IIS neither."""


class FtpServer:
    """Serves a folder until the block ends; `said` is all that it was asked."""

    def __init__(
        self,
        folder: Path,
        tls: Certificate | None = None,
        *,
        without: Collection[str] = (),
        rights: str = ALL_RIGHTS,
        password: str = PASSWORD,
        files: type[AbstractedFS] = AbstractedFS,
        **ways: Any,
    ) -> None:
        """`without`: requests it does not know; `ways`: attributes of pyftpdlib's handler."""
        server = self
        self.wire: Wire | None = None
        """Through which data connections go."""
        self._handlers: list[Any] = []
        self.loses = ""
        """How an answer begins that never arrives: the connection is closed instead, once."""
        self.said: list[str] = []
        self.connections = 0
        base = TLS_FTPHandler if tls else FTPHandler

        class Handler(base):  # type: ignore[misc, valid-type]
            authorizer = DummyAuthorizer()
            abstracted_fs = files
            auth_failed_timeout = 0
            use_sendfile = False

            def on_connect(self) -> None:
                server.connections += 1
                server._handlers.append(self)

            def process_command(self, cmd: str, *args: Any, **kwargs: Any) -> None:
                server.said.append(" ".join((cmd, *map(str, args))))
                super().process_command(cmd, *args, **kwargs)

            def respond(self, resp: str, *args: Any, **kwargs: Any) -> None:
                if server.loses and resp.startswith(server.loses):
                    server.loses = ""
                    self.close()
                    return
                if server.wire is not None and resp.startswith("227"):
                    high, low = resp.rstrip(").").split(",")[-2:]
                    port = server.wire.through(int(high) * 256 + int(low))
                    resp = f"227 Passive (127,0,0,1,{port // 256},{port % 256})."
                super().respond(resp, *args, **kwargs)

        Handler.authorizer.add_user("till", password, str(folder), perm=rights)
        if tls is not None:
            Handler.certfile, Handler.dtp_handler = str(tls.file), ResumedOnly
            Handler.tls_control_required = Handler.tls_data_required = True
        known = {name: one for name, one in base.proto_cmds.items() if name not in without}
        for name, value in {"proto_cmds": known, **ways}.items():
            setattr(Handler, name, value)
        self.folder = folder
        self._server = PyFtpServer(("127.0.0.1", 0), Handler, ioloop=IOLoop())
        self.port = int(self._server.socket.getsockname()[1])
        self._over, self._hanging_up = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        certificates = (tls.fingerprint,) if tls else ()
        self.address = ftp_login.Address(
            "127.0.0.1", self.port, "till", password, tls=tls is not None, certificates=certificates
        )

    def __enter__(self) -> FtpServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def hang_up(self) -> None:
        """Close every connection, as after a restart; done when this returns."""
        self._hanging_up.set()
        while self._hanging_up.is_set():
            self._over.wait(0.01)

    def _serve(self) -> None:
        while not self._over.is_set():
            self._server.serve_forever(timeout=0.05, blocking=False, handle_exit=False)
            if self._hanging_up.is_set():
                for handler in self._handlers:
                    handler.close()
                self._hanging_up.clear()
        self._server.close_all()
