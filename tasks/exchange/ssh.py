"""Logs in to an SFTP server whose host key is pinned: nothing, not even a name, is sent to any other.

No key is ever added by itself, no agent asked, nothing under `~/.ssh` read: what counts is in the settings.
"""

from __future__ import annotations

import base64
import hashlib
import io
import logging
import re
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from data_contracts.errors import ConfigurationError, TillbridgeError, TransferInterrupted
from tasks.exchange import sessions
from tasks.exchange.addresses import read_url, said
from tasks.exchange.sftp import SftpSession
from tasks.settings import Settings

if TYPE_CHECKING:
    import paramiko

KEEPALIVE_SECONDS = 15

WIRE_LOG = "tasks.exchange.wire"
"""paramiko logs here what we raise as errors anyway; set its level to see it."""

_FAMILIES = (
    ("ssh-ed25519",),
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    ("rsa-sha2-512", "rsa-sha2-256"),
)
"""Algorithms by kind of host key; an RSA key is `ssh-rsa` whatever signs with it."""


@dataclass(frozen=True)
class Pin:
    """A host key that the server may show."""

    fingerprint: str
    """`SHA256:` and 43 characters."""
    kind: str = ""
    """`ssh-ed25519`, `ecdsa-...` or `ssh-rsa`; empty where only the fingerprint is known."""


@dataclass(frozen=True)
class Address:
    """An SFTP server, how to log in and what it has to show; equal ones share connections."""

    host: str
    port: int
    user: str
    password: str | None = field(repr=False)
    key_file: Path | None
    key_passphrase: str | None = field(repr=False)
    pins: tuple[Pin, ...]

    scheme: ClassVar[str] = "sftp"

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def connect(self) -> SftpSession:
        """Log in and start SFTP; errors as in `log_in` and `open_sftp`."""
        transport = log_in(self)
        try:
            return SftpSession(transport, open_sftp(transport, self))
        except BaseException:
            transport.close()
            raise


def read_address(settings: Settings) -> tuple[Address, str]:
    """The server of `[exchange]` and the folder on it; `ConfigurationError` if the URL is not complete.

    `sftp://user@host/folder` is the folder from the server's root as that login sees it,
    `sftp://user@host/~/folder` the one below the folder where the login lands.
    """
    url = read_url(settings.exchange_url, "SFTP", 22)
    exchange = settings.exchange
    if url.password is None and settings.key_file is None:
        raise ConfigurationError(
            f"There is nothing to log in with to the SFTP server {url.host}: [exchange] has neither "
            "key_file nor a password in url. Retrying cannot clear this.",
            next_step='set key_file, or a password as in url = "sftp://user:${SFTP_PASSWORD}@host/folder"',
        )
    passphrase = exchange.key_passphrase
    address = Address(
        host=url.host,
        port=url.port,
        user=url.user,
        password=url.password,
        key_file=settings.key_file,
        key_passphrase=passphrase.get_secret_value() if passphrase is not None else None,
        pins=tuple(read_pin(text) for text in exchange.host_keys),
    )
    return address, url.folder


def read_pin(text: str) -> Pin:
    """A host key as ssh-keygen -lf, ssh-keyscan or a line of known_hosts say it; `ConfigurationError`."""
    if found := re.search(r"((?:ssh|ecdsa)-[a-z0-9-]+)\s+(AAAA[A-Za-z0-9+/]+=*)", text):
        try:
            return Pin(_fingerprint(base64.b64decode(found[2], validate=True)), found[1])
        except ValueError as error:
            raise ConfigurationError(
                f"The host key `{text}` in [exchange] host_keys is cut short.",
                next_step="copy the whole line that `ssh-keyscan` prints",
            ) from error
    found = re.search(r"SHA256:[A-Za-z0-9+/]{43}", text)
    if found is None:
        raise ConfigurationError(
            f"`{text}` in [exchange] host_keys is not a host key.",
            next_step="use `SHA256:...` as `ssh-keygen -lf` prints it",
        )
    kinds = {"(ED25519)": "ssh-ed25519", "(RSA)": "ssh-rsa"}
    return Pin(found[0], next((kind for name, kind in kinds.items() if name in text), ""))


