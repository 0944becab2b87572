"""What is asked of an FTP server, one file at a time, by what every server has.

FTP has no rename that is sure not to replace: servers on Unix replace without a word, those on Windows
refuse. So whoever renames first makes a folder beside the name, which no server makes twice, and looks
again whether the name is free. That keeps out everybody who does the same, and nobody else. A claim whose
owner was killed is taken away after `CLAIM_SECONDS`.
"""

from __future__ import annotations

import errno
import ftplib
import os
import posixpath
import selectors
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Self

from tasks import faults
from tasks.exchange import sessions
from tasks.exchange.folder import PART_SUFFIX
from tasks.exchange.ftp_wire import Answer, FtpWire
from tasks.exchange.sessions import Entry, Kind

CLAIM_SUFFIX = f".claim{PART_SUFFIX}"
"""Ending of the folder that stands beside a name while it is taken."""

CLAIM_SECONDS = 5.0
"""A claim that stands so long has no owner: he would need two answers of the server to end it."""

CLAIM_PAUSE_SECONDS = 0.1

faults.declare("ftp.claim", "ftp.claimed")

_NOT_DONE = 550
"""There is nothing of that name, or it may not be, or it is there already."""

_NOT_ALLOWED = 553
"""A name that may not be, which some servers say of what 550 is."""

_KINDS = {"file": Kind.FILE, "dir": Kind.FOLDER, "cdir": Kind.FOLDER, "pdir": Kind.FOLDER}


