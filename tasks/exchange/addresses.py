"""Reads the address of a server out of `[exchange] url`; no error shows any part of the password."""

from __future__ import annotations

import socket
import ssl
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from data_contracts.errors import ConfigurationError


class Url(NamedTuple):
    """An address taken apart and decoded."""

    host: str
    port: int
    user: str
    password: str | None
    folder: str
    """Begins with `/`: from the server's root as that login sees it; else from where the login lands."""


def read_url(text: str, protocol: str, port: int) -> Url:
    """`scheme://user:password@host:port/folder`; `ConfigurationError` if it is not complete.

    `/~/folder` is the one below the folder where the login lands. `port` counts where none is named.
    """
    example = f"{protocol.lower()}://user@host:{port}/folder"
    try:
        url = urlsplit(text)
        port = url.port or port
    except ValueError:  # its text may hold a part of the password
        reason = "host and port cannot be told apart; percent-encode the password"
        raise _not_an_address(protocol, reason, example) from None
    if not url.hostname or not url.username:
        reason = "it names no host" if not url.hostname else "it names no user"
        raise _not_an_address(protocol, reason, example)
    if url.query or url.fragment:
        raise _not_an_address(protocol, "it has a `?` or `#`; percent-encode them", example)
    if not url.path:
        raise _not_an_address(protocol, "it names no folder", example)
    folder = unquote(url.path).rstrip("/") or "/"
    if folder == "/~" or folder.startswith("/~/"):
        folder = folder[3:].lstrip("/") or "."
    password = unquote(url.password) if url.password else None
    return Url(url.hostname, port, unquote(url.username), password, folder)


def said(error: BaseException) -> str:
    """What an error of the network or of a server says, without its full stop."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, socket.gaierror):
        return "its name cannot be resolved"
    if isinstance(error, ssl.SSLError):
        reason = getattr(error, "reason", None) or "the connection was closed"
        return f"TLS: {reason.replace('_', ' ').lower()}"
    return getattr(error, "strerror", None) or str(error).strip().rstrip(".") or "the connection was closed"


def _not_an_address(protocol: str, reason: str, example: str) -> ConfigurationError:
    return ConfigurationError(
        f"[exchange] url is not an {protocol} address: {reason}. Retrying cannot clear this.",
        next_step=f"write it as {example}",
    )
