"""An exchange folder on an SFTP server, with what every server offers: no locks, no extension but one.

A connection that breaks is made again, and what it was at is done again or, where the outcome of a rename
is not known, looked at first. Files are flushed by the server alone: paramiko offers no way to ask for
`fsync@openssh.com`. What a power cut at the server takes is published again, because where an export goes
on stands in the same folder.
"""

from __future__ import annotations

import builtins
import errno
import hashlib
import logging
import posixpath
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from data_contracts.errors import ConfigurationError, TillbridgeError, TransferInterrupted
from tasks import faults
from tasks.exchange import remote, ssh
from tasks.exchange.connections import POOL, Connection, Pool
from tasks.exchange.folder import (
    LEFTOVER_SECONDS,
    MARKER_NAME,
    MARKER_TEXT,
    PART_SUFFIX,
    failed,
    not_there,
    part_name,
    reads_back_otherwise,
    refused,
    steps_of,
    unmounted,
)
from tasks.exchange.ssh import Address

if TYPE_CHECKING:
    import paramiko

logger = logging.getLogger(__name__)

T = TypeVar("T")

PAUSES_SECONDS = (0.5, 2.0)
"""Before each new try after a connection that broke."""

PATIENCE_SECONDS = 10.0
"""After so long there is no new try: the step that called has longer pauses."""

_GONE = {errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EBADF}
_CANNOT_HELP = {errno.EACCES, errno.EPERM, errno.ENOTDIR}


