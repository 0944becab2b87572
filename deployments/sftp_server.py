"""A small SFTP server over a local folder, for the demo, for tests and for a PC without OpenSSH.

It listens on this machine alone, has a host key that nobody keeps and one login. Not for production: it
knows no accounts, no rights and no quotas, and one folder is all there is to see. Use OpenSSH's sshd there.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import hmac
import logging
import os
import posixpath
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import paramiko
from paramiko.common import (
    AUTH_FAILED,
    AUTH_SUCCESSFUL,
    OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED,
    OPEN_SUCCEEDED,
)
from paramiko.sftp import SFTP_FAILURE, SFTP_OK, SFTP_PERMISSION_DENIED

from data_contracts.errors import ConfigurationError

LOG = "deployments.sftp_server.wire"
"""paramiko logs here; a client that went away is no news."""

USER = "till"

_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}


class Files(paramiko.SFTPServerInterface):
    """What a client may do with the folder; a rename refuses a name that is taken."""

    def __init__(self, server: paramiko.ServerInterface, root: Path) -> None:
        super().__init__(server)
        self.root = root

    def place(self, path: str) -> Path:
        """The local path; nothing leads out of the folder."""
        inside = posixpath.normpath("/" + path.replace("\\", "/")).lstrip("/")
        return self.root.joinpath(*inside.split("/")) if inside else self.root

    def list_folder(self, path: str) -> list[paramiko.SFTPAttributes] | int:
        """Names and attributes of all that lies directly in a folder."""
        try:
            with os.scandir(self.place(path)) as entries:
                return [paramiko.SFTPAttributes.from_stat(e.stat(), e.name) for e in entries]
        except OSError as error:
            return _answer(error)

    def stat(self, path: str) -> paramiko.SFTPAttributes | int:
        """Attributes of a file or folder."""
        try:
            return paramiko.SFTPAttributes.from_stat(self.place(path).stat())
        except OSError as error:
            return _answer(error)

    lstat = stat

    def open(self, path: str, flags: int, attr: paramiko.SFTPAttributes) -> paramiko.SFTPHandle | int:
        """A handle to read or write with."""
        mode = "r+b" if flags & os.O_RDWR else "wb" if flags & os.O_WRONLY else "rb"
        try:
            place = self.place(path)
            file = os.fdopen(os.open(place, flags | getattr(os, "O_BINARY", 0), 0o644), mode, buffering=0)
        except OSError as error:
            return _answer(error)
        handle = paramiko.SFTPHandle(flags)
        handle.readfile = handle.writefile = file  # type: ignore[attr-defined]
        return handle

    def remove(self, path: str) -> int:
        """Delete a file."""
        return _done(lambda: self.place(path).unlink())

    def mkdir(self, path: str, attr: paramiko.SFTPAttributes) -> int:
        """Make a folder."""
        return _done(lambda: self.place(path).mkdir())

    def rename(self, oldpath: str, newpath: str) -> int:
        """Rename without replacing."""
        with _RENAMING:
            if self.place(newpath).exists():
                return SFTP_FAILURE
            return _done(lambda: self.place(oldpath).rename(self.place(newpath)))

    def posix_rename(self, oldpath: str, newpath: str) -> int:
        """Rename, replacing in one step what has the name."""
        with _RENAMING:
            return _done(lambda: self.place(oldpath).replace(self.place(newpath)))


class _Login(paramiko.ServerInterface):
    """One user, by key or password."""

    def __init__(self, owner: SftpServer) -> None:
        self.owner = owner

    def get_allowed_auths(self, username: str) -> str:
        return "publickey,password" if self.owner.password is not None else "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        known = any(key.asbytes() == base64.b64decode(line.split()[1]) for line in self.owner.keys)
        return self._verdict(username, known)

    def check_auth_password(self, username: str, password: str) -> int:
        wanted = self.owner.password
        known = wanted is not None and hmac.compare_digest(wanted.encode(), password.encode())
        return self._verdict(username, known)

    def check_channel_request(self, kind: str, chanid: int) -> int:
        if kind == "session":
            return OPEN_SUCCEEDED
        return OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def _verdict(self, username: str, known: bool) -> int:
        self.owner.login_attempts += 1
        known = known and username == USER
        return AUTH_SUCCESSFUL if known else AUTH_FAILED


class SftpServer:
    """Serves `folder` as its root on a free port of 127.0.0.1 (or on `port`) until the block ends.

    `keys` are public keys (`ssh-ed25519 AAAA...`) that may log in as `till`, `password` another way to.
    Its threads end with the process, so that nothing is left of one that was killed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        keys: Sequence[str] = (),
        password: str | None = None,
        port: int = 0,
        files: type[Files] = Files,
    ) -> None:
        self.folder = folder
        self.keys = tuple(keys)
        self.password = password
        self.files = files
        self.login_attempts = 0
        self.connections = 0
        self.host_key: paramiko.PKey = paramiko.ECDSAKey.generate()
        try:
            self._listener = socket.create_server(("127.0.0.1", port))
        except OSError as error:
            raise ConfigurationError(
                f"Port {port} cannot be listened on: {error.strerror}.", next_step="name another --port"
            ) from error
        self._transports: list[paramiko.Transport] = []
        self._lock = threading.Lock()
        self._closed = False
        self._accepting = threading.Thread(target=self._accept, name="sftp-server", daemon=True)

    def __enter__(self) -> Self:
        logging.getLogger(LOG).setLevel(logging.CRITICAL)
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._closed = True
        # Closing alone does not wake a thread that waits in accept().
        with socket.create_connection(("127.0.0.1", self.port)):
            self._accepting.join()
        self._listener.close()
        self.disconnect()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._listener.getsockname()[1])

    @property
    def fingerprint(self) -> str:
        """`SHA256:...` of its host key."""
        digest = hashlib.sha256(self.host_key.asbytes()).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")

    @property
    def url(self) -> str:
        """The address of its folder, without a password."""
        return f"sftp://{USER}@127.0.0.1:{self.port}/"

    def disconnect(self) -> None:
        """Cut all connections."""
        with self._lock:
            transports, self._transports = self._transports, []
        for transport in transports:
            transport.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                if self._closed:
                    client.close()
                    return
                self.connections += 1
                transport = paramiko.Transport(client)
                self._transports = [known for known in self._transports if known.is_active()]
                self._transports.append(transport)
            transport.set_log_channel(LOG)
            transport.add_server_key(self.host_key)
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, self.files, self.folder)
            # With an event it does not wait for the client, which may never say a word.
            transport.start_server(event=threading.Event(), server=_Login(self))


def public_line(file: Path) -> str:
    """The public line of a private key, which is made if it is not there; `ConfigurationError`."""
    try:
        if file.exists():
            key = paramiko.ECDSAKey.from_private_key_file(str(file))
        else:
            key = paramiko.ECDSAKey.generate()
            key.write_private_key_file(str(file))
    except (OSError, ValueError, paramiko.SSHException) as error:
        raise ConfigurationError(
            f"The key file {file} cannot be used: it has to be one that this command has written.",
            next_step="name another file",
        ) from error
    return f"{key.get_name()} {key.get_base64()}"


_RENAMING = threading.Lock()


def _done(effect: Callable[[], object]) -> int:
    try:
        effect()
    except OSError as error:
        return _answer(error)
    return SFTP_OK


def _answer(error: OSError) -> int:
    if error.errno in _DENIED:
        return SFTP_PERMISSION_DENIED
    return paramiko.SFTPServer.convert_errno(error.errno or 0)
