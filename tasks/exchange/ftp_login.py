"""Logs in to an FTP server; over `ftps://` not even a name is sent before its certificate is checked.

FTPS is explicit: TLS begins with AUTH TLS on the ordinary port, and the data connections have it too.
"""

from __future__ import annotations

import ftplib
import hashlib
import logging
import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from data_contracts.errors import ConfigurationError, TransferInterrupted
from tasks.exchange.addresses import read_url, said
from tasks.exchange.folder import UNSAFE
from tasks.exchange.ftp import FtpSession
from tasks.exchange.ftp_wire import Answer, FtpWire
from tasks.settings import Settings

logger = logging.getLogger(__name__)

PORT = 21
IMPLICIT_PORT = 990
"""Where TLS begins before the first word, which this program does not do."""


@dataclass(frozen=True)
class Address:
    """An FTP server, how to log in and how it is known; equal ones share connections."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    tls: bool = True
    certificates: tuple[str, ...] = ()
    """SHA-256 fingerprints that its certificate may have, as `fingerprint` writes them."""
    ca_file: Path | None = None
    """Whom its certificate has to come from, where none is pinned; None: whom the system trusts."""

    @property
    def scheme(self) -> str:
        """`ftps` or `ftp`."""
        return "ftps" if self.tls else "ftp"

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def connect(self) -> FtpSession:
        """Log in; errors as in `log_in`."""
        return log_in(self)


def read_address(settings: Settings) -> tuple[Address, str]:
    """The server of `[exchange]` and the folder on it; `ConfigurationError` if the URL is not complete."""
    tls = settings.exchange_url.lower().startswith("ftps://")
    url = read_url(settings.exchange_url, "FTPS" if tls else "FTP", PORT)
    if url.password is None:
        raise ConfigurationError(
            f"There is nothing to log in with to the FTP server {url.host}: [exchange] url has no password. "
            "Retrying cannot clear this.",
            next_step='write it as in url = "ftps://user:${FTPS_PASSWORD}@host/folder"',
        )
    if any(sign in url.user + url.password for sign in "\r\n\0"):
        raise ConfigurationError(
            "User or password in [exchange] url holds the end of a line. Nothing was sent; retrying cannot "
            "clear this.",
            next_step="see whether the variable that it is taken from ends with one",
        )
    if tls and url.port == IMPLICIT_PORT:
        raise ConfigurationError(
            f"Port {IMPLICIT_PORT} of {url.host} is for implicit TLS, which tillbridge does not speak. "
            "Nothing was sent; retrying cannot clear this.",
            next_step=f"leave the port out of [exchange] url: servers offer TLS on port {PORT} as well",
        )
    pins = tuple(normal_fingerprint(text) for text in settings.exchange.certificates)
    address = Address(url.host, url.port, url.user, url.password, tls, pins, settings.ca_file)
    return address, url.folder


def normal_fingerprint(text: str) -> str:
    """A fingerprint in any of its spellings as `fingerprint` writes it."""
    digits = re.sub(r"[^0-9A-F]", "", text.upper().rpartition("=")[2].removeprefix("SHA256").strip())
    return ":".join(digits[place : place + 2] for place in range(0, len(digits), 2))


def fingerprint(certificate: bytes) -> str:
    """SHA-256 of a certificate (DER), as openssl prints it: `AB:CD:...`."""
    return hashlib.sha256(certificate).digest().hex(":").upper()


def log_in(address: Address) -> FtpSession:
    """Reach the server, secure the connection, check its certificate, then log in.

    Raises `ConfigurationError` (no TLS, certificate, login) or `TransferInterrupted`.
    """
    if not address.tls:
        logger.warning("%s: %s", address, UNSAFE)
    context = _context(address) if address.tls else None
    try:
        wire = FtpWire(address.host, address.port)
    except (ftplib.Error, OSError, EOFError) as error:
        raise _unreachable(address, error) from error
    try:
        if context is not None:
            _secure(wire, context, address)
        _authenticate(wire, address)
        if context is not None:
            _protect(wire, address)
        return FtpSession.begin(wire)
    except (OSError, EOFError) as error:
        wire.close()
        raise _unreachable(address, error) from error
    except BaseException:
        wire.close()
        raise


def _context(address: Address) -> ssl.SSLContext:
    """What a certificate has to fulfil; a pinned one is compared instead."""
    try:
        context = ssl.create_default_context(cafile=address.ca_file)
    except (OSError, ValueError) as error:
        reason = "it holds no certificate in PEM" if isinstance(error, ssl.SSLError) else said(error)
        raise ConfigurationError(
            f"The file {address.ca_file} of ca_file in [exchange] cannot be read: {reason}. "
            "Nothing was sent; retrying cannot clear this.",
            next_step="name a file that holds certificates between BEGIN CERTIFICATE and END CERTIFICATE",
            file=str(address.ca_file),
        ) from error
    # So that the file may hold the server's own certificate instead of who signed it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if address.certificates:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _secure(wire: FtpWire, context: ssl.SSLContext, address: Address) -> None:
    def check(secured: ssl.SSLSocket) -> None:
        shown = fingerprint(secured.getpeercert(binary_form=True) or b"")
        if address.certificates and shown not in address.certificates:
            raise _wrong_certificate(address, shown)

    try:
        wire.secure(context, check)
    except Answer as answer:
        if answer.passes or answer.code < 500:
            raise
        raise ConfigurationError(
            f"The FTP server {address} offers no TLS: `{answer.strerror}`. Neither name nor password was "
            "sent. Retrying cannot clear this.",
            next_step="ask its owner to switch TLS on (AUTH TLS), or use sftp://",
            host=address.host,
        ) from answer
    except ssl.SSLCertVerificationError as error:
        raise _not_trusted(address, error.verify_message.rstrip(".")) from error
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError):
        raise
    except ssl.SSLError as error:
        raise ConfigurationError(
            f"The FTPS server {address} and this program do not agree on TLS: {error.reason or said(error)}. "
            "Neither name nor password was sent. Retrying cannot clear this.",
            next_step="ask its owner to offer TLS 1.2 or newer on that port",
            host=address.host,
        ) from error


def _authenticate(wire: FtpWire, address: Address) -> None:
    try:
        answer = wire.ask(f"USER {address.user}")
        if answer.startswith("3"):
            answer = wire.ask(f"PASS {address.password}")
        if answer.startswith("3"):
            raise _not_let_in(address, answer)
    except Answer as refused:
        if not refused.passes and refused.code >= 500:
            # Not from its cause: nobody knows what a server repeats.
            raise _not_let_in(address, str(refused.strerror)) from None
        raise _hung_up(address, refused) from None
    except (OSError, EOFError) as error:
        raise _hung_up(address, error) from error


def _protect(wire: FtpWire, address: Address) -> None:
    """TLS on data connections as well."""
    try:
        wire.ask("PBSZ 0")
        wire.ask("PROT P")
    except Answer as answer:
        if answer.passes:
            raise
        raise ConfigurationError(
            f"The FTPS server {address} does not encrypt data connections: `{answer.strerror}`. "
            "No file was sent or read; retrying cannot clear this.",
            next_step="ask its owner to allow PROT P, or use sftp://",
            host=address.host,
        ) from answer


def _shown(address: Address) -> str:
    """The fingerprint of the certificate that a server shows; empty if it does not do so a second time."""
    found: list[bytes | None] = []
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        wire = FtpWire(address.host, address.port)
        try:
            wire.secure(context, lambda secured: found.append(secured.getpeercert(binary_form=True)))
        finally:
            wire.close()
    except (ftplib.Error, OSError, EOFError):
        return ""
    return fingerprint(found[0] or b"")


def _unreachable(address: Address, error: BaseException) -> TransferInterrupted:
    return TransferInterrupted(
        f"The FTP server {address} cannot be reached: {said(error)}. "
        "Nothing was read or written; retrying may help.",
        next_step="check the network and that the server runs; correct host and port in [exchange] url",
        host=address.host,
    )


def _hung_up(address: Address, error: BaseException) -> TransferInterrupted:
    return TransferInterrupted(
        f"The FTP server {address} hung up while {address.user} logged in: {_kept(address, said(error))}. "
        "Nothing was read or written; retrying may help.",
        next_step="if it stays so, check user and password in [exchange] url: some servers hang up instead "
        "of refusing, or shut an account out for a while",
        host=address.host,
        at_login=True,
    )


def _not_let_in(address: Address, answer: str) -> ConfigurationError:
    return ConfigurationError(
        f"The FTP server {address} does not let {address.user} in by the password in url: "
        f"`{_kept(address, answer)}`. Retrying cannot clear this.",
        next_step="correct user and password in [exchange] url, or have the account opened",
        host=address.host,
    )


def _kept(address: Address, text: str) -> str:
    """What a server says, without the password should it repeat it."""
    return text.replace(address.password, "***")


def _not_trusted(address: Address, reason: str) -> ConfigurationError:
    shown = _shown(address)
    named = f" It shows the certificate {shown}." if shown else ""
    return ConfigurationError(
        f"The certificate of the FTPS server {address} is not trusted: {reason}.{named} "
        "Neither name nor password was sent. Retrying cannot clear this.",
        next_step="ask its owner for the fingerprint; only if it is that one, write "
        f'certificates = ["{shown or "AB:CD:..."}"] under [exchange], or name who signed it in ca_file',
        host=address.host,
    )


def _wrong_certificate(address: Address, shown: str) -> ConfigurationError:
    return ConfigurationError(
        f"The FTPS server {address} shows the certificate {shown}, but pinned is "
        f"{' or '.join(address.certificates)}: it was renewed, or somebody may be listening in. "
        "Neither name nor password was sent. Retrying cannot clear this.",
        next_step="ask its owner whether it was renewed; only then correct certificates in [exchange] "
        "(it may hold the old and the new one)",
        host=address.host,
    )