class SftpFolder:
    """A `Folder` below one directory of an SFTP server; the directory is made when its parent exists.

    For one thread. It takes a connection at its first use and gives it back when it is closed.
    """

    def __init__(self, address: Address, root: str, *, pool: Pool = POOL) -> None:
        self.address = address
        self.root = root
        self._pool = pool
        self._connection: Connection | None = None
        self._marked = False
        self._mounted = False
        self._clean: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._drop()  # an answer may still be on its way
        self.close()

    def __str__(self) -> str:
        return f"sftp://{self.address}{self.root if self.root.startswith('/') else '/~/' + self.root}"

    def close(self) -> None:
        """Give the connection back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.give_back(self.address, connection)

    def take_into_use(self) -> None:
        """Mark the directory as an exchange folder, also if it is empty."""

        def effect(client: paramiko.SFTPClient) -> None:
            if not self._is_marked(client):
                self._check_mounted(client)
            faults.point("exchange.mark")
            self._mark(client)
            faults.point("exchange.marked")

        self._tried("marking", MARKER_NAME, effect)

    def list(self, path: str) -> builtins.list[str]:
        """Names of the files directly in a folder, sorted; none if the folder does not exist."""
        folder = self._place(path)

        def effect(client: paramiko.SFTPClient) -> builtins.list[str]:
            self._check_root(client)
            return sorted(
                found.filename
                for found in remote.entries(client, folder) or ()
                if not found.filename.endswith(PART_SUFFIX) and remote.is_file(found)
            )

        return self._tried("listing", path, effect)

    def read(self, path: str) -> bytes:
        """All of a file; FileNotFoundError if there is none."""
        place = self._place(path)

        def effect(client: paramiko.SFTPClient) -> bytes:
            try:
                return remote.read(client, place)
            except FileNotFoundError:
                self._check_root(client)
                return remote.read(client, remote.before(place))

        return self._tried("reading", path, effect)

    def exists(self, path: str) -> bool:
        """Whether there is a file of that name."""
        place = self._place(path)

        def effect(client: paramiko.SFTPClient) -> bool:
            self._check_root(client)
            return remote.stands(client, place) or remote.stands(client, remote.before(place))

        return self._tried("looking for", path, effect)

    def publish(self, path: str, data: bytes) -> None:
        """Write aside, read back, rename without replacing."""
        place = self._place(path)
        part = self._write_aside("publishing", path, data)
        faults.point("exchange.publish")
        self._tried("publishing", path, lambda client: remote.settle(client, part, place, path, data))
        faults.point("exchange.published")
        self._remove_leftovers(posixpath.dirname(place), place)

    def replace(self, path: str, data: bytes) -> None:
        """Write aside, read back, rename over the old one."""
        place = self._place(path)
        part = self._write_aside("replacing", path, data)
        faults.point("exchange.replace")
        self._tried("replacing", path, lambda client: remote.replace(client, part, place, data))
        faults.point("exchange.replaced")

    def move(self, path: str, to: str) -> None:
        """Rename without replacing; done if it was done before."""
        source, target = self._place(path), self._place(to)

        def effect(client: paramiko.SFTPClient) -> None:
            if remote.stands(client, target) and not remote.stands(client, source):
                return
            faults.point("exchange.move")
            try:
                remote.settle(client, source, target, to, None)
            except FileNotFoundError:  # there is no source, or no folder for the target
                self._check_root(client)
                if not remote.stands(client, source):
                    raise
                self._make_folders(client, posixpath.dirname(to))
                remote.settle(client, source, target, to, None)
            faults.point("exchange.moved")

        self._tried("moving", path, effect)

    def remove(self, path: str) -> None:
        """Let a file be gone; done if it is not there."""
        place = self._place(path)

        def effect(client: paramiko.SFTPClient) -> None:
            self._check_root(client)
            faults.point("exchange.remove")
            for name in (remote.before(place), place):  # else what it was before would be read for it
                with suppress(FileNotFoundError):
                    client.remove(name)
            faults.point("exchange.removed")

        self._tried("removing", path, effect)

    def _place(self, path: str) -> str:
        return posixpath.join(self.root, *steps_of(path))

    def _tried(self, action: str, path: str, effect: Callable[[paramiko.SFTPClient], T]) -> T:
        """Do it, on a new connection if one breaks; `effect` has to be one that may be done twice."""
        import paramiko

        began = time.monotonic()
        pauses = [*PAUSES_SECONDS]
        while True:
            try:
                connection = self._connected()
            except TransferInterrupted as error:
                # A login that was hung up on may have been a refusal, and too many of them lock an account.
                if "at_login" in error.context or not _may_pause(began, pauses):
                    raise
                continue
            try:
                return effect(connection.client)
            except (OSError, EOFError, ValueError, paramiko.SSHException, paramiko.SFTPError) as error:
                if isinstance(error, FileNotFoundError) and action in ("reading", "moving"):
                    raise
                answered = not _broken(connection, error)
                self._drop()  # answers to what was asked ahead may still be on their way
                if answered:
                    raise translated(error, action, path, str(self)) from error
                if not _may_pause(began, pauses):
                    raise translated(error, action, path, str(self), cut=True) from error
                logger.info("%s %s: the connection broke, trying again", action, path)

    def _connected(self) -> Connection:
        if self._connection is None:
            self._marked = self._mounted = False
            self._connection = self._pool.take(self.address)
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _is_marked(self, client: paramiko.SFTPClient) -> bool:
        self._marked = self._marked or remote.stands(client, posixpath.join(self.root, MARKER_NAME))
        return self._marked

    def _check_root(self, client: paramiko.SFTPClient) -> None:
        """An unmounted share must not look like an empty one; asked once a connection."""
        if self._mounted or self._is_marked(client):
            return
        self._check_mounted(client)
        if remote.entries(client, self.root) == []:
            raise unmounted(str(self))
        self._mounted = True

    def _check_mounted(self, client: paramiko.SFTPClient) -> None:
        above = posixpath.dirname(self.root) or "."
        if remote.attributes(client, self.root) is None and remote.attributes(client, above) is None:
            raise not_there(str(self))

    def _mark(self, client: paramiko.SFTPClient) -> None:
        if self._is_marked(client):
            return
        if remote.attributes(client, self.root) is None:
            remote.make_folder(client, self.root)
        marker = posixpath.join(self.root, MARKER_NAME)
        try:
            with client.open(marker, "wx") as file:
                file.write(MARKER_TEXT)
        except TimeoutError:
            raise
        except OSError:
            if not remote.stands(client, marker):  # another one may have been faster
                raise
        self._marked = True

    def _make_folders(self, client: paramiko.SFTPClient, path: str) -> None:
        """The folders down to `path`, which is relative to the root; one that is a file is refused."""
        place = self.root
        for name in steps_of(path) if path else ():
            place = posixpath.join(place, name)
            found = remote.attributes(client, place)
            if found is None:
                remote.make_folder(client, place)
            elif remote.is_file(found):
                raise NotADirectoryError(errno.ENOTDIR, "a file is in the way of a folder", place)

    def _write_aside(self, action: str, path: str, data: bytes) -> str:
        place = self._place(path)
        folder, name = posixpath.split(place)
        begun: builtins.list[str] = []

        def effect(client: paramiko.SFTPClient) -> str:
            self._check_root(client)
            self._mark(client)
            for part in begun:
                remote.forget(client, part)
            part = posixpath.join(folder, part_name(name))
            begun.append(part)
            faults.point("exchange.write")
            try:
                file = client.open(part, "wx")
            except FileNotFoundError:
                self._make_folders(client, posixpath.dirname(path))
                file = client.open(part, "wx")
            try:
                with file:
                    remote.write(file, data)
                faults.point("exchange.written")
                back = remote.read(client, part)
            except TimeoutError:
                raise
            except OSError:
                remote.forget(client, part)  # a full disk keeps the half that found room
                raise
            if len(back) != len(data) or hashlib.sha256(back).digest() != hashlib.sha256(data).digest():
                remote.forget(client, part)
                raise reads_back_otherwise(path, len(back), len(data))
            return part

        return self._tried(action, path, effect)

    def _remove_leftovers(self, folder: str, than: str) -> None:
        """Remove part files of killed runs, once a folder. Ages are compared on the server's clock."""
        if folder in self._clean:
            return

        def effect(client: paramiko.SFTPClient) -> None:
            found = {entry.filename: entry.st_mtime or 0 for entry in remote.entries(client, folder) or ()}
            newest = found.get(posixpath.basename(than), 0)
            for name, at in found.items():
                ended = name.endswith(PART_SUFFIX) and not name.endswith(remote.BEFORE_SUFFIX)
                if ended and newest - at > LEFTOVER_SECONDS:
                    remote.forget(client, posixpath.join(folder, name))
                    logger.info("removed %s, left behind by a run that was killed", name)

        try:
            self._tried("clearing", folder, effect)
        except TillbridgeError as error:
            logger.warning("leftovers in %s could not be removed: %s", folder, error.message)
        self._clean.add(folder)