def log_in(address: Address) -> paramiko.Transport:
    """Reach the server, compare its host key, then log in.

    Raises `ConfigurationError` (host key, login, key file) or `TransferInterrupted`.
    """
    import paramiko

    key = _private_key(address)
    shown: list[Pin] = []
    for algorithms in filter(None, _negotiations(address.pins)):
        transport = _reach(address, algorithms)
        if transport is None:
            continue  # the server has no key of that kind
        try:
            offered = transport.get_remote_server_key()
            seen = Pin(_fingerprint(offered.asbytes()), offered.get_name())
            if any(pin.fingerprint == seen.fingerprint for pin in address.pins):
                _authenticate(transport, address, key)
                return transport
        except (TillbridgeError, paramiko.SSHException, OSError, EOFError) as error:
            transport.close()
            if isinstance(error, TillbridgeError):
                raise
            raise _unreachable(address, error) from error
        except BaseException:
            transport.close()
            raise
        transport.close()
        shown.append(seen)
        if not address.pins:
            break
    raise _wrong_host_key(address, shown)


def open_sftp(transport: paramiko.Transport, address: Address) -> paramiko.SFTPClient:
    """Start SFTP on a connection that is logged in; raises `TransferInterrupted`."""
    import paramiko

    # Nothing else bounds the wait for a server that never says whether it has SFTP.
    watch = threading.Timer(sessions.LOGIN_SECONDS, transport.close)
    watch.daemon = True
    watch.start()
    try:
        channel = transport.open_session(timeout=sessions.LOGIN_SECONDS)
        channel.settimeout(sessions.ANSWER_SECONDS)
        channel.invoke_subsystem("sftp")
        return paramiko.SFTPClient(channel)
    except (paramiko.SSHException, paramiko.SFTPError, OSError, EOFError) as error:
        raise TransferInterrupted(
            f"The SFTP server {address} let {address.user} in but did not start SFTP: {said(error)}. "
            "Nothing was read or written; retrying may help.",
            next_step="if it stays so, ask its owner whether this account may use SFTP",
            host=address.host,
        ) from error
    finally:
        watch.cancel()


def _negotiations(pins: Sequence[Pin]) -> Iterator[tuple[str, ...]]:
    """Host key algorithms to ask for, one connection each: those of the pins, else one kind after the other.

    A server has several keys and shows the one that is asked for; of a bare fingerprint nobody can tell
    which of them it is.
    """
    if pins and all(pin.kind for pin in pins):
        kinds = {pin.kind for pin in pins}
        yield tuple(name for family in _FAMILIES for name in family if _kind_of(name) in kinds)
        return
    yield tuple(name for family in _FAMILIES for name in family)
    yield from _FAMILIES[1:]


def _kind_of(algorithm: str) -> str:
    return "ssh-rsa" if algorithm.startswith("rsa-") else algorithm


def _reach(address: Address, algorithms: tuple[str, ...]) -> paramiko.Transport | None:
    """A connection with keys exchanged; None if the server has no host key of these kinds."""
    import paramiko
    from paramiko.ssh_exception import IncompatiblePeer

    logger = logging.getLogger(WIRE_LOG)
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)
    try:
        connected = socket.create_connection((address.host, address.port), timeout=sessions.CONNECT_SECONDS)
    except OSError as error:
        raise _unreachable(address, error) from error
    # Small requests that wait for each other: they must not wait for the network as well.
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    transport = paramiko.Transport(connected)
    transport.set_log_channel(WIRE_LOG)
    transport.banner_timeout = transport.auth_timeout = transport.handshake_timeout = sessions.LOGIN_SECONDS
    try:
        transport.get_security_options().key_types = algorithms
        transport.start_client(timeout=sessions.LOGIN_SECONDS)
    except (paramiko.SSHException, OSError, EOFError) as error:
        transport.close()
        if isinstance(error, IncompatiblePeer):
            if "host key" in str(error):
                return None
            raise ConfigurationError(
                f"The SFTP server {address} and this program have no cipher in common: {said(error)}. "
                "Nothing was sent to it; retrying cannot clear this.",
                next_step="ask its owner to update the server",
                host=address.host,
            ) from error
        raise _unreachable(address, error) from error
    except BaseException:
        transport.close()
        raise
    transport.set_keepalive(KEEPALIVE_SECONDS)
    return transport


