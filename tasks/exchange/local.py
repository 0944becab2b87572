"""An exchange folder on a local disk or a mounted share, on POSIX and Windows alike.

Locks are never used: names that are taken once and renames that do not replace are all it needs.
"""

from __future__ import annotations

import builtins
import errno
import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from data_contracts.errors import TillbridgeError
from tasks import faults
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

logger = logging.getLogger(__name__)

WINDOWS = os.name == "nt"

PAUSES_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Before each new try of a rename or deletion that Windows refuses."""

_NO_HARD_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EINVAL}
_CANNOT_HELP = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EISDIR}
_WINDOWS_SHARING = {32, 33}
"""Another program (a virus scanner, a backup) has the file open: it lets go of it."""


class LocalFolder:
    """A `Folder` below one directory; the directory is made when its parent exists."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def take_into_use(self) -> None:
        """Mark the directory as an exchange folder, also if it is empty."""
        with _explained("marking", MARKER_NAME, self.root):
            self._check_mounted()
            faults.point("exchange.mark")
            self._mark()
            faults.point("exchange.marked")

    def list(self, path: str) -> builtins.list[str]:
        """Names of the files directly in a folder, sorted; none if the folder does not exist."""
        folder = self._place(path)
        with _explained("listing", path, self.root):
            self._check_root()
            try:
                with os.scandir(folder) as entries:
                    return sorted(e.name for e in entries if not e.name.endswith(PART_SUFFIX) and e.is_file())
            except FileNotFoundError:
                return []

    def read(self, path: str) -> bytes:
        """All of a file; FileNotFoundError if there is none."""
        place = self._place(path)
        with _explained("reading", path, self.root):
            try:
                return place.read_bytes()
            except FileNotFoundError:
                self._check_root()
                raise

    def exists(self, path: str) -> bool:
        """Whether there is a file of that name."""
        with _explained("looking for", path, self.root):
            self._check_root()
            return self._place(path).is_file()

    def publish(self, path: str, data: bytes) -> None:
        """Write aside, flush, read back, rename without replacing."""
        place = self._place(path)
        with _explained("publishing", path, self.root):
            part = self._write_aside(place, path, data)
            faults.point("exchange.publish")
            try:
                _rename_without_replacing(part, place)
            except FileExistsError as error:
                if place.read_bytes() != data:
                    raise taken(path) from error
                _patiently(lambda: part.unlink(missing_ok=True))
            _flush_folder(place.parent)
            faults.point("exchange.published")
            _clean(place.parent, than=place)

    def replace(self, path: str, data: bytes) -> None:
        """Write aside, flush, read back, rename over the old one."""
        place = self._place(path)
        with _explained("replacing", path, self.root):
            part = self._write_aside(place, path, data)
            faults.point("exchange.replace")
            _patiently(lambda: part.replace(place))
            _flush_folder(place.parent)
            faults.point("exchange.replaced")

    def move(self, path: str, to: str) -> None:
        """Rename without replacing; done if it was done before."""
        source, target = self._place(path), self._place(to)
        with _explained("moving", path, self.root):
            if not source.exists():
                if target.exists():
                    return
                self._check_root()
            target.parent.mkdir(parents=True, exist_ok=True)
            faults.point("exchange.move")
            try:
                _rename_without_replacing(source, target)
            except FileExistsError as error:
                if target.read_bytes() != source.read_bytes():
                    raise taken(to) from error
                _patiently(source.unlink)
            _flush_folder(target.parent)
            faults.point("exchange.moved")

    def remove(self, path: str) -> None:
        """Let a file be gone; done if it is not there."""
        place = self._place(path)
        with _explained("removing", path, self.root):
            self._check_root()
            faults.point("exchange.remove")
            _patiently(lambda: place.unlink(missing_ok=True))
            faults.point("exchange.removed")

    def _place(self, path: str) -> Path:
        return self.root.joinpath(*steps_of(path))

    def _check_root(self) -> None:
        """An unmounted share must not look like an empty one."""
        if self._marker.is_file():
            return
        self._check_mounted()
        if self.root.is_dir() and next(self.root.iterdir(), None) is None:
            raise unmounted(str(self.root))

    def _check_mounted(self) -> None:
        if not self.root.exists() and not self.root.parent.exists():
            raise not_there(str(self.root))

    @property
    def _marker(self) -> Path:
        return self.root / MARKER_NAME

    def _mark(self) -> None:
        if self._marker.is_file():
            return
        self.root.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError), self._marker.open("xb") as file:
            file.write(MARKER_TEXT)

    def _write_aside(self, place: Path, path: str, data: bytes) -> Path:
        self._check_root()
        self._mark()
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_name(part_name(place.name))
        faults.point("exchange.write")
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        faults.point("exchange.written")
        back = part.read_bytes()
        if len(back) != len(data) or hashlib.sha256(back).digest() != hashlib.sha256(data).digest():
            _patiently(lambda: part.unlink(missing_ok=True))
            raise reads_back_otherwise(path, len(back), len(data))
        return part


def _rename_without_replacing(source: Path, target: Path) -> None:
    """FileExistsError if the target is taken."""
    if WINDOWS:
        _patiently(lambda: source.rename(target))  # on Windows a rename refuses to replace
        return
    try:
        target.hardlink_to(source)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        # No hard links here (FAT, some shares). Names carry a random batch id, so that only a repeat
        # of the same publication can meet its own name between these two steps.
        if target.exists():
            raise FileExistsError(errno.EEXIST, "taken", str(target)) from error
        source.rename(target)
        return
    source.unlink()


class _Held(OSError):
    """Windows went on refusing a rename or deletion."""


def _patiently(effect: Callable[[], object]) -> None:
    """A rename or deletion; Windows refuses it while a reader or a virus scanner has the file open."""
    for pause in PAUSES_SECONDS if WINDOWS else ():
        try:
            effect()
        except PermissionError:
            time.sleep(pause)
        else:
            return
    try:
        effect()
    except PermissionError as error:
        if WINDOWS:
            raise _Held(error.errno, error.strerror) from error
        raise


def _flush_folder(folder: Path) -> None:
    """A rename survives a power cut only once its folder is on the disk; Windows does that by itself."""
    if WINDOWS:
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # shares that cannot flush a folder say so
            raise
    finally:
        os.close(handle)


def _clean(folder: Path, than: Path) -> None:
    """Remove part files of killed runs. Ages are compared on the clock of the disk, not on ours."""
    try:
        newest = than.stat().st_mtime
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(PART_SUFFIX) and newest - entry.stat().st_mtime > LEFTOVER_SECONDS:
                    Path(entry.path).unlink(missing_ok=True)
                    logger.info("removed %s, left behind by a run that was killed", entry.name)
    except OSError as error:
        logger.warning("leftovers in %s could not be removed: %s", folder, error.strerror)


@contextmanager
def _explained(action: str, path: str, root: Path) -> Iterator[None]:
    """Turn an OSError into ours; that there is no such file stays, because callers ask for it."""
    try:
        yield
    except OSError as error:
        if isinstance(error, FileNotFoundError) and action in ("reading", "moving"):
            raise
        raise _translated(error, action, path, root) from error


def _translated(error: OSError, action: str, path: str, root: Path) -> TillbridgeError:
    reason = error.strerror or type(error).__name__
    passing = isinstance(error, _Held) or getattr(error, "winerror", None) in _WINDOWS_SHARING
    if error.errno in _CANNOT_HELP and not passing:
        return refused(action, path, str(root), reason)
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    next_step = "make room on that disk" if full else "check the disk or share that holds it"
    return failed(action, path, str(root), reason, next_step)