def translated(
    error: BaseException, action: str, path: str, folder: str, *, cut: bool = False
) -> TillbridgeError:
    """Our error for whatever paramiko, the network or the server came up with; `cut`: it broke off."""
    said = str(getattr(error, "strerror", None) or error).strip().rstrip(".") or type(error).__name__
    if cut:
        reason = f"no answer within {ssh.ANSWER_SECONDS:.0f} s" if isinstance(error, TimeoutError) else said
        return failed(action, path, folder, f"the connection broke off ({reason})", "check the network")
    if isinstance(error, UnicodeDecodeError):
        return ConfigurationError(
            f"{action.capitalize()} `{path}` in the exchange folder {folder} met a name that is not UTF-8. "
            "Retrying cannot clear this.",
            next_step="move that file away: the exchange folder is for tillbridge alone",
            path=path,
        )
    if isinstance(error, OSError) and error.errno in _CANNOT_HELP:
        return refused(action, path, folder, said)
    return failed(
        action,
        path,
        folder,
        f"the server says `{said}`",
        "servers do not say more: look whether its disk is full, a quota used up or the folder read-only",
    )


def _broken(connection: Connection, error: BaseException) -> bool:
    """Whether the connection is of no more use; else it was the server's answer."""
    if isinstance(error, UnicodeDecodeError):
        return False
    if not isinstance(error, OSError) or isinstance(error, TimeoutError) or error.errno in _GONE:
        return True
    return not connection.alive


def _may_pause(began: float, pauses: list[float]) -> bool:
    """Wait before another try, if there is one left."""
    if not pauses or time.monotonic() - began > PATIENCE_SECONDS:
        return False
    time.sleep(pauses.pop(0))
    return True