class FtpSession:
    """A connection to an FTP server that is logged in: a `Session`."""

    failures: tuple[type[Exception], ...] = (OSError, EOFError, ValueError, ftplib.Error)

    def __init__(self, wire: FtpWire, home: str, features: frozenset[str]) -> None:
        self._wire = wire
        self._home = home
        self._machine_listings = "MLST" in features
        self._sizes = True
        self._hidden_names = True
        self._process = os.getpid()

    @classmethod
    def begin(cls, wire: FtpWire) -> Self:
        """Learn what the server can do, right after the login; errors as in `FtpWire.ask`."""
        wire.patience(sessions.ANSWER_SECONDS)
        features: frozenset[str] = frozenset()
        with suppress(Answer):  # an old server
            told = wire.ask("FEAT").splitlines()[1:-1]
            features = frozenset(line.split()[0].upper() for line in told if line.strip())
        if "UTF8" in features:
            with suppress(Answer):
                wire.ask("OPTS UTF8 ON")
        wire.ask("TYPE I")
        home = "/"
        with suppress(Answer, ftplib.Error):
            home = ftplib.parse257(wire.ask("PWD")) or "/"  # noqa: S321 - only parses
        return cls(wire, home, features)

    @property
    def alive(self) -> bool:
        """Whether nothing is known to the contrary: nobody asked, so that what comes is a farewell."""
        socket = self._wire.sock
        if socket is None or socket.fileno() < 0 or self._process != os.getpid():
            return False
        with selectors.DefaultSelector() as selector:
            selector.register(socket, selectors.EVENT_READ)
            return not selector.select(0)

    def close(self) -> None:
        """End it; never raises."""
        if self.alive:
            with suppress(OSError, EOFError, ValueError):
                self._wire.putcmd("QUIT")
        self._wire.close()

    def broken(self, error: BaseException) -> bool:
        """Whether the connection is of no more use; else it was the server's answer."""
        if isinstance(error, Answer):
            return error.passes
        return isinstance(error, EOFError | TimeoutError | ftplib.Error)

    def kind(self, place: str) -> Kind | None:
        """What is there; None if nothing is."""
        place = self._absolute(place)
        facts = self._told_of(place)
        if facts is None:
            return None
        return _KINDS[facts["type"]] if facts.get("type") in _KINDS else self._kind_by_trying(place)

    def _told_of(self, place: str) -> dict[str, str] | None:
        """Facts about a name; empty from a server that does not tell them, None if there is nothing."""
        if not self._machine_listings:
            return {}
        try:
            told = self._wire.ask(f"MLST {place}").splitlines()
        except Answer as answer:
            if answer.passes or answer.denied:
                raise
            return None if answer.code == _NOT_DONE else {}
        return _facts(told[1].strip().partition(" ")[0]) if len(told) > 1 else {}

    def _kind_by_trying(self, place: str) -> Kind | None:
        if self._sizes:
            try:
                self._wire.ask(f"SIZE {place}")
            except Answer as answer:
                if answer.passes:
                    raise
                self._sizes = not answer.unknown
            else:
                return Kind.FILE
        if self._enter(place):
            return Kind.FOLDER
        if not self._sizes and self._enter(posixpath.dirname(place)):
            return Kind.FILE if posixpath.basename(place) in self._names() else None
        return None

    def modified(self, place: str) -> float | None:
        """When a file was changed last, on the server's clock; None if it does not say."""
        place = self._absolute(place)
        digits = (self._told_of(place) or {}).get("modify", "")
        with suppress(Answer, IndexError):
            digits = digits or self._wire.ask(f"MDTM {place}").split()[1]
        try:
            return datetime.strptime(digits[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()
        except ValueError:
            return None

    def entries(self, folder: str) -> list[Entry] | None:
        """All that lies in a folder; None if it is not there.

        Servers without MLSD tell names alone: of those the ones without a dot are asked for, because all
        files of an exchange have one.
        """
        folder = self._absolute(folder)
        if not self._machine_listings:
            if not self._enter(folder):
                return None
            return [
                Entry(name, "." in name or self.kind(posixpath.join(folder, name)) is Kind.FILE)
                for name in self._names()
            ]
        try:
            listing = self._wire.download(f"MLSD {folder}")
        except Answer as answer:
            if answer.passes or answer.denied or self.kind(folder) is not None:
                raise
            return None
        found = []
        for line in _lines(listing):
            facts, _, name = line.partition(" ")
            kind = _facts(facts).get("type", "")
            if kind not in ("cdir", "pdir"):
                known = _KINDS.get(kind)
                if known is None:  # a link, or a kind of the server's own
                    known = self._kind_by_trying(posixpath.join(folder, name))
                found.append(Entry(name, known is Kind.FILE))
        return found

    def read(self, place: str) -> bytes:
        """All of a file; FileNotFoundError, EOFError if it was cut off."""
        place = self._absolute(place)
        try:
            data = self._wire.download(f"RETR {place}")
        except Answer as answer:
            if answer.passes or answer.denied or self.kind(place) is not None:
                raise
            raise _nothing(place) from answer
        # Without TLS nothing else tells a file from the beginning of one.
        size = self._size(place)
        if size is not None and size != len(data):
            raise EOFError(f"{len(data):,} bytes came of {size:,}")
        return data

    def _size(self, place: str) -> int | None:
        if self._sizes:
            try:
                return int(self._wire.ask(f"SIZE {place}").split()[1])
            except Answer as answer:
                if answer.passes:
                    raise
                self._sizes = not answer.unknown
        return None

    def create(self, place: str, data: bytes) -> None:
        """Write a file; FileNotFoundError if there is no folder for it."""
        place = self._absolute(place)
        try:
            self._wire.upload(f"STOR {place}", data)
        except Answer as answer:
            if answer.passes or answer.denied or answer.code < 500 or answer.errno == errno.ENOSPC:
                raise
            above = self.kind(posixpath.dirname(place))
            if above is None:
                raise _nothing(place) from answer
            if above is Kind.FILE:
                raise NotADirectoryError(errno.ENOTDIR, answer.strerror, place) from answer
            # The folder is there, by now: another one may have made it after we were refused.
            try:
                self._wire.upload(f"STOR {place}", data)
            except Answer as again:
                if again.code in (_NOT_DONE, _NOT_ALLOWED):
                    raise PermissionError(errno.EACCES, again.strerror, place) from again
                raise

    def make_folder(self, place: str) -> None:
        """Make a folder, also if another one makes it at this moment."""
        try:
            self._wire.ask(f"MKD {self._absolute(place)}")
        except Answer as answer:
            if answer.passes or self.kind(place) is None:  # another one may have been faster
                raise

    def remove(self, place: str) -> None:
        """Delete a file, or a claim; FileNotFoundError."""
        place = self._absolute(place)
        try:
            self._wire.ask(f"{'RMD' if place.endswith(CLAIM_SUFFIX) else 'DELE'} {place}")
        except Answer as answer:
            if answer.passes or answer.denied or self.kind(place) is not None:
                raise
            raise _nothing(place) from answer

    def rename(self, source: str, target: str) -> None:
        """Rename under a claim; FileExistsError if the name is taken, FileNotFoundError."""
        claim = _claim(self._absolute(target))
        faults.point("ftp.claim")
        self._take(claim, target)
        faults.point("ftp.claimed")
        try:
            if self.kind(target) is not None:
                raise FileExistsError(errno.EEXIST, "taken", target)
            self.replace(source, target)
        finally:
            with suppress(OSError, EOFError):
                self._wire.ask(f"RMD {claim}")

    def _take(self, claim: str, target: str) -> None:
        """Make the claim as soon as nobody has it, or his time is over."""
        deadline = time.monotonic() + CLAIM_SECONDS
        while True:
            over = time.monotonic() > deadline
            if over:
                self.renamed(target)
            try:
                self._wire.ask(f"MKD {claim}")
            except Answer as answer:
                if answer.passes or answer.denied:
                    raise
                if self.kind(posixpath.dirname(claim)) is None:
                    raise _nothing(target) from answer
                if self.kind(target) is not None:
                    raise FileExistsError(errno.EEXIST, "taken", target) from answer
                if over:
                    raise
            else:
                return
            time.sleep(CLAIM_PAUSE_SECONDS)

    def renamed(self, target: str) -> None:
        """Take away a claim whose owner is gone, or needs it no more."""
        with suppress(Answer):
            self._wire.ask(f"RMD {_claim(self._absolute(target))}")

    def replace(self, source: str, target: str) -> None:
        """Rename as the server does it; FileNotFoundError, `Answer` if it refuses."""
        source, target = self._absolute(source), self._absolute(target)
        try:
            self._wire.ask(f"RNFR {source}")
            self._wire.ask(f"RNTO {target}")
        except Answer as answer:
            if answer.passes:
                raise
            for place in (source, posixpath.dirname(target)):
                if self.kind(place) is None:
                    raise _nothing(place) from answer
            raise

    def _absolute(self, place: str) -> str:
        return posixpath.normpath(posixpath.join(self._home, place))

    def _enter(self, folder: str) -> bool:
        """Whether it is a folder."""
        try:
            self._wire.ask(f"CWD {folder}")
        except Answer as answer:
            if answer.passes:
                raise
            return False
        return True

    def _names(self) -> list[str]:
        """Names in the folder that was entered last; `-a` tells hidden ones where the server knows it."""
        if self._hidden_names:
            try:
                names = self._told("NLST -a")
            except Answer as answer:
                if answer.passes:
                    raise
                names = []
            if "." in names:
                return [name for name in names if name not in (".", "..")]
            self._hidden_names = False
        try:
            return self._told("NLST")
        except Answer as answer:
            if answer.passes or answer.denied or answer.code != _NOT_DONE:
                raise
            return []  # 550 is how some servers say that a folder is empty

    def _told(self, request: str) -> list[str]:
        return [posixpath.basename(line) for line in _lines(self._wire.download(request))]


def _claim(target: str) -> str:
    folder, name = posixpath.split(target)
    return posixpath.join(folder, f".{name}{CLAIM_SUFFIX}")


def _lines(listing: bytes) -> list[str]:
    return [line.rstrip(b"\r").decode() for line in listing.split(b"\n") if line.strip()]


def _facts(text: str) -> dict[str, str]:
    """`type=file;size=3;` by name, in lower case."""
    return dict(fact.split("=", 1) for fact in text.lower().split(";") if "=" in fact)


def _nothing(place: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, "No such file or directory", place)
