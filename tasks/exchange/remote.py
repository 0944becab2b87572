"""An exchange folder on a server, over SFTP, FTPS or FTP, with what every server offers: no locks.

A connection that breaks is made again, and what it was at is done again or, where the outcome of a rename
is not known, looked at first. Files are flushed by the server alone: none of the protocols has a way to ask
for it that all servers know. What a power cut at the server takes is published again, because where an
export goes on stands in the same folder.
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
from typing import Self, TypeVar

from data_contracts.errors import ConfigurationError, TillbridgeError, TransferInterrupted
from tasks import faults
from tasks.exchange import sessions
from tasks.exchange.connections import POOL, Pool
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
    taken,
    unmounted,
)
from tasks.exchange.sessions import BEFORE_SUFFIX, Kind, Server, Session

logger = logging.getLogger(__name__)

T = TypeVar("T")

PAUSES_SECONDS = (0.5, 2.0)
"""Before each new try after a connection that broke."""

PATIENCE_SECONDS = 10.0
"""After so long there is no new try: the step that called has longer pauses."""

_CANNOT_HELP = {errno.EACCES, errno.EPERM, errno.ENOTDIR}


class RemoteFolder:
    """A `Folder` below one directory of a server; the directory is made when its parent exists.

    For one thread. It takes a connection at its first use and gives it back when it is closed.
    """

    def __init__(self, server: Server, root: str, *, pool: Pool = POOL) -> None:
        self.server = server
        self.root = root
        self._pool = pool
        self._session: Session | None = None
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
        root = self.root if self.root.startswith("/") else f"/~/{self.root}"
        return f"{self.server.scheme}://{self.server}{root}"

    def close(self) -> None:
        """Give the connection back."""
        session, self._session = self._session, None
        if session is not None:
            self._pool.give_back(self.server, session)

    def take_into_use(self) -> None:
        """Mark the directory as an exchange folder, also if it is empty."""

        def effect(session: Session) -> None:
            if not self._is_marked(session):
                self._check_mounted(session)
            faults.point("exchange.mark")
            self._mark(session)
            faults.point("exchange.marked")

        self._tried("marking", MARKER_NAME, effect)

    def list(self, path: str) -> builtins.list[str]:
        """Names of the files directly in a folder, sorted; none if the folder does not exist."""
        folder = self._place(path)

        def effect(session: Session) -> builtins.list[str]:
            self._check_root(session)
            return sorted(
                name
                for name, is_file in session.entries(folder) or ()
                if is_file and not name.endswith(PART_SUFFIX)
            )

        return self._tried("listing", path, effect)

    def read(self, path: str) -> bytes:
        """All of a file; FileNotFoundError if there is none."""
        place = self._place(path)

        def effect(session: Session) -> bytes:
            try:
                return session.read(place)
            except FileNotFoundError:
                self._check_root(session)
                return session.read(before(place))

        return self._tried("reading", path, effect)

    def exists(self, path: str) -> bool:
        """Whether there is a file of that name."""
        place = self._place(path)

        def effect(session: Session) -> bool:
            self._check_root(session)
            return stands(session, place) or stands(session, before(place))

        return self._tried("looking for", path, effect)

    def publish(self, path: str, data: bytes) -> None:
        """Write aside, read back, rename without replacing."""
        place = self._place(path)
        part = self._write_aside("publishing", path, data)
        faults.point("exchange.publish")
        self._tried("publishing", path, lambda session: settle(session, part, place, path, data))
        faults.point("exchange.published")
        self._remove_leftovers(posixpath.dirname(place), place)

    def replace(self, path: str, data: bytes) -> None:
        """Write aside, read back, rename over the old one."""
        place = self._place(path)
        part = self._write_aside("replacing", path, data)
        faults.point("exchange.replace")
        self._tried("replacing", path, lambda session: replace(session, part, place, data))
        faults.point("exchange.replaced")

    def move(self, path: str, to: str) -> None:
        """Rename without replacing; done if it was done before."""
        source, target = self._place(path), self._place(to)

        def effect(session: Session) -> None:
            if stands(session, target) and not stands(session, source):
                session.renamed(target)
                return
            faults.point("exchange.move")
            try:
                settle(session, source, target, to, None)
            except FileNotFoundError:  # there is no source, or no folder for the target
                self._check_root(session)
                if not stands(session, source):
                    raise
                self._make_folders(session, posixpath.dirname(to))
                settle(session, source, target, to, None)
            faults.point("exchange.moved")

        self._tried("moving", path, effect)

    def remove(self, path: str) -> None:
        """Let a file be gone; done if it is not there."""
        place = self._place(path)

        def effect(session: Session) -> None:
            self._check_root(session)
            faults.point("exchange.remove")
            for name in (before(place), place):  # else what it was before would be read for it
                with suppress(FileNotFoundError):
                    session.remove(name)
            faults.point("exchange.removed")

        self._tried("removing", path, effect)

    def _place(self, path: str) -> str:
        return posixpath.join(self.root, *steps_of(path))

    def _tried(self, action: str, path: str, effect: Callable[[Session], T]) -> T:
        """Do it, on a new connection if one breaks; `effect` has to be one that may be done twice."""
        began = time.monotonic()
        pauses = [*PAUSES_SECONDS]
        while True:
            try:
                session = self._connected()
            except TransferInterrupted as error:
                # A login that was hung up on may have been a refusal, and too many of them lock an account.
                if "at_login" in error.context or not _may_pause(began, pauses):
                    raise
                continue
            try:
                return effect(session)
            except session.failures as error:
                if isinstance(error, FileNotFoundError) and action in ("reading", "moving"):
                    raise
                answered = not session.broken(error)
                self._drop()  # answers to what was asked ahead may still be on their way
                if answered:
                    raise translated(error, action, path, str(self)) from error
                if not _may_pause(began, pauses):
                    raise translated(error, action, path, str(self), cut=True) from error
                logger.info("%s %s: the connection broke, trying again", action, path)

    def _connected(self) -> Session:
        if self._session is None:
            self._marked = self._mounted = False
            self._session = self._pool.take(self.server)
        return self._session

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _is_marked(self, session: Session) -> bool:
        self._marked = self._marked or stands(session, posixpath.join(self.root, MARKER_NAME))
        return self._marked

    def _check_root(self, session: Session) -> None:
        """An unmounted share must not look like an empty one; asked once a connection."""
        if self._mounted or self._is_marked(session):
            return
        self._check_mounted(session)
        if session.entries(self.root) == []:
            raise unmounted(str(self))
        self._mounted = True

    def _check_mounted(self, session: Session) -> None:
        above = posixpath.dirname(self.root) or "."
        if session.kind(self.root) is None and session.kind(above) is None:
            raise not_there(str(self))

    def _mark(self, session: Session) -> None:
        if self._is_marked(session):
            return
        if session.kind(self.root) is None:
            session.make_folder(self.root)
        marker = posixpath.join(self.root, MARKER_NAME)
        try:
            session.create(marker, MARKER_TEXT)
        except TimeoutError:
            raise
        except OSError:
            if not stands(session, marker):  # another one may have been faster
                raise
        self._marked = True

    def _make_folders(self, session: Session, path: str) -> None:
        """The folders down to `path`, which is relative to the root; one that is a file is refused."""
        place = self.root
        for name in steps_of(path) if path else ():
            place = posixpath.join(place, name)
            found = session.kind(place)
            if found is None:
                session.make_folder(place)
            elif found is Kind.FILE:
                raise NotADirectoryError(errno.ENOTDIR, "a file is in the way of a folder", place)

    def _write_aside(self, action: str, path: str, data: bytes) -> str:
        place = self._place(path)
        folder, name = posixpath.split(place)
        begun: builtins.list[str] = []

        def effect(session: Session) -> str:
            self._check_root(session)
            self._mark(session)
            for part in begun:
                forget(session, part)
            part = posixpath.join(folder, part_name(name))
            begun.append(part)
            faults.point("exchange.write")
            try:
                try:
                    session.create(part, data)
                except FileNotFoundError:
                    self._make_folders(session, posixpath.dirname(path))
                    session.create(part, data)
                faults.point("exchange.written")
                back = session.read(part)
            except TimeoutError:
                raise
            except OSError:
                forget(session, part)  # a full disk keeps the half that found room
                raise
            if len(back) != len(data) or hashlib.sha256(back).digest() != hashlib.sha256(data).digest():
                forget(session, part)
                raise reads_back_otherwise(path, len(back), len(data))
            return part

        return self._tried(action, path, effect)

    def _remove_leftovers(self, folder: str, than: str) -> None:
        """Remove part files of killed runs, once a folder. Ages are compared on the server's clock."""
        if folder in self._clean:
            return

        def effect(session: Session) -> None:
            parts = [
                posixpath.join(folder, name)
                for name, _ in session.entries(folder) or ()
                if name.endswith(PART_SUFFIX) and not name.endswith(BEFORE_SUFFIX)
            ]
            newest = session.modified(than) if parts else None
            for part in parts:
                at = session.modified(part)
                if newest is not None and at is not None and newest - at > LEFTOVER_SECONDS:
                    forget(session, part)
                    logger.info("removed %s, left behind by a run that was killed", posixpath.basename(part))

        try:
            self._tried("clearing", folder, effect)
        except TillbridgeError as error:
            logger.warning("leftovers in %s could not be removed: %s", folder, error.message)
        self._clean.add(folder)