def _authenticate(transport: paramiko.Transport, address: Address, key: paramiko.PKey | None) -> None:
    import paramiko

    by = "the key in key_file" if key is not None else "the password in url"
    try:
        still_asked = transport.auth_publickey(address.user, key) if key is not None else ["password"]
        if "password" in still_asked and address.password is not None:
            by = f"{by} and the password in url" if key is not None else by
            still_asked = transport.auth_password(address.user, address.password)
    except paramiko.BadAuthenticationType as error:
        raise _not_let_in(address, by, f"it only takes {' or '.join(sorted(error.allowed_types))}") from error
    except paramiko.AuthenticationException as error:
        # paramiko says so as well when the connection breaks or nobody answers in time.
        if not transport.is_active() or "timeout" in str(error).lower():
            raise TransferInterrupted(
                f"The SFTP server {address} hung up while {address.user} logged in by {by}. "
                "Nothing was read or written; retrying may help.",
                next_step="if it stays so, check user, password and key_file in [exchange]: some servers "
                "hang up instead of refusing, or shut an account out for a while",
                host=address.host,
                at_login=True,
            ) from error
        raise _not_let_in(address, by, "it does not accept it") from error
    if still_asked:
        raise _not_let_in(address, by, f"it asks for {' and '.join(sorted(still_asked))} as well")


def _private_key(address: Address) -> paramiko.PKey | None:
    """The key of `key_file`; line ends of Windows do no harm."""
    import paramiko

    file = address.key_file
    if file is None:
        return None
    try:
        text = "\n".join(file.read_text(encoding="ascii").splitlines()) + "\n"
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not a text file"
        raise _no_key(
            file, f"cannot be read: {reason}", "correct key_file or the rights of that file"
        ) from error
    if text.startswith("PuTTY-User-Key-File"):
        raise _no_key(
            file,
            "is in PuTTY's format",
            "export it in PuTTYgen: Conversions, Export OpenSSH key, and name that",
        )
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key(io.StringIO(text), password=address.key_passphrase)
        except paramiko.PasswordRequiredException as error:
            raise _no_key(file, "has a passphrase", "set key_passphrase in [exchange]") from error
        except (paramiko.SSHException, ValueError, TypeError, IndexError):
            continue  # of another kind
    next_step = "make one with `ssh-keygen -t ed25519`"
    if address.key_passphrase is not None:
        next_step = "correct key_passphrase in [exchange], or name another key"
    raise _no_key(file, "holds no private key that can be used", next_step)


def _fingerprint(key: bytes) -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def _unreachable(address: Address, error: BaseException) -> TransferInterrupted:
    return TransferInterrupted(
        f"The SFTP server {address} cannot be reached: {said(error)}. "
        "Nothing was read or written; retrying may help.",
        next_step="check the network and that the server runs; correct host and port in [exchange] url",
        host=address.host,
    )


def _wrong_host_key(address: Address, shown: Sequence[Pin]) -> ConfigurationError:
    keys = " and ".join(f"{pin.fingerprint} ({pin.kind})" for pin in shown) or "none of the kinds pinned"
    if not address.pins:
        return ConfigurationError(
            f"The SFTP server {address} is not known yet. It shows the host key {keys}; "
            "neither name nor password was sent. Retrying cannot clear this.",
            next_step="ask its owner for the fingerprint; only if it is that one, write "
            f'host_keys = ["{shown[0].fingerprint if shown else "SHA256:..."}"] under [exchange]',
            host=address.host,
        )
    pinned = " or ".join(pin.fingerprint for pin in address.pins)
    return ConfigurationError(
        f"The SFTP server {address} shows the host key {keys}, but pinned is {pinned}: somebody may be "
        "listening in. Neither name nor password was sent. Retrying cannot clear this.",
        next_step="ask its owner whether the key was changed; only then correct host_keys in [exchange] "
        "(it may hold the old and the new one)",
        host=address.host,
    )


def _not_let_in(address: Address, by: str, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"The SFTP server {address} does not let {address.user} in by {by}: {reason}. "
        "Retrying cannot clear this.",
        next_step="correct user, password or key_file in [exchange], or have the key entered at the server",
        host=address.host,
    )


def _no_key(file: Path, reason: str, next_step: str) -> ConfigurationError:
    return ConfigurationError(
        f"The key file {file} {reason}. Retrying cannot clear this.", next_step=next_step, file=str(file)
    )