def stands(session: Session, place: str) -> bool:
    """Whether there is a file of that name."""
    return session.kind(place) is Kind.FILE


def forget(session: Session, place: str) -> None:
    """Delete a file if that can be done."""
    with suppress(OSError, EOFError):
        session.remove(place)


def settle(session: Session, source: str, target: str, path: str, data: bytes | None) -> None:
    """Let `target` be what `source` is, whether or not an earlier try came so far; FileNotFoundError.

    `data` is the content, None if it has to be read. Asks before it renames, because some servers replace
    without a word. `BatchAltered` if the name has other content.
    """
    if not stands(session, target):
        try:
            session.rename(source, target)
        except TimeoutError:
            raise
        except OSError:
            if not stands(session, target):
                raise
        else:
            return
    session.renamed(target)
    if data is None:
        try:
            data = session.read(source)
        except FileNotFoundError:
            return  # an earlier try came so far
    if session.read(target) != data:
        raise taken(path)
    with suppress(FileNotFoundError):
        session.remove(source)


def replace(session: Session, part: str, place: str, data: bytes) -> None:
    """Let `place` be what `part` is, in one step where the server can do that."""
    try:
        session.replace(part, place)
    except (TimeoutError, PermissionError):
        raise
    except OSError:
        if not stands(session, part):
            if session.read(place) != data:
                raise
            return  # an earlier try came so far
        # The server cannot replace by a rename. Who looks while the name is not there reads what was there
        # before, and so does everybody after a run that is killed here.
        if stands(session, place):
            with suppress(FileNotFoundError):
                session.remove(before(place))
            session.rename(place, before(place))
        session.rename(part, place)


def before(place: str) -> str:
    """Where a file is kept while it is replaced in steps."""
    folder, name = posixpath.split(place)
    return posixpath.join(folder, f".{name}{BEFORE_SUFFIX}")


def translated(
    error: BaseException, action: str, path: str, folder: str, *, cut: bool = False
) -> TillbridgeError:
    """Our error for whatever a library, the network or the server came up with; `cut`: it broke off."""
    said = str(getattr(error, "strerror", None) or error).strip().rstrip(".") or type(error).__name__
    if cut:
        if isinstance(error, TimeoutError):
            said = f"no answer within {sessions.ANSWER_SECONDS:.0f} s"
        return failed(action, path, folder, f"the connection broke off ({said})", "check the network")
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


def _may_pause(began: float, pauses: list[float]) -> bool:
    """Wait before another try, if there is one left."""
    if not pauses or time.monotonic() - began > PATIENCE_SECONDS:
        return False
    time.sleep(pauses.pop(0))
    return True
